"""Small lineages as graphs of a cascade, written by names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from mgit_core.cascade.graph import CascadeGraph, PlanOptions
from mgit_core.cascade.planning import plan_cascade
from mgit_core.cascade.values import UpdatePlan
from mgit_core.creation import CreationRecord, merge_base_of
from mgit_core.lineage import (
    EdgeOrigin,
    ModelState,
    ModelSummary,
    ProvenanceEdge,
    Relation,
    RevisionEdge,
)
from mgit_core.merge.recording import MergeCall, record_merge

__all__ = ["NEW", "OLD", "Family", "bases", "counter", "plan", "told"]

OLD, NEW = "base", "base'"
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Family:
    """Models by name, each made from those that are named; ``base'`` follows ``base``.

    Attributes:
        parents: Of each model, in order; the models are as old as their place.
        removed: Names of those that were removed.
        uncreated: Names of those that have no creation record.
        groups: Group of those that were made in one call.
        names: Model name and number of those that are versions of one name.
        merges: Base of each model that is a merge of its first two parents.
    """

    parents: Mapping[str, Sequence[str]]
    removed: frozenset[str] = frozenset()
    uncreated: frozenset[str] = frozenset()
    groups: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    revisions: Sequence[tuple[str, str]] = ((NEW, OLD),)
    merges: Mapping[str, str] = field(default_factory=dict)

    def graph(self) -> CascadeGraph:
        """The family as what a plan is made from."""
        uids = [OLD, NEW, *(uid for uid in self.parents if uid not in (OLD, NEW))]
        models = {uid: self._summary(uid, age) for age, uid in enumerate(uids)}
        present = [model for model in models.values() if model.state is ModelState.PRESENT]
        return CascadeGraph(
            old=models[OLD],
            new=models[NEW],
            models=models,
            edges=tuple(
                _edge(
                    child, parent, position, Relation.MERGED if child in self.merges else Relation.FINETUNED
                )
                for child, parents in self.parents.items()
                for position, parent in enumerate(parents)
            ),
            revisions=tuple(
                RevisionEdge(newer_uid=newer, older_uid=older) for newer, older in self.revisions
            ),
            creations={uid: self._creation(uid) for uid in uids if uid not in self.uncreated},
            latest={model.name: model for model in sorted(present, key=lambda each: each.version)},
        )

    def _summary(self, uid: str, age: int) -> ModelSummary:
        name, version = self.names.get(uid, (uid, 1))
        return ModelSummary(
            uid=uid,
            name=name,
            version=version,
            state=ModelState.REMOVED if uid in self.removed else ModelState.PRESENT,
            created_at=_BEGINNING + timedelta(minutes=age),
        )

    def _creation(self, uid: str) -> CreationRecord:
        if uid in self.merges:
            return record_merge(MergeCall(base_uid=self.merges[uid]))
        return _creation(uid, self.groups.get(uid, ""))


def _edge(child: str, parent: str, position: int, relation: Relation) -> ProvenanceEdge:
    return ProvenanceEdge(
        child_uid=child,
        parent_uid=parent,
        relation=relation,
        position=position,
        weight=0.5,
        origin=EdgeOrigin.DECLARED,
        confidence=None,
        created_at=_BEGINNING,
    )


def _creation(uid: str, group: str) -> CreationRecord:
    return CreationRecord(
        entry_point=f"makers:{uid}",
        code_digest=bytes(32),
        source="source",
        environment={"python": "3"},
        group=group,
        member=uid if group else "",
    )


def counter() -> Callable[[], str]:
    """Gives u0, u1 and so on."""
    numbers = itertools.count()
    return lambda: f"u{next(numbers)}"


def plan(family: Family, **options: object) -> UpdatePlan:
    """The plan of an update from ``base`` to ``base'``."""
    chosen = {
        key: frozenset(value) if isinstance(value, Iterable) else value for key, value in options.items()
    }
    return plan_cascade(family.graph(), replace(PlanOptions(), **chosen), counter())  # type: ignore[arg-type]


def bases(update: UpdatePlan) -> dict[str, str]:
    """What each merge is compared with when it is done again; new models with an apostrophe."""
    old_of = {target.uid: target.old.uid for step in update.steps for target in step.targets}
    found = {
        target.old.uid: merge_base_of(target.creation) for step in update.steps for target in step.targets
    }
    return {
        uid: f"{old_of[base]}'" if base in old_of else base for uid, base in found.items() if base is not None
    }


def told(update: UpdatePlan) -> dict[str, list[str]]:
    """The new parents of each model that is made anew, in the order of the steps; new ones with an apostrophe."""
    old_of = {target.uid: target.old.uid for step in update.steps for target in step.targets}
    return {
        target.old.uid: [
            f"{old_of[link.parent_uid]}'" if link.parent_uid in old_of else link.parent_uid
            for link in target.parents
        ]
        for step in update.steps
        for target in step.targets
    }
