"""What is searched: models with their ancestors over both kinds of edges, and what the caller says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mgit.bisecting.values import BisectFinding, BisectSource
from mgit.connection import Connection
from mgit.values import ModelReference, ModelState, ModelSummary, reference_of
from mgit.wire import read_summary
from mgit_core.bisect import BisectGraph, BisectModel, BisectVerdict, build_graph
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
)
from mgit_proto.v1 import lineage_pb2

__all__ = ["MAX_MODELS", "BisectRequest", "BisectScope", "fetch_scope"]

MAX_MODELS = 100_000
"""Largest search: it takes some seconds for each test there, and 100 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectRequest:
    """Where to search, in references.

    Attributes:
        model: The newest model of the search, not taken to be bad; None if ``bad`` says where to search.
        good: Good models, with all that they were made from.
        bad: Bad models, with all that was made from them.
        skip: Models that are not to be tested.
    """

    model: ModelReference | None
    good: Sequence[ModelReference] = ()
    bad: Sequence[ModelReference] = ()
    skip: Sequence[ModelReference] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectScope:
    """A graph to search.

    Attributes:
        graph: The models with their ancestors, and the good ones with theirs.
        models: The models by uid.
        given: What the caller said, and which models are removed, by uid.
        searched: Numbers of the models that may be the first bad one.
        settled: Numbers of the models of which the caller's word leaves no question: what good ones were made
            from, and what was made from bad ones.
    """

    graph: BisectGraph
    models: dict[str, ModelSummary]
    given: dict[str, BisectFinding]
    searched: frozenset[int]
    settled: frozenset[int] = field(default_factory=frozenset)

    @property
    def open_models(self) -> list[ModelSummary]:
        """Models that may be asked for, oldest first."""
        numbers = self.graph.by_age(self.searched - self.settled)
        found = [self.models[self.graph.models[number].uid] for number in numbers]
        return [model for model in found if model.uid not in self.given]


def fetch_scope(connection: Connection, request: BisectRequest) -> BisectScope:
    """What ``request`` asks to search.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT: neither a model nor a bad one is named, or one model is said to
            be two things.
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        FailedPreconditionError: NOTHING_TO_BISECT: all of it is said to be good.
        ResourceExhaustedError: LIMIT_EXCEEDED: there are more than 100,000 models.
    """
    if request.model is None and not request.bad:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            "A bisection needs to know where to search; name the newest model of it, or one that is bad.",
        )
    model = [] if request.model is None else [_find(connection, request.model)]
    said = {
        BisectVerdict.GOOD: [_find(connection, each) for each in request.good],
        BisectVerdict.BAD: [_find(connection, each) for each in request.bad],
        BisectVerdict.SKIPPED: [_find(connection, each) for each in request.skip],
    }
    given = _read_given(said)
    heads = [*model, *said[BisectVerdict.BAD]]
    graph, models = _fetch_graph(connection, [*heads, *said[BisectVerdict.GOOD]])
    scope = _make_scope(graph, models, given, heads)
    if not scope.searched and not said[BisectVerdict.BAD]:
        raise FailedPreconditionError(
            ErrorReason.NOTHING_TO_BISECT,
            f"Nothing is left to search: {heads[0].ref}, or a model that was made from it, is given as good. Name "
            "an older good model or a newer end.",
        )
    return scope


def _find(connection: Connection, model: ModelReference) -> ModelSummary:
    request = lineage_pb2.GetModelRequest(model=reference_of(model))
    return read_summary(connection.call(connection.lineage.GetModel, request).model.summary)


def _read_given(said: dict[BisectVerdict, list[ModelSummary]]) -> dict[str, BisectFinding]:
    given: dict[str, BisectFinding] = {}
    for verdict, models in said.items():
        for model in models:
            finding = BisectFinding(model=model, verdict=verdict, source=BisectSource.GIVEN)
            if given.setdefault(model.uid, finding).verdict is not verdict:
                raise InvalidArgumentError(
                    ErrorReason.INVALID_ARGUMENT,
                    f"{model.ref} is given as {given[model.uid].verdict} and as {verdict}; say one of them.",
                )
    return given


def _fetch_graph(
    connection: Connection, starts: Sequence[ModelSummary]
) -> tuple[BisectGraph, dict[str, ModelSummary]]:
    request = lineage_pb2.WalkModelsRequest(
        models=[f"@{uid}" for uid in dict.fromkeys(start.uid for start in starts)],
        direction=lineage_pb2.WalkDirection.WALK_DIRECTION_ANCESTORS,
        edges=lineage_pb2.WalkEdges.WALK_EDGES_ALL,
        limit=MAX_MODELS,
        with_edges=True,
    )
    answers = connection.collect(connection.lineage.WalkModels, request)
    if any(answer.truncated for answer in answers):
        raise ResourceExhaustedError(
            ErrorReason.LIMIT_EXCEEDED,
            f"A bisection searches at most {MAX_MODELS:,} models, and there are more behind {starts[0].ref}. Begin "
            "from an older model.",
        )
    steps = [step for answer in answers for step in answer.steps]
    models = {step.model.uid: read_summary(step.model) for step in steps}
    graph = build_graph(
        BisectModel(
            uid=step.model.uid,
            ref=models[step.model.uid].ref,
            created_at=models[step.model.uid].created_at,
            parents=tuple(step.older_uids),
        )
        for step in steps
    )
    return graph, models


def _make_scope(
    graph: BisectGraph,
    models: dict[str, ModelSummary],
    given: dict[str, BisectFinding],
    heads: Sequence[ModelSummary],
) -> BisectScope:
    good, bad = (
        [
            graph.numbers[uid]
            for uid, each in given.items()
            if each.verdict is verdict and uid in graph.numbers
        ]
        for verdict in (BisectVerdict.GOOD, BisectVerdict.BAD)
    )
    cleared = graph.ancestors(good)
    removed = {
        uid: BisectFinding(
            model=model,
            verdict=BisectVerdict.SKIPPED,
            source=BisectSource.REMOVED,
            error=f"{model.ref} was removed.",
        )
        for uid, model in models.items()
        if model.state is ModelState.REMOVED and uid not in given
    }
    return BisectScope(
        graph=graph,
        models={**models, **{uid: each.model for uid, each in given.items()}},
        given={**given, **removed},
        searched=frozenset(graph.ancestors(graph.numbers[head.uid] for head in heads) - cleared),
        settled=frozenset(cleared | graph.descendants(bad)),
    )
