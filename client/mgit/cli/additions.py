"""What adding a model did, as a document and in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mgit.cli.documents import document_of_model
from mgit.cli.formatting import format_bytes, format_seconds
from mgit.cli.invocation import Invocation

if TYPE_CHECKING:
    from mgit.model import Model
    from mgit.values import Addition

__all__ = ["answer_added"]


def answer_added(invocation: Invocation, model: Model) -> None:
    """Print a model that was just added; what that did goes to standard error."""
    addition = model.addition
    assert addition is not None  # noqa: S101 - adding always says what it did
    document = {
        **document_of_model(model),
        "new_bytes": addition.new_bytes,
        "sent_bytes": addition.sent_bytes,
        "seconds": addition.seconds,
        "same_as": list(addition.same_as),
        "repeated": addition.repeated,
        "notes": list(addition.notes),
    }
    for line in _notes(model.size_bytes, addition):
        invocation.tell(line)
    invocation.answer(document, lambda: [model.ref], [model.ref])


def _notes(size_bytes: int, addition: Addition) -> Iterator[str]:
    yield (
        f"{format_bytes(size_bytes)} of tensors, {format_bytes(addition.sent_bytes)} sent, "
        f"{format_bytes(addition.new_bytes)} new in the store, {format_seconds(addition.seconds)}"
    )
    if addition.same_as:
        yield f"Its parameters are exactly those of {', '.join(addition.same_as)}."
    yield from addition.notes
