"""Walks and their models, as a program sees them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from mgit.progress import Progress
from mgit.values import Edge, ModelReference, ModelState, ModelSummary
from mgit_core.lineage import MetadataValue

if TYPE_CHECKING:
    from mgit.model import Model
    from mgit.tensors import Tensors

__all__ = ["Choice", "Chosen", "Walk", "WalkedModel"]


@dataclass(frozen=True, kw_only=True, repr=False)
class WalkedModel:
    """A model of a walk: what a list says of it is here, the rest is looked up when it is first asked for.

    Attributes:
        summary: Name, version, state and time.
        hops: Of the shortest way from the nearest start; 0 for a start.
        look_up: How the rest is looked up; for the SDK's own use.
    """

    summary: ModelSummary
    hops: int
    look_up: Callable[[str], Model] = field(compare=False)

    @property
    def uid(self) -> str:
        """The same wherever the model is copied to."""
        return self.summary.uid

    @property
    def name(self) -> str:
        """Model name."""
        return self.summary.name

    @property
    def version(self) -> int:
        """Version number, from 1."""
        return self.summary.version

    @property
    def ref(self) -> str:
        """``NAME@VERSION``."""
        return self.summary.ref

    @property
    def state(self) -> ModelState:
        """Whether it could be read when the walk began."""
        return self.summary.state

    @property
    def created_at(self) -> datetime:
        """When it was added, UTC."""
        return self.summary.created_at

    @cached_property
    def model(self) -> Model:
        """The whole model, by one call when it is first asked for.

        Raises:
            NotFoundError: MODEL_NOT_FOUND: it was removed since the walk began, and nothing is left of it.
        """
        return self.look_up(f"@{self.uid}")

    @property
    def type(self) -> str | None:
        """Model type; looked up."""
        return self.model.type

    @property
    def metadata(self) -> Mapping[str, MetadataValue]:
        """What its author wrote about it; looked up."""
        return self.model.metadata

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags that point to it, sorted; looked up."""
        return self.model.tags

    @property
    def parents(self) -> tuple[Edge, ...]:
        """Provenance edges to its parents, in order; looked up."""
        return self.model.parents

    @property
    def tensors(self) -> Tensors:
        """Its tensors by name, fetched when they are indexed; as of ``mgit.Model``."""
        return self.model.tensors

    def load(
        self,
        framework: Literal["numpy", "torch"] = "numpy",
        *,
        tensors: Sequence[str] = (),
        progress: Progress = True,
    ) -> Mapping[str, Any]:
        """All parameters in memory, bit for bit; as ``mgit.Model.load``.

        Raises:
            MGitError: As of ``mgit.Model.load``.
        """
        if framework == "torch":
            return self.model.load("torch", tensors=tensors, progress=progress)
        return self.model.load(framework, tensors=tensors, progress=progress)

    def __hash__(self) -> int:
        return hash(self.summary)

    def __repr__(self) -> str:
        return f"<{self.ref}, {self.hops} {'hop' if self.hops == 1 else 'hops'}>"


Choice: TypeAlias = Callable[[WalkedModel], object] | ModelReference | Iterable[ModelReference]
"""Which models: those that a function says yes to, or those that are named."""

Chosen: TypeAlias = Callable[[WalkedModel], object] | list[ModelReference]
"""A choice whose names stand in a list."""


class Walk(Iterator[WalkedModel]):
    """The models of a walk, as they are asked for; iterable once.

    Leaving it before its end, or ``close``, ends the question at the service.
    """

    __slots__ = ("_is_truncated", "_models")

    def __init__(self, models: Generator[WalkedModel, None, bool]) -> None:
        self._models = models
        self._is_truncated: bool | None = None

    def __next__(self) -> WalkedModel:
        try:
            return next(self._models)
        except StopIteration as end:
            # Nothing is said by a walk that was closed, or broke off.
            if end.value is not None:
                self._is_truncated = bool(end.value)
            raise StopIteration from None

    @property
    def truncated(self) -> bool | None:
        """Whether a limit cut the walk; None unless its end was reached."""
        return self._is_truncated

    def close(self) -> None:
        """End the walk here. Idempotent."""
        self._models.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
