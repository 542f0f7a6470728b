"""What a measured value means: which direction is better, and how much worse is still good enough."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["DEFAULT_TOLERANCE", "MetricDirection", "is_no_worse"]

DEFAULT_TOLERANCE = 0.005
"""Largest loss where nothing else is said: half a point of a share between 0 and 1."""


class MetricDirection(StrEnum):
    """Which values of a metric are better."""

    HIGHER = "higher"
    LOWER = "lower"


def is_no_worse(value: float, threshold: float, direction: MetricDirection) -> bool:
    """Whether ``value`` is at least as good as ``threshold``; false for NaN."""
    return value >= threshold if direction is MetricDirection.HIGHER else value <= threshold
