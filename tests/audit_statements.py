"""The documented lists of statements: the test runs what the page says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```cypher\n(.+?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """A statement, and the words of the comment above it."""

    says: str
    text: str


def documented(heading: str) -> list[Statement]:
    """The statements below a heading of docs/audit.md, one after an empty line each."""
    section = (DOCS / "audit.md").read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    block = _BLOCK.search(section)
    assert block is not None, heading
    return [_statement(text) for text in block[1].strip("\n").split("\n\n")]


def _statement(text: str) -> Statement:
    says, _, statement = text.partition("\n")
    assert says.startswith("// "), text
    return Statement(says.removeprefix("// "), statement)


def queries_of(page: str) -> list[str]:
    """All statements in blocks of Cypher of another page."""
    return [block.strip() for block in _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))]
