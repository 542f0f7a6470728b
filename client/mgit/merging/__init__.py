"""Merges over a repository: two models made one, where that can be told, and conflicts named where it cannot."""

from __future__ import annotations

from mgit.merging.calls import MergeCalls
from mgit.merging.values import Merge, MergeConflict, MergeOutcome, PossibleConflict, StagedMerge

__all__ = ["Merge", "MergeCalls", "MergeConflict", "MergeOutcome", "PossibleConflict", "StagedMerge"]
