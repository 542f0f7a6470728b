"""Which models a cascade makes anew, and why it leaves others as they are."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mgit_core.cascade.graph import CascadeGraph, PlanOptions
from mgit_core.cascade.values import LeaveOutReason, LeftOut
from mgit_core.creation import merge_base_of
from mgit_core.lineage import ModelState

__all__ = ["Affected", "find_affected", "reach"]

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """What becomes of the models below the one that was updated.

    Attributes:
        uids: Those that are made anew.
        left_out: Those that are not, by creation time and uid; the new model and its descendants apart.
    """

    uids: frozenset[str]
    left_out: tuple[LeftOut, ...]


def reach(steps: Mapping[T, Iterable[T]], starts: Iterable[T], *, stop_at: Collection[T] = ()) -> set[T]:
    """All that can be reached from ``starts``, which are not in it unless they are reached; not past ``stop_at``."""
    found: set[T] = set()
    frontier = list(starts)
    while frontier:
        for uid in steps.get(frontier.pop(), ()):
            if uid not in found:
                found.add(uid)
                if uid not in stop_at:
                    frontier.append(uid)
    return found


def find_affected(graph: CascadeGraph, options: PlanOptions) -> Affected:
    """The models that are made anew: those with a parent that is, and what was made in one call with them.

    Linear in models and edges.
    """
    return _Search(graph, options).run()


class _Search:
    def __init__(self, graph: CascadeGraph, options: PlanOptions) -> None:
        self._graph = graph
        self._options = options
        self._children = graph.children_by_parent()
        self._parents = {
            child: [edge.parent_uid for edge in edges] for child, edges in graph.parents_by_child().items()
        }
        self._followers = {graph.new.uid} | reach(self._children, [graph.new.uid])
        versions = [edge.newer_uid for edge in graph.revisions]
        self._settled = {graph.old.uid, *self._followers, *versions, *reach(self._parents, versions)}
        self._groups: dict[str, list[str]] = {}
        for uid, record in graph.creations.items():
            if record.group:
                self._groups.setdefault(record.group, []).append(uid)

    def run(self) -> Affected:
        affected: set[str] = set()
        frontier = [self._graph.old.uid]
        while frontier:
            for child in self._children.get(frontier.pop(), ()):
                for uid in (child, *self._mates(child)):
                    if uid not in affected and self._obstacle(uid) is None:
                        affected.add(uid)
                        frontier.append(uid)
        return Affected(uids=frozenset(affected), left_out=self._left_out(affected))

    def _mates(self, uid: str) -> Iterable[str]:
        """What was made in one call with the model, if that call is to be made anew at all."""
        record = self._graph.creations.get(uid)
        if record is None or not record.group or self._obstacle(uid) is not None:
            return ()
        return self._groups[record.group]

    def _obstacle(self, uid: str) -> LeaveOutReason | None:
        """Why the model cannot be made anew, whatever becomes of its parents."""
        graph, options = self._graph, self._options
        holds = {
            LeaveOutReason.PRECEDES_NEW: uid in self._settled,
            LeaveOutReason.REMOVED: graph.models[uid].state is ModelState.REMOVED,
            LeaveOutReason.SKIPPED: uid in options.skip,
            LeaveOutReason.STOPPED: uid in options.stop_at,
            LeaveOutReason.NO_CREATION_FUNCTION: uid not in graph.creations,
            LeaveOutReason.PARENT_REMOVED: any(map(self._is_lost, self._parents.get(uid, ())))
            or self._has_lost_base(uid),
        }
        return next((reason for reason, is_so in holds.items() if is_so), None)

    def _is_lost(self, parent: str) -> bool:
        """Whether a parent was removed and nothing takes its place."""
        model = self._graph.models[parent]
        if model.state is not ModelState.REMOVED or parent == self._graph.old.uid:
            return False
        return not (self._options.refresh_parents and model.name in self._graph.latest)

    def _has_lost_base(self, uid: str) -> bool:
        """Whether a merge has a base that was removed, or never came here. No other model takes its place then."""
        record = self._graph.creations.get(uid)
        base_uid = None if record is None else merge_base_of(record)
        if base_uid is None:
            return False
        base = self._graph.models.get(base_uid)
        return base is None or base.state is ModelState.REMOVED

    def _left_out(self, affected: set[str]) -> tuple[LeftOut, ...]:
        starts = [self._graph.old.uid, *affected]
        below = reach(self._children, starts) - affected - self._followers
        open_ways = reach(self._children, starts, stop_at=self._options.stop_at)
        made = affected | {self._graph.old.uid}
        models = sorted(
            (self._graph.models[uid] for uid in below), key=lambda each: (each.created_at, each.uid)
        )
        return tuple(
            LeftOut(model=model, reason=self._reason(model.uid, made, is_open=model.uid in open_ways))
            for model in models
        )

    def _reason(self, uid: str, made: set[str], *, is_open: bool) -> LeaveOutReason:
        obstacle = self._obstacle(uid)
        if obstacle is not None and obstacle in _ITS_OWN:
            return obstacle
        if not is_open:
            return LeaveOutReason.STOPPED
        if not made.intersection(self._parents.get(uid, ())):
            return LeaveOutReason.UNCHANGED
        return obstacle or LeaveOutReason.UNCHANGED


# What holds of a model whether or not one of its parents is made anew.
_ITS_OWN = frozenset(
    {
        LeaveOutReason.PRECEDES_NEW,
        LeaveOutReason.REMOVED,
        LeaveOutReason.SKIPPED,
        LeaveOutReason.STOPPED,
    }
)
