"""Plans a merge: from manifests, file lists and layer graphs alone, no value of a tensor is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mgit_core.coding.numbers import format_of_dtype
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.manifest import Manifest
from mgit_core.merge.comparing import ComparedUnit, Versions, compare_sides
from mgit_core.merge.depending import DataFlow, unite_flows
from mgit_core.merge.files import FilePlan, plan_files
from mgit_core.merge.values import (
    Conflict,
    ConflictChoice,
    MergeClass,
    MergeCounts,
    MergeOptions,
    MergeSides,
    ParameterClass,
    PlannedParameter,
    PossibleConflict,
    SideChange,
)

__all__ = ["MergePlan", "choice_for", "plan_merge"]

_FEWEST_IN_COMMON = 1
_SHOWN_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePlan:
    """What a merge makes.

    Attributes:
        parameters: Of the result, in its order; empty with conflicts that are unresolved.
        files: Of the result.
        conflicts: What both sides changed differently, resolved or not, parameters before files.
        possible: Changes that may spoil each other.
        counts: Parameters by class.
        notes: What a person should know.
    """

    parameters: tuple[PlannedParameter, ...]
    files: FilePlan
    conflicts: tuple[Conflict, ...]
    possible: tuple[PossibleConflict, ...]
    counts: MergeCounts
    notes: tuple[str, ...]

    @property
    def kind(self) -> MergeClass:
        """What the merge is as a whole, with the choices that were made."""
        if any(conflict.choice is None for conflict in self.conflicts):
            return MergeClass.CONFLICT
        return MergeClass.POSSIBLE_CONFLICT if self.possible else MergeClass.NO_CONFLICT


def plan_merge(sides: MergeSides, options: MergeOptions) -> MergePlan:
    """The merge of two models against a base.

    Does not depend on the order of the sides where no choice names one: swapped sides give the same parameters.

    Raises:
        FailedPreconditionError: MODELS_UNLIKE, if the models have no parameter name in common.
    """
    _check_alike(sides)
    flow = unite_flows(sides)
    units = compare_sides(sides)
    resolved = [_resolve(unit, flow, options) for unit in units]
    files = plan_files(sides, lambda path: choice_for((path,), options))
    conflicts = [conflict for _, conflict in resolved if conflict is not None] + list(files.conflicts)
    is_whole = all(conflict.choice is not None for conflict in conflicts)
    return MergePlan(
        parameters=tuple(_result(sides, units, resolved)) if is_whole else (),
        files=files,
        conflicts=tuple(conflicts),
        possible=_possible(flow, units, resolved),
        counts=_counts(units, resolved),
        notes=(*flow.notes, *files.notes),
    )


def choice_for(names: Sequence[str], options: MergeOptions) -> ConflictChoice | None:
    """What was chosen for names that conflict as one: the first pattern that fits any of them, else the default."""
    for pattern, choice in options.choices:
        if any(fnmatchcase(name, pattern) for name in names):
            return choice
    return options.on_conflict


def _check_alike(sides: MergeSides) -> None:
    base, ours, theirs = (
        {parameter.name for parameter in side.manifest.parameters}
        for side in (sides.base, sides.ours, sides.theirs)
    )
    common = base & ours & theirs
    if len(common) >= _FEWEST_IN_COMMON or not (base or ours or theirs):
        return
    shown = "; ".join(
        f"{who}: {', '.join(sorted(names)[:_SHOWN_NAMES]) or 'none'}"
        for who, names in (("base", base), ("ours", ours), ("theirs", theirs))
    )
    raise FailedPreconditionError(
        ErrorReason.MODELS_UNLIKE,
        f"A merge goes parameter by parameter, but base, ours and theirs have none in common. They begin with {shown}.",
    )


def _resolve(
    unit: ComparedUnit, flow: DataFlow, options: MergeOptions
) -> tuple[ConflictChoice | None, Conflict | None]:
    """What becomes of a unit: whose it is, and the conflict that it is, if it is one."""
    if unit.kind is not ParameterClass.CONFLICT:
        return (ConflictChoice.THEIRS if unit.kind is ParameterClass.THEIRS else ConflictChoice.OURS), None
    names = tuple(member.name for member in unit.members)
    applicable = tuple(choice for choice in ConflictChoice if _is_applicable(unit, choice))
    wanted = choice_for(names, options)
    choice = wanted if wanted in applicable else None
    conflict = Conflict(
        names=names,
        layers=flow.layers_of(names).paths,
        ours=unit.ours,
        theirs=unit.theirs,
        choices=applicable,
        choice=choice,
        why=_why(unit, wanted if choice is None else None),
    )
    return choice, conflict


def _is_applicable(unit: ComparedUnit, choice: ConflictChoice) -> bool:
    return not choice.is_computed or all(_is_computable(member, choice) for member in unit.members)


def _is_computable(member: Versions, choice: ConflictChoice) -> bool:
    needed = [member.ours, member.theirs]
    if choice is not ConflictChoice.AVERAGE:
        needed.append(member.base)
    found = [parameter.spec for parameter in needed if parameter is not None]
    return (
        len(found) == len(needed)
        and all(spec == found[0] for spec in found)
        and format_of_dtype(found[0].dtype).is_float
    )


_WORDS = {
    SideChange.UNCHANGED: "did not change it alone",  # Of parameters that share memory, one may be untouched.
    SideChange.CHANGED: "changed its values",
    SideChange.CAST: "changed its data type",
    SideChange.RESHAPED: "changed its shape",
    SideChange.ADDED: "added it",
    SideChange.DELETED: "deleted it",
}


def _why(unit: ComparedUnit, refused: ConflictChoice | None) -> str:
    words = [_WORDS[unit.ours], _WORDS[unit.theirs]]
    told = f"both {words[0]}" if words[0] == words[1] else f"ours {words[0]}, theirs {words[1]}"
    if refused is None:
        return told
    specs = dict.fromkeys(
        f"{parameter.spec.dtype} {parameter.spec.shape}"
        for member in unit.members
        for parameter in (member.base, member.ours, member.theirs)
        if parameter is not None
    )
    return f"{told}; {refused} takes floats of one type and shape, found {', '.join(specs)}"


def _result(
    sides: MergeSides,
    units: Sequence[ComparedUnit],
    resolved: Sequence[tuple[ConflictChoice | None, Conflict | None]],
) -> Iterator[PlannedParameter]:
    """The parameters of the result, in its order."""
    planned: dict[str, PlannedParameter] = {}
    for unit, (choice, _) in zip(units, resolved, strict=True):
        for member in unit.members:
            parameter = _planned(member, choice)
            if parameter is not None:
                planned[member.name] = parameter
    yield from (planned[name] for name in _order(sides, planned))


def _planned(member: Versions, choice: ConflictChoice | None) -> PlannedParameter | None:
    if choice is None or not choice.is_computed:
        source = member.theirs if choice is ConflictChoice.THEIRS else member.ours
        return None if source is None else PlannedParameter(name=member.name, source=source)
    if member.ours is not None and member.theirs is not None and member.ours.digest == member.theirs.digest:
        # One of several that share memory, on which the sides agree.
        return PlannedParameter(name=member.name, source=member.ours)
    base = None if choice is ConflictChoice.AVERAGE else member.base
    return PlannedParameter(
        name=member.name, choice=choice, base=base, ours=member.ours, theirs=member.theirs
    )


def _order(sides: MergeSides, kept: Iterable[str]) -> list[str]:
    """Names in the order of the result: that of the side which changed it, else the base's and then by name."""
    base, ours, theirs = (_names(side.manifest) for side in (sides.base, sides.ours, sides.theirs))
    wanted = set(kept)
    if theirs in (base, ours) and wanted == set(ours):
        return ours
    if ours == base and wanted == set(theirs):
        return theirs
    known = set(base)
    return [name for name in base if name in wanted] + sorted(wanted - known)


def _names(manifest: Manifest) -> list[str]:
    return [parameter.name for parameter in manifest.parameters]


def _possible(
    flow: DataFlow,
    units: Sequence[ComparedUnit],
    resolved: Sequence[tuple[ConflictChoice | None, Conflict | None]],
) -> tuple[PossibleConflict, ...]:
    """Pairs of changes that may spoil each other and that nobody decided about.

    A conflict for which something was chosen is decided. Beside another decided one it is as it was wanted; beside a
    change of the other side of which the choice knew nothing it is a change like all others.
    """
    ours: list[str] = []
    theirs: list[str] = []
    chosen: dict[ConflictChoice | None, list[str]] = {}
    for unit, (choice, _) in zip(units, resolved, strict=True):
        names = [member.name for member in unit.members]
        if unit.kind is ParameterClass.OURS:
            ours += names
        elif unit.kind is ParameterClass.THEIRS:
            theirs += names
        elif unit.kind is ParameterClass.CONFLICT:
            chosen.setdefault(choice, []).extend(names)
    both = [
        name for choice, names in chosen.items() if choice is None or choice.is_computed for name in names
    ]
    of_ours = flow.layers_of(ours)
    against_ours = flow.layers_of(theirs + chosen.get(ConflictChoice.THEIRS, []) + both)
    against_theirs = flow.layers_of(chosen.get(ConflictChoice.OURS, []) + both)
    return (
        *flow.find_dependences(of_ours, against_ours),
        *flow.find_dependences(against_theirs, flow.layers_of(theirs)),
    )


def _counts(
    units: Sequence[ComparedUnit], resolved: Sequence[tuple[ConflictChoice | None, Conflict | None]]
) -> MergeCounts:
    found: Counter[ParameterClass] = Counter()
    settled = 0
    for unit, (choice, conflict) in zip(units, resolved, strict=True):
        found[unit.kind] += len(unit.members)
        settled += len(unit.members) if conflict is not None and choice is not None else 0
    return MergeCounts(**{kind.value: found[kind] for kind in ParameterClass}, resolved=settled)
