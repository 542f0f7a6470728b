"""What the graph in memory holds, and its transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from mgit_core.bugs import Bug, ModelSubject
from mgit_core.cascade.values import Cascade, CascadeState, StepTarget
from mgit_core.digest import Digest
from mgit_core.errors import ConflictError, ErrorReason, UnavailableError
from mgit_core.lineage import (
    Model,
    ModelState,
    ModelSummary,
    ParameterSet,
    Previous,
    ProvenanceEdge,
    RequestKey,
    TensorRecord,
)
from mgit_core.model_tests import ModelTest, ModelTestResult
from mgit_core.ports.graph import Lease
from mgit_storage.lineage import checks

__all__ = ["GivenLease", "KeptCascade", "Known", "MemoryGraph", "Name", "Staged", "State", "summary_of"]

_T = TypeVar("_T")
_ANSWERS_STAY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Name:
    """A model name as it was first written, and the highest number that was ever given under it."""

    name: str
    last_version: int


@dataclass(frozen=True, slots=True)
class _Request:
    arguments_digest: Digest
    answer: object
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Staged:
    """A staged model, bare but for its edges, and which version edge it asks for."""

    model: Model
    previous: Previous

    def parents(self) -> set[str]:
        """UIDs of what it was made from."""
        return {edge.parent_uid for edge in self.model.parents}


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of a model that is replaced when the cascade began."""

    last_version: int
    newer: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCascade:
    """A cascade and what is not told of it.

    Attributes:
        cascade: As it is told, without what was made.
        failures: Attempts of each step that count as failed.
        known: By uid of a model that is replaced.
        accepted: Newer versions that somebody decided not to mind.
        published: Targets that were numbered.
    """

    cascade: Cascade
    failures: tuple[int, ...]
    known: Mapping[str, Known]
    accepted: frozenset[str] = frozenset()
    published: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.cascade.state not in (CascadeState.PUBLISHED, CascadeState.CANCELLED)

    def targets(self) -> dict[str, StepTarget]:
        """All targets by uid, in order."""
        return {target.uid: target for step in self.cascade.plan.steps for target in step.targets}

    def replaced(self) -> set[str]:
        """UIDs of the models that it replaces."""
        return {target.old.uid for target in self.targets().values()}

    def uses(self) -> set[str]:
        """UIDs of the models that it replaces, and of those that it makes models from."""
        targets = self.targets()
        taken = {uid for target in targets.values() for uid in target.made_from}
        return self.replaced() | (taken - targets.keys())


@dataclass(slots=True, kw_only=True)
class State:
    """One state of the graph. Every value in it is immutable, so that a copy of its dicts is a copy of it.

    Attributes:
        models: By uid, without edges and tags.
        names: By name in lower case.
        parents: Provenance edges of each child, in order.
        revisions: Older model of each newer one.
        tags: Uid by name and tag.
        tensors: Tensors of each parameter set that a present model has.
        sets: The parameter sets themselves.
        sketches: Vectors by parameter set.
        tests: Model tests by uid, deregistered ones too.
        results: Results by uid, without names, models and judgements.
        measurements: What its test measured, for each result.
        bugs: Bugs by id, without references and with models as they were.
        staged: Staged models by uid.
        cascades: Cascades by id.
        requests: Answers by request id.
    """

    models: dict[str, Model] = field(default_factory=dict[str, Model])
    names: dict[str, Name] = field(default_factory=dict[str, Name])
    parents: dict[str, tuple[ProvenanceEdge, ...]] = field(
        default_factory=dict[str, tuple[ProvenanceEdge, ...]]
    )
    revisions: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    tensors: dict[Digest, tuple[TensorRecord, ...]] = field(
        default_factory=dict[Digest, tuple[TensorRecord, ...]]
    )
    sets: dict[Digest, ParameterSet] = field(default_factory=dict[Digest, ParameterSet])
    sketches: dict[Digest, tuple[float, ...]] = field(default_factory=dict[Digest, tuple[float, ...]])
    tests: dict[str, ModelTest] = field(default_factory=dict[str, ModelTest])
    results: dict[str, ModelTestResult] = field(default_factory=dict[str, ModelTestResult])
    measurements: dict[str, Digest] = field(default_factory=dict[str, Digest])
    bugs: dict[str, Bug] = field(default_factory=dict[str, Bug])
    staged: dict[str, Staged] = field(default_factory=dict[str, Staged])
    cascades: dict[str, KeptCascade] = field(default_factory=dict[str, KeptCascade])
    requests: dict[str, _Request] = field(default_factory=dict[str, _Request])

    def copy(self) -> State:
        """A state that can be changed without changing this one."""
        return State(
            models=dict(self.models),
            names=dict(self.names),
            parents=dict(self.parents),
            revisions=dict(self.revisions),
            tags=dict(self.tags),
            tensors=dict(self.tensors),
            sets=dict(self.sets),
            sketches=dict(self.sketches),
            tests=dict(self.tests),
            results=dict(self.results),
            measurements=dict(self.measurements),
            bugs=dict(self.bugs),
            staged=dict(self.staged),
            cascades=dict(self.cascades),
            requests=dict(self.requests),
        )

    def model(self, uid: str) -> Model:
        """The bare model with this uid.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """
        if uid not in self.models:
            raise checks.model_not_found(f"@{uid}")
        return self.models[uid]

    def testable(self, uid: str) -> Model:
        """The bare model with this uid, published or staged.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """
        return self.staged[uid].model if uid in self.staged else self.model(uid)

    def described(self, uid: str) -> Model:
        """The model with this uid, with edges and tags."""
        model = self.model(uid)
        edges = self.parents.get(uid, ())
        older = self.revisions.get(uid)
        return replace(
            model,
            parameters=None if model.parameters is None else self.sets[model.parameters.digest],
            parents=edges,
            parent_refs=tuple(self.models[edge.parent_uid].ref for edge in edges),
            previous=None if older is None else summary_of(self.models[older]),
            tags=tuple(sorted(tag for (_, tag), pointed in self.tags.items() if pointed == uid)),
        )

    def versions(self, name: str) -> list[Model]:
        """Bare models of a name, newest first, removed ones too."""
        found = [model for model in self.models.values() if model.name == name]
        return sorted(found, key=lambda model: -model.version)

    def latest(self, name: str) -> Model | None:
        """The highest version of a name that is present."""
        return next((model for model in self.versions(name) if model.state is ModelState.PRESENT), None)

    def present(self) -> list[Model]:
        """Bare present models, by uid."""
        found = [model for model in self.models.values() if model.state is ModelState.PRESENT]
        return sorted(found, key=lambda model: model.uid)

    def is_touched(self, uid: str) -> bool:
        """Whether an edge leads to or from the model, or a tag, test, result or bug to it."""
        children = (edge.parent_uid for edges in self.parents.values() for edge in edges)
        return (
            bool(self.parents.get(uid))
            or uid in self.revisions
            or uid in self.revisions.values()
            or uid in self.tags.values()
            or any(test.model_uid == uid for test in self.tests.values())
            or any(result.model_uid == uid for result in self.results.values())
            or any(_names(bug, uid) for bug in self.bugs.values())
            or any(uid in staged.parents() for staged in self.staged.values())
            or uid in children
        )

    def cascades_using(self, uid: str) -> list[str]:
        """Ids of cascades that are not over and replace the model, or make models from it."""
        return [id_ for id_, kept in sorted(self.cascades.items()) if kept.is_open and uid in kept.uses()]


def _names(bug: Bug, uid: str) -> bool:
    """Whether the bug affects the model itself, or is fixed in it."""
    affected = (each.uid for each in bug.affects if isinstance(each, ModelSubject))
    return uid in affected or any(model.uid == uid for model in bug.fixed_in)


def summary_of(model: Model) -> ModelSummary:
    """What a list says of the model."""
    return ModelSummary(
        uid=model.uid,
        name=model.name,
        version=model.version,
        state=model.state,
        created_at=model.created_at,
    )


@dataclass(frozen=True, slots=True)
class GivenLease:
    """The lease that is out, and when it was given or renewed."""

    lease: Lease
    given_at: datetime


class MemoryGraph:
    """Holds the current state; a transaction changes a copy, which then takes its place.

    Nothing here waits, so transactions of one event loop take turns by themselves.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.now = clock
        self.state = State()
        self.store_id: str | None = None
        self.epoch = 1
        self.condemned: str | None = None
        self.lease: GivenLease | None = None
        self.leases_given = 0

    def write(
        self,
        unit: Callable[[State], _T],
        request: RequestKey | None = None,
        *,
        epochs: Sequence[int] = (),
    ) -> tuple[_T, bool]:
        """Run one changing transaction, or find the answer that an earlier call with ``request`` got.

        Args:
            unit: Changes the state that it is given.
            request: Makes the change idempotent.
            epochs: What the epoch of the bound store must be.

        Returns:
            The answer, and whether it is an earlier call's.
        """
        draft = self.state.copy()
        earlier = None if request is None else self._earlier(draft, request)
        if earlier is not None:
            return cast("Any", earlier.answer), True
        answer = unit(draft)
        if epochs and (self.store_id is None or set(epochs) != {self.epoch}):
            raise UnavailableError(
                ErrorReason.UPLOAD_STALE, "A collection ran since the upload was drafted; draft it again."
            )
        if request is not None:
            draft.requests[request.id] = _Request(request.arguments_digest, answer, self.now())
        self.state = draft
        return answer, False

    def find_answer(self, request: RequestKey) -> object | None:
        """The answer that an earlier call with ``request`` got; None if there is none."""
        earlier = self._earlier(self.state.copy(), request)
        return None if earlier is None else earlier.answer

    def _earlier(self, draft: State, request: RequestKey) -> _Request | None:
        horizon = self.now() - _ANSWERS_STAY
        draft.requests = {key: kept for key, kept in draft.requests.items() if kept.created_at >= horizon}
        earlier = draft.requests.get(request.id)
        if earlier is not None and earlier.arguments_digest != request.arguments_digest:
            raise ConflictError(
                ErrorReason.REQUEST_ID_REUSED, f"Request id {request.id!r} was used for another request."
            )
        return earlier
