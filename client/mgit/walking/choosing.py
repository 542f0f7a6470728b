"""Walks whose skips and stops are the caller's functions: the graph comes over the wire and is walked here."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgit.connection import Connection
from mgit.walking.values import Chosen, WalkedModel
from mgit.wire import read_summary
from mgit_core.walks.graph import WalkGraph, WalkModel
from mgit_core.walks.question import WalkDirection, WalkOrder
from mgit_core.walks.walking import Question, WalkPlan, walk
from mgit_proto.v1 import lineage_pb2 as pb

if TYPE_CHECKING:
    from mgit.model import Model

__all__ = ["LocalWalk", "walk_here"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWalk:
    """What of a walk is decided here.

    Attributes:
        request: Which graph: starts, direction, edges, relations, depth.
        order: In which order its models come.
        direction: As of the request.
        skip: Which models are left out.
        stop: Which models are left out and not passed.
        limit: Largest number of models; None means all.
    """

    request: pb.WalkModelsRequest
    order: WalkOrder
    direction: WalkDirection
    skip: Chosen
    stop: Chosen
    limit: int | None


class _Models:
    """The models of a graph as values, each made once, so that what was looked up for a choice is there later."""

    def __init__(self, graph: WalkGraph, hops: dict[str, int], look_up: Callable[[str], Model]) -> None:
        self._graph = graph
        self._hops = hops
        self._look_up = look_up
        self._made: dict[int, WalkedModel] = {}

    def __getitem__(self, number: int) -> WalkedModel:
        if number not in self._made:
            row = self._graph.models[number]
            self._made[number] = WalkedModel(
                summary=row.summary(), hops=self._hops[row.uid], look_up=self._look_up
            )
        return self._made[number]

    def pop(self, number: int) -> WalkedModel:
        """The model, which is not needed again."""
        model = self[number]
        del self._made[number]
        return model


def walk_here(
    connection: Connection, local: LocalWalk, look_up: Callable[[str], Model]
) -> Generator[WalkedModel, None, bool]:
    """The models of the walk; gives in the end whether the limit cut it.

    Raises:
        MGitError: As the service answers.
    """
    request = pb.WalkModelsRequest()
    request.CopyFrom(local.request)
    request.with_edges = True
    answers = connection.collect(connection.lineage.WalkModels, request)
    steps = [step for answer in answers for step in answer.steps]
    graph = _read_graph(steps)
    models = _Models(graph, {step.model.uid: step.hops for step in steps}, look_up)
    numbers = graph.numbers()
    plan = WalkPlan(
        starts=[numbers[step.model.uid] for step in steps if not step.hops],
        direction=local.direction,
        order=local.order,
        max_depth=request.max_depth or None,
        skips=_question(local.skip, graph, models, look_up),
        stops=_question(local.stop, graph, models, look_up),
    )
    room = local.limit
    for step in walk(graph, plan):
        if room == 0:
            return True
        yield models.pop(step.number)
        room = None if room is None else room - 1
    return False


def _read_graph(steps: Iterable[pb.WalkStep]) -> WalkGraph:
    rows = [(WalkModel.of(read_summary(step.model)), step.older_uids) for step in steps]
    ids = {model.uid: number for number, (model, _) in enumerate(rows)}
    pairs = [(number, ids[uid]) for number, (_, older) in enumerate(rows) for uid in older if uid in ids]
    return WalkGraph.build(
        [model for model, _ in rows],
        range(len(rows)),
        [one for one, _ in pairs],
        [other for _, other in pairs],
    )


def _question(
    chosen: Chosen, graph: WalkGraph, models: _Models, look_up: Callable[[str], Model]
) -> Question | None:
    if not isinstance(chosen, list):
        return lambda number: bool(chosen(models[number]))
    # Text may be a tag or a latest version, which only the service knows.
    uids = {look_up(each).uid if isinstance(each, str) else each.uid for each in chosen}
    return (lambda number: graph.models[number].uid in uids) if uids else None
