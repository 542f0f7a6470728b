"""Steps of cascades leased to workers, held, and left."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mgit_core.cascade.values import (
    Cascade,
    CascadeState,
    CascadeStep,
    PublishMode,
    StepLease,
    StepState,
)
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import RequestKey
from mgit_core.ports.cascades import StepReport
from mgit_service.use_cases.backend import Backend

__all__ = ["lease_step", "publish_cascade", "renew_step", "report_step", "resume_cascade"]

_SHORTEST_S = 1.0
_LONGEST_S = 3_600.0
_MAX_WORKER = 200
_MAX_ERROR = 4_000
_MAX_FAILED_TESTS = 1_000


async def lease_step(
    backend: Backend, cascade_id: str, worker: str, lease_s: float
) -> tuple[CascadeStep | None, CascadeState]:
    """A step for a worker, if one can go on now, and the state of the cascade.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: CASCADE_ENDED.
        InvalidArgumentError: INVALID_CASCADE.
    """
    if len(worker) > _MAX_WORKER or not worker.isprintable():
        raise _invalid(
            "worker", f"A worker calls itself by {_MAX_WORKER} printable characters at most", worker[:80]
        )
    return await backend.lineage.cascades.lease(cascade_id, worker, _checked(lease_s))


async def renew_step(backend: Backend, lease: StepLease, lease_s: float) -> datetime:
    """Until when the step is held.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: STEP_LEASE_LOST.
        InvalidArgumentError: INVALID_CASCADE.
    """
    return await backend.lineage.cascades.renew(lease, _checked(lease_s))


async def report_step(
    backend: Backend, lease: StepLease, report: StepReport
) -> tuple[StepState, CascadeState]:
    """The states of step and cascade after a report; an error that is too long is cut.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: STEP_LEASE_LOST.
        InvalidArgumentError: INVALID_CASCADE for too many failed tests.
    """
    if len(report.failed_tests) > _MAX_FAILED_TESTS:
        raise _invalid(
            "failed_tests",
            f"A report names at most {_MAX_FAILED_TESTS} failed tests",
            len(report.failed_tests),
        )
    fitted = replace(report, error=report.error[:_MAX_ERROR])
    states = await backend.lineage.cascades.report(lease, fitted)
    # With publish mode EACH it may have made models visible; whoever looks for new ones finds none at worst.
    backend.committed.set()
    return states


async def publish_cascade(
    backend: Backend, cascade_id: str, *, anyway: bool, request: RequestKey | None
) -> Cascade:
    """Number all models of a cascade, unless newer versions came meanwhile.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: CASCADE_ENDED, CASCADE_UNFINISHED or REQUEST_ID_REUSED.
    """
    cascade = await backend.lineage.cascades.publish(cascade_id, anyway=anyway, request=request)
    backend.committed.set()
    return cascade


async def resume_cascade(
    backend: Backend, cascade_id: str, publish: PublishMode | None, request: RequestKey | None
) -> Cascade:
    """Let failed and blocked steps be tried anew.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: CASCADE_ENDED or REQUEST_ID_REUSED.
    """
    cascade = await backend.lineage.cascades.resume(cascade_id, publish=publish, request=request)
    backend.committed.set()
    return cascade


def _checked(lease_s: float) -> float:
    # A comparison with what is no number is false.
    if not _SHORTEST_S <= lease_s <= _LONGEST_S:
        raise _invalid("lease_s", "A lease takes from one second to one hour", lease_s)
    return lease_s


def _invalid(field: str, wanted: str, found: object) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_CASCADE, f"{wanted}; found {found!r}.", field=field)
