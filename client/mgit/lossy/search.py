"""Guarded loss: the largest loss that a guard allows, or none."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mgit.connection import Connection
from mgit.cutting import CutSource, cut_source
from mgit.entry_points import user_modules
from mgit.frameworks.source import Source
from mgit.lossy.bases import Base, fetch_pairs, find_base
from mgit.lossy.guards import Guard, open_guard
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
class _Reading:
    """What a guard said.

    Attributes:
        guard: The guard.
        before: What it gave for the original.
        after: What it gave for a lossy model.
        tolerance: Largest loss that was allowed, in units of the metric.
    """

    guard: Guard
    before: float
    after: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the lossy model is still good enough."""
        return self.guard.holds(self.before, self.after, self.tolerance)

    @property
    def strain(self) -> tuple[bool, float]:
        """How near it is to not holding; larger is nearer."""
        loss = self.guard.loss(self.before, self.after)
        return (not self.holds, loss / self.tolerance if self.tolerance else loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What the guards said in the end.

    Attributes:
        lossy: The last strength that was tried.
        moved: The model of that strength if every guard held for it; else None.
        reading: Of the guard that decided: one that did not hold, else the nearest to it.
    """

    lossy: Lossy
    moved: Moved | None
    reading: _Reading


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
    if request.guard is None and not request.tests:
        return PreparedModel(cut=cut, notes=("There is no guard for the loss: stored exactly.",))
    spool = spools.enter_context(Spool())
    with user_modules():
        guards = request.tests if request.guard is None else (open_guard(request.guard, algorithm),)
        base = find_base(connection, header.parents, cut.manifest)
        maker = Maker(source, fetch_pairs(connection, base, _untied(source, cut), spool), spool)
        if not maker.can_move(request.lossy):
            note = f"No tensor differs from {base.ref} in a way that may be lost: stored exactly."
            return PreparedModel(cut=cut, notes=(note,))
        try:
            verdict = _search(maker, source, guards, request.lossy)
        except InvalidArgumentError as error:
            if request.guard is not None or error.reason is not ErrorReason.INVALID_GUARD:
                raise
            # The user named none of these tests: one that cannot decide is no reason to add nothing.
            return PreparedModel(cut=cut, notes=(f"Stored exactly. {error.message}",))
    if verdict.moved is None:
        return PreparedModel(cut=cut, notes=(_refusal(verdict, request.lossy),))
    record = _record(verdict, verdict.moved, base, cut)
    header.loss.CopyFrom(write_loss(record.fitted()))
    hints = tuple(
        parameters_pb2.LatticeHint(parameter=tensor.name, base=f"@{base.uid}", step=tensor.step)
        for tensor in verdict.moved.tensors
    )
    return PreparedModel(
        cut=cut_source(verdict.moved.source, algorithm),
        lattices=hints,
        notes=tuple(_story(record, base, request, guards)),
    )


def _untied(source: Source, cut: CutSource) -> Iterator[Parameter]:
    """The parameters, of those tied to each other only the first."""
    tied = {name for tie in source.ties for name in tie[1:]}
    return (parameter for parameter in cut.manifest.parameters if parameter.name not in tied)


def _search(maker: Maker, source: Source, guards: Sequence[Guard], lossy: Lossy) -> _Verdict:
    """The first strength, from the wanted one on down, for which every guard holds."""
    is_epsilon = lossy.method is LossMethod.EPSILON
    originals = [_read_original(guard, source, is_epsilon=is_epsilon) for guard in guards]
    strengths = [lossy] if is_epsilon else [_halved(lossy, times) for times in range(_MOST_HALVINGS + 1)]
    decisive = originals[0]
    for strength in strengths:
        moved = maker.make(strength)
        decisive = max(_read_lossy(originals, moved), key=lambda reading: reading.strain)
        if moved.tensors and decisive.holds:
            return _Verdict(lossy=strength, moved=moved, reading=decisive)
    return _Verdict(lossy=strengths[-1], moved=None, reading=decisive)


def _read_original(guard: Guard, source: Source, *, is_epsilon: bool) -> _Reading:
    before = guard.measure(GuardedModel(source))
    if not math.isfinite(before):
        raise InvalidArgumentError(
            ErrorReason.INVALID_GUARD,
            f"Guard {guard.entry_point} returns a finite number for the original; it returned {before}.",
        )
    tolerance = EPSILON_TOLERANCE * abs(before) if is_epsilon else guard.tolerance
    return _Reading(guard=guard, before=before, after=before, tolerance=tolerance)


def _read_lossy(originals: Sequence[_Reading], moved: Moved) -> Iterator[_Reading]:
    """What the guards say of a lossy model, until one does not hold."""
    for original in originals:
        reading = replace(original, after=original.guard.measure(GuardedModel(moved.source)))
        yield reading
        if not reading.holds:
            return


def _halved(lossy: Lossy, times: int) -> Lossy:
    return replace(lossy, k=lossy.strength / 2**times)


def _record(verdict: _Verdict, moved: Moved, base: Base, cut: CutSource) -> LossRecord:
    reading, guard = verdict.reading, verdict.reading.guard
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
            before=reading.before,
            after=reading.after,
        ),
        tensors=moved.tensors,
    )


def _story(record: LossRecord, base: Base, request: LossRequest, guards: Sequence[Guard]) -> Iterator[str]:
    guard, wanted = record.guard, request.lossy.strength
    halved = "" if record.strength == wanted else f", down from {wanted:g}"
    yield (
        f"Stored with loss against {base.ref}: {_strength(record.method, record.strength)}{halved}, "
        f"{len(record.tensors)} tensors, largest error {record.largest_error:.3g}, "
        f"{record.largest_relative_error:.2g} of the change; {guard.metric} {guard.before:.6g} before, "
        f"{guard.after:.6g} after."
    )
    if request.guard is None:
        yield f"Guarded by the registered tests of such models: {', '.join(each.test_name for each in guards)}."


def _refusal(verdict: _Verdict, wanted: Lossy) -> str:
    reading, guard = verdict.reading, verdict.reading.guard
    last = verdict.lossy.strength
    tried = _strength(wanted.method, wanted.strength) + ("" if last == wanted.strength else f" to {last:g}")
    which = f"The guard, test {guard.test_name}," if guard.test_name else "The guard"
    return (
        f"{which} did not hold for {tried}: {guard.metric} ({guard.direction} is better) {reading.before:.6g} "
        f"before, {reading.after:.6g} after, and {reading.tolerance:.3g} may be lost: stored exactly."
    )


def _strength(method: LossMethod, strength: float) -> str:
    return f"{'eps' if method is LossMethod.EPSILON else 'k'} = {strength:g}"
