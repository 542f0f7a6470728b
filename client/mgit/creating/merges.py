"""A merge made again by the service, and compared there: nobody's code runs for it."""

from __future__ import annotations

import math
import time

from mgit.connection import Connection
from mgit.creating.rebuilds import Rebuild, RebuildOutcome, TensorDifference
from mgit.wire import read_summary
from mgit_proto.v1 import merge_pb2

__all__ = ["rebuild_merge"]


def rebuild_merge(connection: Connection, uid: str) -> Rebuild:
    """How a merged model compares with the same merge now, by digest.

    Raises:
        MGitError: As ``mgit.Repository.rebuild``.
    """
    started = time.monotonic()
    request = merge_pb2.RebuildMergeRequest(model=f"@{uid}")
    with connection.stream(connection.compare.RebuildMerge, request) as answers:
        *_, last = answers
    found: merge_pb2.MergeComparison = last.comparison
    has_others = bool(found.missing or found.unexpected or found.reshaped)
    outcome = RebuildOutcome.DIFFERENT if found.different else RebuildOutcome.IDENTICAL
    return Rebuild(
        model=read_summary(found.model),
        outcome=RebuildOutcome.OTHER_PARAMETERS if has_others else outcome,
        tolerance=0.0,
        tensor_count=found.parameter_count,
        differences=tuple(
            TensorDifference(name=name, largest_absolute=math.inf, largest_relative=math.inf)
            for name in found.different
        ),
        missing=tuple(found.missing),
        unexpected=tuple(found.unexpected),
        reshaped={each.name: (each.recorded, each.rebuilt) for each in found.reshaped},
        seconds=time.monotonic() - started,
    )
