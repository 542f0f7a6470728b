"""Plans a cascade over any DAG (paper, section 3; the released code's defects 12 to 14)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mgit_core.cascade.affected import find_affected, reach
from mgit_core.cascade.bases import MergeBases
from mgit_core.cascade.graph import CascadeGraph, NewParent, PlanOptions
from mgit_core.cascade.values import CascadeStep, StepTarget, UpdatePlan
from mgit_core.creation import CreationRecord, merge_base_of, with_merge_base
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ParentLink, ProvenanceEdge

__all__ = ["MAX_TARGETS", "plan_cascade"]

MAX_TARGETS = 20_000
"""Models that one cascade makes at most."""

_MOST_NAMED = 5


def plan_cascade(graph: CascadeGraph, options: PlanOptions, make_uid: Callable[[], str]) -> UpdatePlan:
    """What an update does: each affected model once, parents first.

    A model is affected if one of its parents is the old model, or is affected; or if it was made in one call with one
    that is. Every parent that this cascade makes is replaced by what it makes, the old model by the new one, and all
    others stay as they are. A merge is done again with what replaces its base, if both sides follow, else with the base
    that it had. Linear in models and edges, but for parents that are to be refreshed, and for each base of merges.

    Args:
        graph: What is known.
        options: What to leave out, and which parents to take.
        make_uid: Gives a new uid at each call, for models and for calls that make several together.

    Raises:
        InvalidArgumentError: INVALID_CASCADE, if what one call makes needs itself, or for too many models.
    """
    affected = find_affected(graph, options)
    if len(affected.uids) > MAX_TARGETS:
        raise _invalid(
            f"An update makes at most {MAX_TARGETS} models; this one would make {len(affected.uids)}. Leave some out "
            "by stopping at models, and update those later."
        )
    planning = _Planning(graph, affected.uids)
    if options.refresh_parents:
        planning.refresh_parents()
    planning.replace_bases()
    return UpdatePlan(
        old=graph.old, new=graph.new, steps=planning.steps(make_uid), left_out=affected.left_out
    )


class _Planning:
    """The affected models as calls, each of one model or of all that were made together."""

    def __init__(self, graph: CascadeGraph, affected: frozenset[str]) -> None:
        self._graph = graph
        self._affected = affected
        self._edges = graph.parents_by_child()
        self._models = {**graph.models, **{model.uid: model for model in graph.latest.values()}}
        self._call_of = {uid: graph.creations[uid].group or uid for uid in affected}
        self._members: dict[str, list[str]] = {}
        for uid in sorted(affected, key=self._age):
            self._members.setdefault(self._call_of[uid], []).append(uid)
        self._parents = {uid: [self._replaced(edge) for edge in self._edges.get(uid, ())] for uid in affected}
        self._needs: dict[str, set[str]] = {call: set() for call in self._members}
        for uid, parents in self._parents.items():
            self._needs[self._call_of[uid]].update(
                self._call_of[parent.uid] for parent in parents if parent.is_affected
            )
        self._replaced_bases: dict[str, str] = {}

    def _age(self, uid: str) -> tuple[datetime, str]:
        return self._graph.models[uid].created_at, uid

    def _replaced(self, edge: ProvenanceEdge) -> NewParent:
        if edge.parent_uid == self._graph.old.uid:
            return NewParent(edge, self._graph.new.uid, is_affected=False)
        return NewParent(edge, edge.parent_uid, is_affected=edge.parent_uid in self._affected)

    def refresh_parents(self) -> None:
        """Take the latest versions of the parents that are not made anew, where that closes no cycle."""
        for uid in sorted(self._affected, key=self._age):
            parents = self._parents[uid]
            for position, parent in enumerate(parents):
                latest = self._graph.latest.get(self._models[parent.uid].name)
                if parent.is_affected or latest is None or parent.like.parent_uid == self._graph.old.uid:
                    continue
                fresh = replace(parent, uid=latest.uid, is_affected=latest.uid in self._affected)
                if not _is_among(fresh, parents) and self._may_need(uid, fresh):
                    parents[position] = fresh
                    if fresh.is_affected:
                        self._needs[self._call_of[uid]].add(self._call_of[fresh.uid])

    def replace_bases(self) -> None:
        """Take what replaces the bases of merges, and wait for it, where that closes no cycle."""
        bases = MergeBases(self._graph, self._affected, self._parents)
        for uid in sorted(self._affected, key=self._age):
            base_uid = merge_base_of(self._graph.creations[uid])
            if base_uid is None or not bases.is_replaced(uid, base_uid):
                continue
            if base_uid in self._affected:
                own, other = self._call_of[uid], self._call_of[base_uid]
                # A base that was made from its own merge by an edge that somebody added later.
                if own == other or own in reach(self._needs, [other]):
                    continue
                self._needs[own].add(other)
            self._replaced_bases[uid] = base_uid

    def _may_need(self, uid: str, parent: NewParent) -> bool:
        """Whether a new model may be made from another one: not if that is made from it."""
        if not parent.is_affected:
            above = reach(
                {child: [edge.parent_uid for edge in edges] for child, edges in self._edges.items()},
                [parent.uid],
            )
            return uid != parent.uid and uid not in above
        own, other = self._call_of[uid], self._call_of[parent.uid]
        return own != other and own not in reach(self._needs, [other])

    def steps(self, make_uid: Callable[[], str]) -> tuple[CascadeStep, ...]:
        """The calls in an order in which each comes after those that it needs; of several the oldest first."""
        calls = self._order()
        numbers = {call: number for number, call in enumerate(calls)}
        uids = {uid: make_uid() for call in calls for uid in self._members[call]}
        # New models are a group of their own: with the old ones they would be one call of twice the members.
        groups = {call: make_uid() for call in calls if self._graph.creations[self._members[call][0]].group}
        return tuple(
            CascadeStep(
                number=numbers[call],
                targets=tuple(self._target(uid, uids, groups.get(call, "")) for uid in self._members[call]),
                needs=tuple(sorted(numbers[need] for need in self._needs[call])),
            )
            for call in calls
        )

    def _target(self, uid: str, uids: Mapping[str, str], group: str) -> StepTarget:
        parents = self._parents[uid]
        return StepTarget(
            uid=uids[uid],
            old=self._graph.models[uid],
            parents=tuple(_link(each, uids) for each in parents),
            parent_refs=tuple(
                f"@{uids[each.uid]}" if each.is_affected else self._models[each.uid].ref for each in parents
            ),
            creation=replace(self._creation(uid, uids), source="", environment={}, group=group),
        )

    def _creation(self, uid: str, uids: Mapping[str, str]) -> CreationRecord:
        """How the model is made anew: as it was made, but for the base of a merge that is replaced."""
        record = self._graph.creations[uid]
        base_uid = self._replaced_bases.get(uid)
        if base_uid is None:
            return record
        return with_merge_base(record, uids.get(base_uid, self._graph.new.uid))

    def _order(self) -> list[str]:
        waits_for = {call: len(needs) for call, needs in self._needs.items()}
        needed_by: dict[str, list[str]] = {call: [] for call in self._needs}
        for call, needs in self._needs.items():
            for need in needs:
                needed_by[need].append(call)
        free = [(self._age(self._members[call][0]), call) for call, count in waits_for.items() if not count]
        heapq.heapify(free)
        ordered: list[str] = []
        while free:
            _, call = heapq.heappop(free)
            ordered.append(call)
            for behind in needed_by[call]:
                waits_for[behind] -= 1
                if not waits_for[behind]:
                    heapq.heappush(free, (self._age(self._members[behind][0]), behind))
        if len(ordered) < len(waits_for):
            raise self._cyclic(call for call in waits_for if call in reach(self._needs, [call]))
        return ordered

    def _cyclic(self, calls: Iterable[str]) -> InvalidArgumentError:
        """The error for calls that need themselves. A model alone cannot: the lineage has no cycles."""
        named = [call for call in calls if len(self._members[call]) > 1 or call in self._needs[call]]
        refs = [self._graph.models[uid].ref for call in named[:1] for uid in self._members[call]]
        told = ", ".join(refs[:_MOST_NAMED]) + (", ..." if len(refs) > _MOST_NAMED else "")
        return _invalid(
            f"One call made {told} together, and one of them is made from what another one is needed for; so no order "
            "has parents first. Leave one of them out by skipping it.",
            group=named[0] if named else "",
        )


def _is_among(parent: NewParent, parents: Sequence[NewParent]) -> bool:
    """Whether a child has this parent already with this relation; pinned versions that are to be refreshed count too."""
    return any(
        (other.uid, other.is_affected, other.like.relation)
        == (parent.uid, parent.is_affected, parent.like.relation)
        for other in parents
    )


def _link(parent: NewParent, uids: Mapping[str, str]) -> ParentLink:
    like = parent.like
    return ParentLink(
        parent_uid=uids[parent.uid] if parent.is_affected else parent.uid,
        relation=like.relation,
        weight=like.weight,
        origin=like.origin,
        confidence=like.confidence,
    )


def _invalid(message: str, **details: object) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_CASCADE, message, **details)
