"""Words and values of a merge."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.files import FileList
from mgit_core.layers.graph import LayerGraph
from mgit_core.manifest import Manifest, Parameter

__all__ = [
    "DEFAULT_DENSITY",
    "Conflict",
    "ConflictChoice",
    "Dependence",
    "MergeClass",
    "MergeCounts",
    "MergeOptions",
    "MergeSide",
    "MergeSides",
    "ParameterClass",
    "PlannedParameter",
    "PossibleConflict",
    "SideChange",
]

DEFAULT_DENSITY = 0.2
"""Share of a task vector that TIES keeps by default, as its authors do."""


class SideChange(enum.StrEnum):
    """What one side did to a parameter or file of the base."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    """Other values, of the same data type and shape."""
    CAST = "cast"
    """Another data type, of the same shape."""
    RESHAPED = "reshaped"
    ADDED = "added"
    DELETED = "deleted"


class ParameterClass(enum.StrEnum):
    """Who changed a parameter."""

    UNCHANGED = "unchanged"
    OURS = "ours"
    THEIRS = "theirs"
    SAME = "same"
    """Both sides, to the same content."""
    CONFLICT = "conflict"
    """Both sides, to different content."""


class MergeClass(enum.StrEnum):
    """What a merge is as a whole."""

    NO_CONFLICT = "no-conflict"
    """The changes are disjoint, and neither depends on the other."""
    POSSIBLE_CONFLICT = "possible-conflict"
    """The changes are of different parameters, but one reaches the other, or both reach a third layer."""
    CONFLICT = "conflict"
    """A parameter or file was changed differently by both sides, and nothing was chosen for it."""


class ConflictChoice(enum.StrEnum):
    """What becomes of a parameter that both sides changed differently."""

    OURS = "ours"
    THEIRS = "theirs"
    AVERAGE = "average"
    """The mean of both."""
    TASK_ARITHMETIC = "task-arithmetic"
    """The base and both changes of it."""
    TIES = "ties"
    """The base and the largest parts of both changes, where their signs agree."""

    @property
    def is_computed(self) -> bool:
        """Whether new numbers are computed from both sides."""
        return self not in {ConflictChoice.OURS, ConflictChoice.THEIRS}


class Dependence(enum.StrEnum):
    """Why changes of two layers may spoil each other."""

    SAME_LAYER = "same-layer"
    """Different parameters of one layer."""
    OURS_FEEDS_THEIRS = "ours-feeds-theirs"
    THEIRS_FEEDS_OURS = "theirs-feeds-ours"
    SHARED_LAYER = "shared-layer"
    """Both feed a third one."""
    NOT_KNOWN = "not-known"
    """No data flow is known, so that nothing speaks against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """What was chosen before a merge.

    Attributes:
        on_conflict: What becomes of conflicts that no pattern fits; None leaves them unresolved.
        choices: Shell patterns over parameter names and file paths, each with a choice; the first that fits counts.
        scale: How much of the changes task arithmetic and TIES add to the base.
        density: Share of the numbers of each change that TIES keeps, the largest ones.
    """

    on_conflict: ConflictChoice | None = None
    choices: tuple[tuple[str, ConflictChoice], ...] = ()
    scale: float = 1.0
    density: float = DEFAULT_DENSITY

    def __post_init__(self) -> None:
        """Refuses numbers that cannot be.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        if not math.isfinite(self.scale) or not self.scale:
            raise _invalid(
                "scale", f"The scale of a merge is a finite number other than 0; found {self.scale}."
            )
        if not 0 < self.density <= 1:
            raise _invalid("density", f"The density of TIES is above 0 and at most 1; found {self.density}.")


def _invalid(field: str, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_ARGUMENT, message, field=field)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSide:
    """One of the three models of a merge.

    Attributes:
        manifest: Its parameters.
        graph: Its layers.
        files: Its file list, if there is one.
    """

    manifest: Manifest
    graph: LayerGraph
    files: FileList | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSides:
    """The three models of a merge."""

    base: MergeSide
    ours: MergeSide
    theirs: MergeSide


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedParameter:
    """A parameter of the result.

    Attributes:
        name: Its name.
        source: The parameter that it equals; None for one that is computed.
        choice: How it is computed; None for one that is taken.
        base: The base's, of one that is computed from it too.
        ours: Ours, of a computed one.
        theirs: Theirs, of a computed one.
    """

    name: str
    source: Parameter | None = None
    choice: ConflictChoice | None = None
    base: Parameter | None = None
    ours: Parameter | None = None
    theirs: Parameter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Something that both sides changed differently.

    Attributes:
        names: The parameter; or all that share one memory, which conflict as one; or a file's path.
        layers: Paths of the layers that own them; none for a file.
        ours: What ours did.
        theirs: What theirs did.
        choices: What may be chosen for it.
        choice: What was chosen; None if it is unresolved.
        why: A sentence for a person: what happened, and why a choice that was made could not be used.
        is_file: Whether it is a file.
    """

    names: tuple[str, ...]
    layers: tuple[str, ...]
    ours: SideChange
    theirs: SideChange
    choices: tuple[ConflictChoice, ...]
    choice: ConflictChoice | None
    why: str
    is_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleConflict:
    """Two changes, one of each side, that may spoil each other.

    Attributes:
        ours: Path of the layer that ours changed.
        theirs: Path of the layer that theirs changed.
        dependence: How they depend on each other.
        through: Path of the layer that both feed, for SHARED_LAYER; else empty.
    """

    ours: str
    theirs: str
    dependence: Dependence
    through: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCounts:
    """How many parameters there are of each class, and how many of the conflicts were resolved."""

    unchanged: int = 0
    ours: int = 0
    theirs: int = 0
    same: int = 0
    conflict: int = 0
    resolved: int = 0
