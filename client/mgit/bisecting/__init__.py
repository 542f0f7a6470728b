"""Bisection over a repository: where a fault came in, with few tests."""

from __future__ import annotations

from mgit.bisecting.calls import BisectCalls
from mgit.bisecting.values import (
    BisectFinding,
    BisectFunction,
    Bisection,
    BisectListener,
    BisectOutcome,
    BisectProgress,
    BisectSource,
    BisectVerdict,
)

__all__ = [
    "BisectCalls",
    "BisectFinding",
    "BisectFunction",
    "BisectListener",
    "BisectOutcome",
    "BisectProgress",
    "BisectSource",
    "BisectVerdict",
    "Bisection",
]
