"""What pictures say of a model besides its edges."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

from mgit.values import Lineage, ModelFacts, ModelSummary

__all__ = ["CheckState", "check_state", "detail_lines", "facts_by_uid", "note_lines", "search_text"]

_NAMED_IN_A_NOTE = 2
_LONGEST_VALUE = 200
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_UNIT_STEP = 1024
_SHORT_ID = 13  # The part of a UUIDv7 that holds its time.


class CheckState(enum.StrEnum):
    """What the newest results of a model's tests say together."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


def facts_by_uid(lineage: Lineage) -> dict[str, ModelFacts]:
    """The facts that came with a lineage; empty where none were asked for."""
    return {facts.uid: facts for facts in lineage.facts}


def check_state(facts: ModelFacts) -> CheckState:
    """FAILED if any test fails, PASSED if none does and some passed, else UNKNOWN."""
    if facts.failed_tests:
        return CheckState.FAILED
    return CheckState.PASSED if facts.passed_tests else CheckState.UNKNOWN


def note_lines(facts: ModelFacts | None) -> list[str]:
    """What is wrong with a model, short enough to stand in its box; empty if nothing is known to be."""
    if facts is None:
        return []
    failed = [f"fails {_named(facts.failed_tests)}"] if facts.failed_tests else []
    count = len(facts.bug_ids)
    return [*failed, *([f"{count} {'bug' if count == 1 else 'bugs'}"] if count else [])]


def _named(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED_IN_A_NOTE
    more = f" and {rest} more" if rest > 0 else ""
    return f"{', '.join(names[:_NAMED_IN_A_NOTE])}{more}"


def detail_lines(facts: ModelFacts) -> Iterator[str]:
    """All that is known, a line for each kind."""
    kinds = {
        "type": facts.type or "",
        "tags": ", ".join(facts.tags),
        "size": _size(facts.size_bytes) if facts.size_bytes else "",
        "trained on": ", ".join(_datasets(facts)),
        "passes": ", ".join(facts.passed_tests),
        "fails": ", ".join(facts.failed_tests),
        "bugs": ", ".join(bug_id[:_SHORT_ID] for bug_id in facts.bug_ids),
    }
    yield from (f"{kind} {told}" for kind, told in kinds.items() if told)
    for key, value in facts.metadata.items():
        yield f"{key} = {_shortened(str(value))}"


def search_text(model: ModelSummary, facts: ModelFacts | None) -> str:
    """What a search for the model looks through, in lower case: no parents, or a base would find its children."""
    words = [model.ref]
    if facts is not None:
        words += [facts.type or "", *facts.tags, *_datasets(facts), *facts.passed_tests]
        words += [*facts.failed_tests, *facts.bug_ids]
        words += [f"{key}={_shortened(str(value))}" for key, value in facts.metadata.items()]
    return " ".join(filter(None, words)).lower()


def _datasets(facts: ModelFacts) -> list[str]:
    return [f"{each.name}@{each.version}" if each.version else each.name for each in facts.datasets]


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_VALUE else f"{line[: _LONGEST_VALUE - 1]}\u2026"


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), 0
    while size >= _UNIT_STEP and unit < len(_UNITS) - 1:
        size, unit = size / _UNIT_STEP, unit + 1
    return f"{size:.0f} {_UNITS[0]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
