"""What differs between two models, as values that are falsy where nothing does."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace

from mgit_core.digest import Digest
from mgit_core.layers.graph import Layer, LayerGraphSource
from mgit_core.tensor import TensorSpec

__all__ = [
    "DiffState",
    "FlowDiff",
    "LayerDiff",
    "ParameterChange",
    "ParameterDiff",
    "ParameterSide",
    "StructuralDiff",
]


class DiffState(enum.StrEnum):
    """What became of a layer, of data flow or of a parameter from before to after."""

    EQUAL = "equal"
    CHANGED = "changed"
    """There before and after, but not alike."""
    ADDED = "added"
    REMOVED = "removed"


_MIRRORED = {DiffState.ADDED: DiffState.REMOVED, DiffState.REMOVED: DiffState.ADDED}


def _state(before: object, after: object, *, is_equal: bool) -> DiffState:
    if before is None:
        return DiffState.ADDED
    if after is None:
        return DiffState.REMOVED
    return DiffState.EQUAL if is_equal else DiffState.CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDiff:
    """A layer before and after. At least one of the two is there.

    Attributes:
        before: None for an added layer.
        after: None for a removed one.
        is_alike: Whether kind, attributes and the shapes of parameters agree; never for an added or removed one.
        before_at: Its place among the layers of before, from 0; None for an added one.
        after_at: Its place among those of after; None for a removed one.
    """

    before: Layer | None
    after: Layer | None
    is_alike: bool
    before_at: int | None = None
    after_at: int | None = None

    @property
    def state(self) -> DiffState:
        """Equal means alike in structure; its parameters may have other values."""
        return _state(self.before, self.after, is_equal=self.is_alike)

    @property
    def is_renamed(self) -> bool:
        """Whether it stands at another path than before."""
        return self.before is not None and self.after is not None and self.before.path != self.after.path

    @property
    def path(self) -> str:
        """Where it is, or was if it was removed."""
        layer = self.after or self.before
        return layer.path if layer else ""

    def __bool__(self) -> bool:
        return self.state is not DiffState.EQUAL or self.is_renamed

    def mirrored(self) -> LayerDiff:
        """The same, told from after to before."""
        return replace(
            self,
            before=self.after,
            after=self.before,
            before_at=self.after_at,
            after_at=self.before_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowDiff:
    """That one layer's output feeds another, in one of the models or in both.

    Attributes:
        giver: Path of the layer whose output it is: before for removed flow, else after.
        taker: Path of the layer that takes it, in the same model.
        state: Never changed.
    """

    giver: str
    taker: str
    state: DiffState

    def mirrored(self) -> FlowDiff:
        """The same, told from after to before. Equal flow keeps its paths, which may be others there."""
        return replace(self, state=_MIRRORED.get(self.state, self.state))


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuralDiff:
    """Which layers and which data flow differ. Falsy if none do and nothing was renamed.

    Attributes:
        layers: Those that differ or were renamed, and all others too where they were asked for: in the order of
            before, then added ones in the order of after.
        flow: Data flow that differs, and all other too where it was asked for. Empty where it is not known.
        equal_layers: Number of layers that are alike, renamed ones included.
        equal_flow: Number of edges of data flow that both have.
        items: Layers that were added, removed or changed, and edges of data flow that were added or removed.
        least_items: No diff has fewer items than these; equal to ``items`` where this one is known to be minimal.
        source: Where the compared layer graphs come from; of two different sources that of before.
        note: What a reader should know; empty if there is nothing.
    """

    layers: tuple[LayerDiff, ...] = ()
    flow: tuple[FlowDiff, ...] = ()
    equal_layers: int = 0
    equal_flow: int = 0
    items: int = 0
    least_items: int = 0
    source: LayerGraphSource = LayerGraphSource.NAMES
    note: str = ""

    @property
    def is_minimal(self) -> bool:
        """Whether it is known that no diff has fewer items."""
        return self.items == self.least_items

    def __bool__(self) -> bool:
        return bool(self.items) or any(layer.is_renamed for layer in self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSide:
    """A parameter in one of the models.

    Attributes:
        name: Its name there.
        spec: Data type and shape.
        digest: Identity of the tensor.
    """

    name: str
    spec: TensorSpec
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterChange:
    """By how much the numbers of a parameter differ. A complex item is two numbers.

    Numbers that are NaN or infinite on either side count as ``not_finite`` and are left out of all sums, which are
    taken in float64. Integers beyond 2^53 are rounded to it, except in ``differing``.

    Attributes:
        compared: Numbers that both sides have. Of shapes that differ in the first axis alone the common rows.
        differing: Those whose bits differ; of two data types those whose values do.
        not_finite: Those that are NaN or infinite on either side.
        before_zeros: Zeros before.
        after_zeros: Zeros after.
        before_norm: L2 norm before.
        after_norm: L2 norm after.
        change_norm: L2 norm of the difference.
        largest: Largest absolute difference.
        cosine: Of the angle between both; None where one has no length, or none that float64 can hold.
        rank: Numerical rank of the difference of two matrices of floats, the first axis being the rows; None where it
            is not told. Directions that the rounding of the data types hides do not count, so a mere cast has rank 0.
        rank_is_bound: Whether the rank may be higher: more than ``rank`` is not looked for.
    """

    compared: int
    differing: int
    not_finite: int = 0
    before_zeros: int = 0
    after_zeros: int = 0
    before_norm: float = 0.0
    after_norm: float = 0.0
    change_norm: float = 0.0
    largest: float = 0.0
    cosine: float | None = None
    rank: int | None = None
    rank_is_bound: bool = False

    @property
    def relative(self) -> float | None:
        """L2 norm of the difference beside that of before; None where before has no length but the difference has."""
        if not self.change_norm:
            return 0.0
        relative = self.change_norm / self.before_norm if self.before_norm else math.inf
        return relative if math.isfinite(relative) else None

    def mirrored(self) -> ParameterChange:
        """The same, told from after to before."""
        return replace(
            self,
            before_zeros=self.after_zeros,
            after_zeros=self.before_zeros,
            before_norm=self.after_norm,
            after_norm=self.before_norm,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterDiff:
    """A parameter before and after. At least one of the two is there.

    Attributes:
        before: None for an added parameter.
        after: None for a removed one.
        change: By how much its numbers differ; None where that was not asked for, or shapes cannot be compared.
    """

    before: ParameterSide | None
    after: ParameterSide | None
    change: ParameterChange | None = None

    @property
    def state(self) -> DiffState:
        """Equal means the same bits; it may be renamed then."""
        is_equal = (
            self.before is not None and self.after is not None and self.before.digest == self.after.digest
        )
        return _state(self.before, self.after, is_equal=is_equal)

    @property
    def is_renamed(self) -> bool:
        """Whether it has another name than before."""
        return self.before is not None and self.after is not None and self.before.name != self.after.name

    @property
    def is_cast(self) -> bool:
        """Whether its data type is another one."""
        return (
            self.before is not None
            and self.after is not None
            and self.before.spec.dtype != self.after.spec.dtype
        )

    @property
    def is_reshaped(self) -> bool:
        """Whether its shape is another one."""
        return (
            self.before is not None
            and self.after is not None
            and self.before.spec.shape != self.after.spec.shape
        )

    @property
    def name(self) -> str:
        """Its name, or what it was if it was removed."""
        side = self.after or self.before
        return side.name if side else ""

    def __bool__(self) -> bool:
        return self.state is not DiffState.EQUAL or self.is_renamed

    def mirrored(self) -> ParameterDiff:
        """The same, told from after to before."""
        change = None if self.change is None else self.change.mirrored()
        return replace(self, before=self.after, after=self.before, change=change)
