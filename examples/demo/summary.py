"""``demo/summary.json``: what the demonstration measured, for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Summary", "write_summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the demonstration measured."""

    seconds: dict[str, float]
    """Seconds by phase; ``whole`` is all of them."""
    models: int
    """Members of the family."""
    edges: int
    """Provenance edges among them."""
    logical_bytes: int
    """Bytes of all tensors and files of all models of the store."""
    stored_bytes: int
    """Bytes of the whole store."""
    ratio: float
    """Logical bytes for each stored byte."""
    exact_restores: int
    """Models that were read back and compared byte for byte."""
    ancestors_ms: float
    """Median time of an ancestry question through gRPC."""
    neo4j_version: str
    browser_url: str
    """The Neo4j Browser; empty where ``NEO4J_URI`` names a Neo4j that somebody else runs."""


def write_summary(path: Path, summary: Summary) -> None:
    """Writes the summary as JSON."""
    path.write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
