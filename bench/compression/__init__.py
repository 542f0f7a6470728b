"""Baselines of compression, beside the project: `measure` runs all on one family."""

from __future__ import annotations

from bench.compression.report import measure

__all__ = ["measure"]
