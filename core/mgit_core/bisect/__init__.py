"""Bisection: which model was the first bad one, found with few tests, on any lineage graph."""

from mgit_core.bisect.graph import BisectGraph, build_graph
from mgit_core.bisect.search import next_step, search
from mgit_core.bisect.values import BisectAnswer, BisectModel, BisectOutcome, BisectStep, BisectVerdict

__all__ = [
    "BisectAnswer",
    "BisectGraph",
    "BisectModel",
    "BisectOutcome",
    "BisectStep",
    "BisectVerdict",
    "build_graph",
    "next_step",
    "search",
]
