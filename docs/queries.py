"""Writes the saved queries of the Neo4j Browser from the cookbook: ``python docs/queries.py``.

A test proves that what is committed is fresh.
"""  # noqa: INP001 - a script, no package

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["QUERIES", "queries_of"]

ROOT = Path(__file__).resolve().parent.parent
COOKBOOK = ROOT / "docs" / "cookbook.md"
QUERIES = ROOT / "client" / "mgit" / "browser" / "queries.cypher"
_PART = re.compile(
    r"^## (?P<group>[^\n]+)$|^### (?P<title>[^\n]+)$|^```cypher\n(?P<query>.*?)^```", re.MULTILINE | re.DOTALL
)


def queries_of(page: str) -> str:
    """The queries of a page, each behind a comment with its group and title."""
    group = title = ""
    found = []
    for part in _PART.finditer(page):
        if part["group"]:
            group = part["group"]
        elif part["title"]:
            title = part["title"]
        else:
            found.append(f"// {group}: {title}\n{part['query']}")
    return "\n".join(found)


if __name__ == "__main__":
    QUERIES.write_text(queries_of(COOKBOOK.read_text(encoding="utf-8")), encoding="utf-8")
