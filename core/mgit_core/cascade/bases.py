"""Which base a merge has when it is done again: the one that was recorded, or what takes that one's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from mgit_core.cascade.affected import reach
from mgit_core.cascade.graph import CascadeGraph, NewParent
from mgit_core.lineage import Relation

__all__ = ["MergeBases"]

# A model that exists, or what replaces an affected one.
_Node: TypeAlias = tuple[str, bool]
_SIDES = 2


class MergeBases:
    """Compares sides with what they came from: a base is replaced only together with both sides of its merge.

    A side that stays as it was came from the old base. Compared with the new one, it would seem to take back all that
    the update brought, and the merge would name conflicts where there are none, or lose the update.

    Args:
        graph: What is known.
        affected: UIDs of the models that are made anew.
        parents: What each of them is made from then.
    """

    def __init__(
        self, graph: CascadeGraph, affected: frozenset[str], parents: Mapping[str, Sequence[NewParent]]
    ) -> None:
        self._graph = graph
        self._affected = affected
        self._parents = parents
        self._children = graph.children_by_parent()
        self._new_children: dict[_Node, set[_Node]] = {}
        for edge in graph.edges:
            self._new_children.setdefault((edge.parent_uid, False), set()).add((edge.child_uid, False))
        for uid, made_from in parents.items():
            for parent in made_from:
                self._new_children.setdefault((parent.uid, parent.is_affected), set()).add((uid, True))
        self._below: dict[str, tuple[set[str], set[_Node]]] = {}

    def is_replaced(self, uid: str, base_uid: str) -> bool:
        """Whether the new model of a merge is compared with what replaces its base.

        So it is if the base is replaced, each new side that came from the base comes from its replacement, and each
        other one is replaced too.

        Args:
            uid: The merge, an affected model.
            base_uid: Its recorded base.
        """
        if base_uid not in self._affected and base_uid != self._graph.old.uid:
            return False
        sides = [parent for parent in self._parents[uid] if parent.like.relation is Relation.MERGED]
        return all(self._follows(side, base_uid) for side in sides[:_SIDES])

    def _follows(self, side: NewParent, base_uid: str) -> bool:
        old, new = self._families(base_uid)
        if side.like.parent_uid in old:
            return (side.uid, side.is_affected) in new
        return side.is_affected or side.like.parent_uid == self._graph.old.uid

    def _families(self, base_uid: str) -> tuple[set[str], set[_Node]]:
        """A base with all that was made from it, and its replacement with all that is."""
        if base_uid not in self._below:
            is_affected = base_uid in self._affected
            new: _Node = (base_uid if is_affected else self._graph.new.uid, is_affected)
            self._below[base_uid] = (
                {base_uid} | reach(self._children, [base_uid]),
                {new} | reach(self._new_children, [new]),
            )
        return self._below[base_uid]
