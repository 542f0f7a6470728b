"""Guarded loss: the largest loss that a guard allows, or none."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mgit.connection import Connection
from mgit.cutting import CutSource, cut_source
from mgit.frameworks.source import Source
from mgit.lossy.bases import Base, fetch_pairs, find_base
from mgit.lossy.guards import Guard, open_guard, user_modules
from mgit.lossy.making import Maker, Moved
from mgit.lossy.messages import write_loss
from mgit.lossy.options import Lossy
from mgit.lossy.request import LossRequest, PreparedModel
from mgit.lossy.spool import Spool
from mgit.lossy.weights import GuardedModel
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.loss import LossGuard, LossMethod, LossRecord
from mgit_core.manifest import Parameter
from mgit_proto.v1 import parameters_pb2

__all__ = ["EPSILON_TOLERANCE", "prepare"]

EPSILON_TOLERANCE = 0.02
"""Share of the metric that may be lost with ``eps``: the rule of the MGit paper."""
_MOST_HALVINGS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What the guard said in the end.

    Attributes:
        lossy: The last strength that was tried.
        moved: The model of that strength if the guard held for it; else None.
        before: What the guard gave for the original.
        after: What it gave for the last model that was tried.
        tolerance: Largest loss that was allowed, in units of the metric.
    """

    lossy: Lossy
    moved: Moved | None
    before: float
    after: float
    tolerance: float


def prepare(
    connection: Connection,
    header: parameters_pb2.ModelHeader,
    source: Source,
    request: LossRequest,
    spools: contextlib.ExitStack,
) -> PreparedModel:
    """The lossy model that the guard allows, with its record in ``header``; else the original.

    Args:
        connection: To the service that has the parents.
        header: Its parents are looked at; the record of loss is written into it.
        source: The original.
        request: What the user allows.
        spools: Closes what holds the bytes of the lossy model; they must have been sent by then.

    Raises:
        InvalidArgumentError: INVALID_GUARD; INVALID_ARGUMENT if no parent has a tensor to measure against; as
            ``cut_source``.
        ResourceExhaustedError: DISK_FULL, here.
        MGitError: As the service answers.
    """
    algorithm = connection.capabilities.algorithm
    cut = cut_source(source, algorithm)
    if request.guard is None:
        return PreparedModel(cut=cut, notes=("There is no guard for the loss: stored exactly.",))
    spool = spools.enter_context(Spool())
    with user_modules():
        guard = open_guard(request.guard, algorithm)
        base = find_base(connection, header.parents, cut.manifest)
        maker = Maker(source, fetch_pairs(connection, base, _untied(source, cut), spool), spool)
        if not maker.can_move(request.lossy):
            note = f"No tensor differs from {base.ref} in a way that may be lost: stored exactly."
            return PreparedModel(cut=cut, notes=(note,))
        verdict = _search(maker, source, guard, request.lossy)
    if verdict.moved is None:
        return PreparedModel(cut=cut, notes=(_refusal(verdict, guard, request.lossy),))
    record = _record(verdict, verdict.moved, guard, base, cut)
    header.loss.CopyFrom(write_loss(record.fitted()))
    hints = tuple(
        parameters_pb2.LatticeHint(parameter=tensor.name, base=f"@{base.uid}", step=tensor.step)
        for tensor in verdict.moved.tensors
    )
    return PreparedModel(
        cut=cut_source(verdict.moved.source, algorithm),
        lattices=hints,
        notes=tuple(_story(record, base, request.lossy)),
    )


def _untied(source: Source, cut: CutSource) -> Iterator[Parameter]:
    """The parameters, of those tied to each other only the first."""
    tied = {name for tie in source.ties for name in tie[1:]}
    return (parameter for parameter in cut.manifest.parameters if parameter.name not in tied)


def _search(maker: Maker, source: Source, guard: Guard, lossy: Lossy) -> _Verdict:
    """The first strength, from the wanted one on down, for which the guard holds."""
    before = guard.measure(GuardedModel(source))
    if not math.isfinite(before):
        raise InvalidArgumentError(
            ErrorReason.INVALID_GUARD,
            f"Guard {guard.entry_point} returns a finite number for the original; it returned {before}.",
        )
    is_epsilon = lossy.method is LossMethod.EPSILON
    tolerance = EPSILON_TOLERANCE * abs(before) if is_epsilon else guard.tolerance
    strengths = [lossy] if is_epsilon else [_halved(lossy, times) for times in range(_MOST_HALVINGS + 1)]
    after = before
    for strength in strengths:
        moved = maker.make(strength)
        after = guard.measure(GuardedModel(moved.source))
        if moved.tensors and guard.holds(before, after, tolerance):
            return _Verdict(lossy=strength, moved=moved, before=before, after=after, tolerance=tolerance)
    return _Verdict(lossy=strengths[-1], moved=None, before=before, after=after, tolerance=tolerance)


def _halved(lossy: Lossy, times: int) -> Lossy:
    return replace(lossy, k=lossy.strength / 2**times)


def _record(verdict: _Verdict, moved: Moved, guard: Guard, base: Base, cut: CutSource) -> LossRecord:
    is_epsilon = verdict.lossy.method is LossMethod.EPSILON
    return LossRecord(
        method=verdict.lossy.method,
        strength=verdict.lossy.strength,
        base_uid=base.uid,
        original_digest=cut.manifest.digest,
        largest_error=moved.largest_error,
        largest_relative_error=moved.largest_relative_error,
        guard=LossGuard(
            entry_point=guard.entry_point,
            code_digest=guard.code_digest,
            metric=guard.metric,
            direction=guard.direction,
            tolerance=EPSILON_TOLERANCE if is_epsilon else guard.tolerance,
            before=verdict.before,
            after=verdict.after,
        ),
        tensors=moved.tensors,
    )


def _story(record: LossRecord, base: Base, wanted: Lossy) -> Iterator[str]:
    guard = record.guard
    halved = "" if record.strength == wanted.strength else f", down from {wanted.strength:g}"
    yield (
        f"Stored with loss against {base.ref}: {_strength(record.method, record.strength)}{halved}, "
        f"{len(record.tensors)} tensors, largest error {record.largest_error:.3g}, "
        f"{record.largest_relative_error:.2g} of the change; {guard.metric} {guard.before:.6g} before, "
        f"{guard.after:.6g} after."
    )


def _refusal(verdict: _Verdict, guard: Guard, wanted: Lossy) -> str:
    last = verdict.lossy.strength
    tried = _strength(wanted.method, wanted.strength) + ("" if last == wanted.strength else f" to {last:g}")
    return (
        f"The guard did not hold for {tried}: {guard.metric} ({guard.direction} is better) {verdict.before:.6g} "
        f"before, {verdict.after:.6g} after, and {verdict.tolerance:.3g} may be lost: stored exactly."
    )


def _strength(method: LossMethod, strength: float) -> str:
    return f"{'eps' if method is LossMethod.EPSILON else 'k'} = {strength:g}"
