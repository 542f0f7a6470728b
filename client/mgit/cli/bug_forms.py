"""Bugs and whom they reach, as JSON and for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mgit.bugs import BugReach, subject_text
from mgit.cli.documents import Document, document_of_summary
from mgit.cli.formatting import format_fields, format_moment, format_table
from mgit.values import ModelState, ModelSummary
from mgit_core.bugs import AffectedReason
from mgit_core.lineage import Relation

if TYPE_CHECKING:
    from mgit_core.bugs import AffectedModel, Bug

__all__ = ["bug_fields", "bug_lines", "document_of_bug", "document_of_reach", "reach_lines"]

_ARROW = " -> "
# A longer way is cut in the middle for a person; JSON has all of it.
_SHOWN_ENDS = 3
_TITLE_WIDTH = 48
_WHY = {
    AffectedReason.DIRECT: "reported on it",
    AffectedReason.TENSOR: "holds the tensor",
    AffectedReason.DATASET: "trained on the data set",
    AffectedReason.INHERITED: "inherited",
}


def document_of_bug(bug: Bug) -> Document:
    """A bug with all that is known of it."""
    return {
        "id": bug.id,
        "title": bug.title,
        "description": bug.description,
        "severity": bug.severity.value,
        "state": bug.state.value,
        "affects": [subject_text(subject) for subject in bug.affects],
        "carried_by": [relation.value for relation in bug.carried_by],
        "fixed_in": [document_of_summary(model) for model in bug.fixed_in],
        "created_at": bug.created_at.isoformat(timespec="milliseconds"),
        "updated_at": bug.updated_at.isoformat(timespec="milliseconds"),
    }


def document_of_reach(reach: BugReach) -> Document:
    """Whom a bug reaches."""
    return {
        "models": [
            {
                **document_of_summary(affected.model),
                "reason": affected.reason.value,
                "witness": [model.ref for model in reach.witness(affected)],
                "hops": affected.hops,
                "is_inferred": affected.is_inferred,
                "tags": list(affected.tags),
            }
            for affected in reach.models
        ],
        "unknown": [document_of_summary(model) for model in reach.unknown],
        "cleared": [document_of_summary(model) for model in reach.cleared],
        "tags": [{"tag": tag, "ref": model.ref} for tag, model in reach.tags.items()],
        "truncated": reach.truncated,
    }


def bug_fields(bug: Bug) -> Iterator[str]:
    """A bug for a person, without its description."""
    every = len(bug.carried_by) == len(Relation)
    return format_fields(
        [
            ("bug", bug.id),
            ("title", bug.title),
            ("severity", bug.severity.value),
            ("state", bug.state.value),
            *(("affects", subject_text(subject)) for subject in bug.affects),
            ("carried by", "every relation" if every else ", ".join(bug.carried_by)),
            *(("fixed in", _named(model)) for model in bug.fixed_in),
            ("reported", format_moment(bug.created_at)),
            ("changed", format_moment(bug.updated_at)),
        ]
    )


def bug_lines(bugs: Sequence[Bug]) -> Iterator[str]:
    """A table of bugs."""
    rows = [
        (
            bug.id,
            bug.severity.value,
            bug.state.value,
            bug.title if len(bug.title) <= _TITLE_WIDTH else f"{bug.title[: _TITLE_WIDTH - 3]}...",
            _shortened([subject_text(subject) for subject in bug.affects], ", "),
            str(len(bug.fixed_in) or ""),
        )
        for bug in bugs
    ]
    headers = ("BUG", "SEVERITY", "STATE", "TITLE", "AFFECTS", "FIXES")
    return format_table(headers, rows, "lllllr") if rows else iter(())


def reach_lines(reach: BugReach) -> Iterator[str]:
    """Whom a bug reaches: a table, then what is beside it."""
    rows = [(_named(each.model), _why(each), _way(reach, each), " ".join(each.tags)) for each in reach.models]
    if rows:
        yield from format_table(("MODEL", "WHY", "FROM", "TAGS"), rows, "llll")
    yield from _listed("Hit tags, as of what is deployed:", reach.tags)
    yield from _listed("Would be cleared:", map(_named, reach.cleared))
    yield from _listed(
        "Newer versions of affected models that nothing ties to the bug; nobody knows of them:",
        map(_named, reach.unknown),
    )


def _listed(head: str, names: Iterable[str]) -> Iterator[str]:
    lines = [f"  {name}" for name in names]
    if lines:
        yield from ("", head, *lines)


def _why(affected: AffectedModel) -> str:
    doubt = ", over an inferred edge" if affected.is_inferred else ""
    return _WHY[affected.reason] + doubt


def _way(reach: BugReach, affected: AffectedModel) -> str:
    """Where a model has the bug from, the touched model last."""
    return _shortened([model.ref for model in reach.witness(affected)[1:]], _ARROW)


def _shortened(names: Sequence[str], between: str) -> str:
    """All names, or the first and the last of many."""
    if len(names) > 2 * _SHOWN_ENDS:
        skipped = f"({len(names) - 2 * _SHOWN_ENDS} more)"
        names = [*names[:_SHOWN_ENDS], skipped, *names[-_SHOWN_ENDS:]]
    return between.join(names)


def _named(model: ModelSummary) -> str:
    return model.ref if model.state is ModelState.PRESENT else f"{model.ref} (removed)"
