"""Guarded loss: a model is moved near its parent, as far as a test of the user's allows, before it is sent."""

from __future__ import annotations

from mgit.lossy.guards import GuardFunction, guard
from mgit.lossy.options import Lossy

__all__ = ["GuardFunction", "Lossy", "guard"]
