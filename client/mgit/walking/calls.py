"""The part of a repository that walks the lineage."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, TypeGuard, TypeVar

from mgit.connection import Connection
from mgit.progress import Progress
from mgit.values import ModelReference, Relation, reference_of
from mgit.walking.asking import read_ahead
from mgit.walking.mapping import Mapped, map_models
from mgit.walking.values import Choice, Chosen, Walk, WalkedModel
from mgit.wire import read_summary, write_relation
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.walks.question import WalkDirection, WalkEdges, WalkOrder, parse_choice
from mgit_proto.v1 import lineage_pb2 as pb

if TYPE_CHECKING:
    from mgit.model import Model

__all__ = ["WalkCalls"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# What one request names at most; more are walked around here.
_MOST_NAMED = 1_000


class WalkCalls:
    """Walks over the lineage, and functions over their models."""

    _connection: Connection

    if TYPE_CHECKING:

        def get(self, model: ModelReference) -> Model: ...

    def walk(  # noqa: PLR0913 - one call says all of a walk; all but the first by keyword
        self,
        models: ModelReference | Iterable[ModelReference] = (),
        *,
        order: WalkOrder | str = WalkOrder.BREADTH_FIRST,
        direction: WalkDirection | str = WalkDirection.DESCENDANTS,
        edges: WalkEdges | str = WalkEdges.PROVENANCE,
        relations: Collection[Relation | str] = (),
        depth: int | None = None,
        skip: Choice = (),
        stop: Choice = (),
        limit: int | None = None,
    ) -> Walk:
        """Models of the lineage, each once, in an order; they come as they are asked for.

        The walk is over the edges as they were when it began. Ties go to the older model, then to the smaller uid.

        Functions are asked late, when a model's turn has come, so they may look at what was done with those before;
        only where the order goes against the direction (parents first towards ancestors, children first towards
        descendants, either of them both ways) ``stop`` is asked of all models before the first one comes.

        Args:
            models: Where to start, these included; empty means that all of the graph is walked.
            order: ``breadth-first``, ``depth-first``, ``parents-first`` or ``children-first``.
            direction: ``descendants``, ``ancestors`` or ``both``.
            edges: ``provenance``, ``version`` (with it: versions forward or back) or ``all``.
            relations: Provenance edges to follow; empty means all.
            depth: Largest number of hops from the nearest start; None means no bound.
            skip: Models that are left out, the walk goes on behind them: named, or a function that says so.
            stop: Models that are left out and not passed; what lies behind may be reached another way.
            limit: Largest number of models; None means all. Whether it cut the walk is said by ``truncated``.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND, when the iteration begins.
            InvalidArgumentError: INVALID_ARGUMENT or INVALID_RELATION.
            ConflictError: CYCLE, when the iteration begins, if the graph was damaged.
        """
        names = [relations] if isinstance(relations, str) else relations
        request = pb.WalkModelsRequest(
            models=map(reference_of, _named(models)),
            edges=pb.WalkEdges.Value(f"WALK_EDGES_{parse_choice(WalkEdges, 'edges', edges).name}"),
            relations=[write_relation(relation) for relation in names],
            max_depth=_bound("depth", depth),
            limit=_bound("limit", limit),
        )
        chosen = parse_choice(WalkOrder, "order", order), parse_choice(WalkDirection, "direction", direction)
        request.direction = pb.WalkDirection.Value(f"WALK_DIRECTION_{chosen[1].name}")
        skipped, stopped = _chosen(skip), _chosen(stop)
        if not _fits(skipped) or not _fits(stopped):
            return Walk(self._walk_here(request, chosen, skipped, stopped))
        request.order = pb.WalkOrder.Value(f"WALK_ORDER_{chosen[0].name}")
        request.skip.extend(map(reference_of, skipped))
        request.stop.extend(map(reference_of, stopped))
        return Walk(self._walk_there(request))

    def map(
        self,
        function: Callable[[Item], Result],
        models: Iterable[Item],
        *,
        workers: int = 1,
        progress: Progress = True,
    ) -> Iterator[Mapped[Item, Result]]:
        """What a function makes of each model of a walk, in the order of the walk.

        An error of the function is in ``error`` of its model and stops nothing. Leaving the iteration, also by an
        interrupt, starts no further model; what other workers are at then runs to its end.

        Args:
            function: Gets a model; called in threads if there are several workers.
            models: A walk, or models from anywhere.
            workers: How many models at once. With one, a model is taken from the walk when the result of the one
                before was taken, so that a walk's ``stop`` may depend on results.
            progress: ``progress(done, total)`` in models, total 0 if it is not known; True for a bar on a terminal;
                None for none.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT for less than one worker.
            MGitError: As the walk.
        """
        return map_models(function, models, workers, progress)

    def next_version(self, model: ModelReference, *, towards: ModelReference | None = None) -> Model | None:
        """The model whose version edge leads to this one; None at the head.

        Args:
            model: The older model.
            towards: Where several do: the one that this model is, or comes after.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            InvalidArgumentError: INVALID_ARGUMENT: there are several, and ``towards`` does not choose one.
        """
        found = [each for each in self.walk(model, edges=WalkEdges.VERSION, depth=1) if each.hops]
        if towards is not None:
            back = self.walk(towards, edges=WalkEdges.VERSION, direction=WalkDirection.ANCESTORS)
            before = {each.uid for each in back}
            found = [each for each in found if each.uid in before]
        if len(found) > 1 or (towards is not None and not found):
            refs = ", ".join(each.ref for each in found) or "none"
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"One next version is wanted; found {refs}. Name one of its later versions with 'towards'.",
                field="towards",
            )
        return found[0].model if found else None

    def _walk_there(self, request: pb.WalkModelsRequest) -> Generator[WalkedModel, None, bool]:
        truncated = False
        with contextlib.closing(read_ahead(self._connection, request)) as answers:
            for answer in answers:
                truncated = answer.truncated
                for step in answer.steps:
                    yield WalkedModel(summary=read_summary(step.model), hops=step.hops, look_up=self.get)
        return truncated

    def _walk_here(
        self,
        request: pb.WalkModelsRequest,
        chosen: tuple[WalkOrder, WalkDirection],
        skip: Chosen,
        stop: Chosen,
    ) -> Generator[WalkedModel, None, bool]:
        from mgit.walking.choosing import LocalWalk, walk_here  # noqa: PLC0415 - other walks do without numpy

        limit = request.limit or None
        request.ClearField("limit")
        local = LocalWalk(
            request=request, order=chosen[0], direction=chosen[1], skip=skip, stop=stop, limit=limit
        )
        return walk_here(self._connection, local, self.get)


def _named(models: ModelReference | Iterable[ModelReference]) -> list[ModelReference]:
    """Models that are named, one or several."""
    return list(models) if isinstance(models, Iterable) and not isinstance(models, str) else [models]


def _chosen(choice: Choice) -> Chosen:
    return choice if callable(choice) else _named(choice)


def _fits(chosen: Chosen) -> TypeGuard[list[ModelReference]]:
    """Whether a request can say it."""
    return isinstance(chosen, list) and len(chosen) <= _MOST_NAMED


def _bound(name: str, value: int | None) -> int:
    """A bound for the wire, where 0 means none."""
    if value is None:
        return 0
    if not 1 <= value < 2**31:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"{name} is a whole number from 1, or None; found {value!r}.",
            field=name,
        )
    return value
