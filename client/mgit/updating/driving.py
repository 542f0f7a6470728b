"""Drives an update to its end: workers, here or at Ray, and at last the publication."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from mgit.connection import Connection
from mgit.graph import new_request_id
from mgit.progress import Progress, open_count
from mgit.settings import read_settings
from mgit.updating.leases import outlast
from mgit.updating.local import MOST_WORKERS, LocalWorkers, usual_worker_count
from mgit.updating.steps import WorkOptions
from mgit.updating.values import UpdateListener, UpdateProgress
from mgit_core.cascade.values import StepState
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import cascade_pb2 as pb

__all__ = ["EXECUTORS", "Driving", "drive", "publish"]

EXECUTORS = ("local", "ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class Driving:
    """How an update is worked at.

    Attributes:
        executor: ``local`` or ``ray``.
        workers: How many at a time; None means one for each core and step, four at most; at Ray one for each core.
        work: How they work.
        progress: Told ``(done, total)`` steps.
        on_step: Told whenever a worker of ours has left a step.
    """

    executor: str = "local"
    workers: int | None = None
    work: WorkOptions = field(default_factory=WorkOptions)
    progress: Progress = None
    on_step: UpdateListener | None = None

    def __post_init__(self) -> None:
        """Refuses what there is not.

        Raises:
            InvalidArgumentError: INVALID_CASCADE.
        """
        if self.executor not in EXECUTORS:
            raise _invalid(
                f"The executor of an update is {' or '.join(EXECUTORS)}; found {self.executor[:80]!r}."
            )
        if self.workers is not None and not 1 <= self.workers <= MOST_WORKERS:
            raise _invalid(f"From 1 to {MOST_WORKERS} workers are at an update; found {self.workers!r}.")
        if self.work.timeout_s is not None and self.work.timeout_s <= 0:
            raise _invalid(f"A time limit is more than 0 s; found {self.work.timeout_s:g}.")


def drive(connection: Connection, cascade: pb.Cascade, driving: Driving) -> None:
    """Work at a cascade until nothing is left to be done, and publish what is built.

    Raises:
        MGitError: As the service answers.
        FailedPreconditionError: FRAMEWORK_MISSING, for Ray where it is not installed.
    """
    if cascade.state == pb.CASCADE_STATE_BLOCKED:
        # What blocked it may be gone: then it goes on, else it stays blocked.
        cascade = publish(connection, cascade.id)
    if cascade.state == pb.CASCADE_STATE_RUNNING:
        _work(connection, cascade, driving)
        request = pb.GetCascadeRequest(id=cascade.id)
        cascade = outlast(
            connection, lambda: connection.call(connection.cascades.GetCascade, request)
        ).cascade
    if cascade.state == pb.CASCADE_STATE_BUILT:
        publish(connection, cascade.id)


def _work(connection: Connection, cascade: pb.Cascade, driving: Driving) -> None:
    """Work at steps until none is left, and tell of each."""
    done = sum(step.state == pb.STEP_STATE_DONE for step in cascade.plan.steps)
    title = f"update {cascade.plan.old.name}"
    with (
        open_count(driving.progress, title, "step") as tell,
        _workers(connection, cascade, driving) as left,
    ):
        tell(done, cascade.plan.step_count)
        for progress in left:
            done += progress.state is StepState.DONE
            tell(done, cascade.plan.step_count)
            if driving.on_step is not None:
                driving.on_step(progress)


def publish(connection: Connection, cascade_id: str, *, anyway: bool = False) -> pb.Cascade:
    """Number the new models, all in one transaction; the cascade as it is then, which may be BLOCKED.

    Raises:
        ConflictError: CASCADE_ENDED or CASCADE_UNFINISHED.
    """
    request = pb.PublishCascadeRequest(id=cascade_id, anyway=anyway, request_id=new_request_id())
    return outlast(connection, lambda: connection.call(connection.cascades.PublishCascade, request)).cascade


@contextlib.contextmanager
def _workers(
    connection: Connection, cascade: pb.Cascade, driving: Driving
) -> Generator[Iterator[UpdateProgress]]:
    """Steps as they are left; leaving the context early ends what runs."""
    if driving.executor == "local":
        count = driving.workers or usual_worker_count(cascade.plan.step_count)
        workers = LocalWorkers(connection, cascade.id, count, driving.work)
        with contextlib.closing(workers.work()) as left:
            yield left
        return
    from mgit.running.ray import RayTasks  # noqa: PLC0415 - for Ray only
    from mgit.updating.clusters import RayWorkers  # noqa: PLC0415

    with RayTasks(read_settings().ray_address, driving.workers) as tasks:
        yield RayWorkers(tasks, connection.endpoint, cascade.id, driving.work).work()


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_CASCADE, message)
