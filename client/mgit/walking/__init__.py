"""Walks over the lineage, and functions over walks."""

from mgit.walking.calls import WalkCalls
from mgit.walking.mapping import Mapped
from mgit.walking.values import Walk, WalkedModel

__all__ = ["Mapped", "Walk", "WalkCalls", "WalkedModel"]
