"""What is asked of guarded loss, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

from mgit.cutting import CutSource
from mgit.lossy.guards import Guard, GuardFunction
from mgit.lossy.options import Lossy
from mgit_proto.v1 import parameters_pb2

__all__ = ["LossRequest", "PreparedModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRequest:
    """What a user allows.

    Attributes:
        lossy: How far weights may be moved.
        guard: What must hold then; None means ``tests``.
        tests: Registered tests that must all hold where the user names no guard; with none of them nothing may be
            lost.
    """

    lossy: Lossy
    guard: str | GuardFunction | None
    tests: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedModel:
    """A model that is ready to be sent, lossy or as it was.

    Attributes:
        cut: Its parameters and files.
        lattices: How its lossy tensors were made.
        notes: What a person should know, a sentence each.
    """

    cut: CutSource
    lattices: tuple[parameters_pb2.LatticeHint, ...] = ()
    notes: tuple[str, ...] = ()
