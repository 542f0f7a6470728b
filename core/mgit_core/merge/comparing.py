"""What each side did to each parameter of the base; parameters that share one memory count as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mgit_core.manifest import Parameter
from mgit_core.merge.values import MergeSides, ParameterClass, SideChange

__all__ = ["ComparedUnit", "Versions", "change_of", "classify", "compare_sides"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """One parameter in the three models; None where a model lacks it."""

    name: str
    base: Parameter | None
    ours: Parameter | None
    theirs: Parameter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedUnit:
    """A parameter, or those that share one memory in any of the three models.

    Attributes:
        members: In the order of the base, then of ours, then of theirs.
        kind: Who changed them.
        ours: What ours did, of the first member that it changed.
        theirs: What theirs did, likewise.
    """

    members: tuple[Versions, ...]
    kind: ParameterClass
    ours: SideChange
    theirs: SideChange


def compare_sides(sides: MergeSides) -> tuple[ComparedUnit, ...]:
    """All units, in the order of their first members: the base's order, then what ours and theirs added."""
    indexes = [
        {parameter.name: parameter for parameter in side.manifest.parameters}
        for side in (sides.base, sides.ours, sides.theirs)
    ]
    base, ours, theirs = indexes
    names = list(dict.fromkeys((*base, *ours, *theirs)))
    ties = [tie for side in (sides.base, sides.ours, sides.theirs) if side.files for tie in side.files.ties]
    return tuple(
        _compare(
            [
                Versions(name=name, base=base.get(name), ours=ours.get(name), theirs=theirs.get(name))
                for name in unit
            ]
        )
        for unit in _units(names, ties)
    )


def classify(base: object, ours: object, theirs: object) -> ParameterClass:
    """The class of a thing by its content in the three models; equal content compares equal."""
    if ours == theirs:
        return ParameterClass.UNCHANGED if ours == base else ParameterClass.SAME
    if ours == base:
        return ParameterClass.THEIRS
    return ParameterClass.OURS if theirs == base else ParameterClass.CONFLICT


def change_of(base: Parameter | None, side: Parameter | None) -> SideChange:
    """What a side did to a parameter."""
    if base is None:
        return SideChange.UNCHANGED if side is None else SideChange.ADDED
    if side is None:
        return SideChange.DELETED
    if side.digest == base.digest:
        return SideChange.UNCHANGED
    if side.spec.shape != base.spec.shape:
        return SideChange.RESHAPED
    return SideChange.CHANGED if side.spec.dtype == base.spec.dtype else SideChange.CAST


def _compare(members: Sequence[Versions]) -> ComparedUnit:
    contents = [
        [None if each is None else each.digest for each in (one.base, one.ours, one.theirs)]
        for one in members
    ]
    base, ours, theirs = zip(*contents, strict=True)
    return ComparedUnit(
        members=tuple(members),
        kind=classify(base, ours, theirs),
        ours=_first_change(change_of(one.base, one.ours) for one in members),
        theirs=_first_change(change_of(one.base, one.theirs) for one in members),
    )


def _first_change(changes: Iterable[SideChange]) -> SideChange:
    return next((change for change in changes if change is not SideChange.UNCHANGED), SideChange.UNCHANGED)


def _units(names: Sequence[str], ties: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """The names in groups: connected by ties, each group at the place of its first name."""
    group_of = {name: [name] for name in names}
    for tie in ties:
        known = [name for name in tie if name in group_of]
        for name in known[1:]:
            into, other = group_of[known[0]], group_of[name]
            if into is not other:
                into += other
                group_of.update(dict.fromkeys(other, into))
    place = {name: at for at, name in enumerate(names)}
    seen: set[int] = set()
    for name in names:
        group = group_of[name]
        if id(group) not in seen:
            seen.add(id(group))
            yield sorted(group, key=place.__getitem__)
