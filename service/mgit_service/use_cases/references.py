"""References resolved: from what people write to the uids that edges are pinned to."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.lineage import EdgeOrigin, Model, ParentLink, Relation, RequestKey
from mgit_core.names import parse_reference
from mgit_core.ports.graph import Lineage

__all__ = [
    "NO_UID",
    "ParentRequest",
    "change_resolved",
    "find_model",
    "find_readable",
    "resolve_parent",
    "resolve_uid",
    "resolve_uids",
]

Answer = TypeVar("Answer")
Target = TypeVar("Target")

NO_UID = "00000000-0000-0000-0000-000000000000"
"""No model has it; a change of it finds nothing but the answer to an earlier call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentRequest:
    """A provenance edge that a child asks for, its parent still by reference.

    Attributes:
        reference: Of an existing model, as it was written.
        relation: How the child was made from it.
        weight: Share of the parent, if known.
        origin: Who says so.
        confidence: Between 0 and 1 for an inferred edge, else None.
    """

    reference: str
    relation: Relation = Relation.DERIVED
    weight: float | None = None
    origin: EdgeOrigin = EdgeOrigin.DECLARED
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuses numbers that cannot be.

        Raises:
            InvalidArgumentError: INVALID_RELATION.
        """
        if self.weight is not None and not math.isfinite(self.weight):
            raise _invalid(f"The weight of parent {self.reference[:80]!r} is a finite number.")
        if (self.origin is EdgeOrigin.INFERRED) != (self.confidence is not None):
            raise _invalid(
                f"An inferred edge has a confidence and no other has; that to {self.reference[:80]!r} is "
                f"{self.origin} with confidence {self.confidence}."
            )
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise _invalid(f"A confidence is between 0 and 1; found {self.confidence}.")


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_RELATION, message)


async def find_model(lineage: Lineage, reference: str) -> Model:
    """The model that ``reference`` names; a removed one only by uid or number.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    return await lineage.models.get(parse_reference(reference))


async def find_readable(lineage: Lineage, reference: str) -> Model:
    """As ``find_model``, and a staged model by its uid: it may be read and tested, though no question meets it."""
    parsed = parse_reference(reference)
    try:
        return await lineage.models.get(parsed)
    except NotFoundError:
        if parsed.uid is None:
            raise
        return await lineage.staging.get(parsed.uid)


async def resolve_uid(lineage: Lineage, reference: str) -> str:
    """The uid that ``reference`` names. One that is written as a uid may be of no model: nothing is asked.

    Raises:
        As ``find_model``.
    """
    parsed = parse_reference(reference)
    return parsed.uid if parsed.uid is not None else (await lineage.models.get(parsed)).uid


async def resolve_uids(lineage: Lineage, references: Sequence[str]) -> list[str]:
    """The uid of each reference, each uid once, in order.

    Raises:
        As ``find_model``.
    """
    return list(dict.fromkeys([await resolve_uid(lineage, reference) for reference in references]))


async def resolve_parent(lineage: Lineage, parent: ParentRequest) -> ParentLink:
    """The edge with its parent pinned to a model that exists.

    Raises:
        NotFoundError: PARENT_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    try:
        model = await find_model(lineage, parent.reference)
    except NotFoundError as error:
        raise NotFoundError(
            ErrorReason.PARENT_NOT_FOUND,
            f"The parent {parent.reference[:300]!r} does not exist: {error.message}",
            reference=parent.reference,
        ) from error
    return ParentLink(
        parent_uid=model.uid,
        relation=parent.relation,
        weight=parent.weight,
        origin=parent.origin,
        confidence=parent.confidence,
    )


async def change_resolved(
    target: Awaitable[Target],
    change: Callable[[Target], Awaitable[Answer]],
    *,
    nothing: Target,
    request: RequestKey | None,
) -> Answer:
    """The answer of ``change`` for the target that references name.

    A change may take away what its own references need: the first removal of a model leaves nothing for a
    repeat to find. A repeat must still get the first answer, so with a request id the change is asked even
    where the references name nothing any more.

    Args:
        target: Resolves the references.
        change: Changes the graph; must carry ``request``.
        nothing: A target that names nothing.
        request: Makes the change idempotent.

    Raises:
        MGitError: What ``target`` and ``change`` raise.
    """
    try:
        found = await target
    except NotFoundError as missing:
        if request is None:
            raise
        try:
            return await change(nothing)
        except NotFoundError:
            raise missing from None
    return await change(found)
