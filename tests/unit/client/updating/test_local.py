"""Workers of one process, where there is no step for them, or the service refuses."""

from __future__ import annotations

import contextlib
import threading

import pytest
from tests.unit.client.updating.faulty_cascades import FaultyCascades

from mgit.connection import Connection
from mgit.errors import InvalidArgumentError
from mgit.updating.driving import Driving
from mgit.updating.helping import Help
from mgit.updating.local import LocalWorkers, usual_worker_count
from mgit.updating.steps import StepWorker, WorkOptions
from mgit.updating.values import StepState
from mgit_proto.v1 import cascade_pb2 as pb

RUNNING = pb.CASCADE_STATE_RUNNING


def workers(connection: Connection, count: int = 1, lease_s: float = 60.0) -> LocalWorkers:
    return LocalWorkers(connection, "c", count, WorkOptions(lease_s=lease_s))


@pytest.mark.parametrize(
    "state", [pb.CASCADE_STATE_BUILT, pb.CASCADE_STATE_FAILED, pb.CASCADE_STATE_PUBLISHED]
)
def test_workers_end_when_nothing_is_left(
    connection: Connection, cascades: FaultyCascades, state: pb.CascadeState.ValueType
) -> None:
    cascades.state = state
    assert list(workers(connection, 3).work()) == []
    assert {request.worker.rpartition(":")[2] for request in cascades.asked} == {"0", "1", "2"}


def test_workers_that_work_once_do_not_wait_for_others(
    connection: Connection, cascades: FaultyCascades
) -> None:
    cascades.state = RUNNING
    assert list(workers(connection, 2).work(once=True)) == []
    assert len(cascades.asked) == 2


def test_a_worker_waits_for_steps_that_others_hold(connection: Connection, cascades: FaultyCascades) -> None:
    waiting = [pb.LeaseStepResponse(state=RUNNING)] * 3
    cascades.leases = list(waiting)
    assert list(workers(connection).work()) == []
    assert len(cascades.asked) == 4


def test_a_cascade_that_ended_meanwhile_is_no_error(connection: Connection, cascades: FaultyCascades) -> None:
    cascades.lost = True
    assert list(workers(connection).work()) == []


def test_what_the_service_refuses_is_raised(connection: Connection) -> None:
    with pytest.raises(InvalidArgumentError):
        list(workers(connection, 2, lease_s=0.1).work())


def staged(number: int) -> pb.LeaseStepResponse:
    """A step of which only tests are left; it has no models, so there are none."""
    step = pb.CascadeStep(number=number, state=pb.STEP_STATE_STAGED, attempt=1)
    return pb.LeaseStepResponse(step=step, state=RUNNING)


def test_a_staged_step_is_tested_and_reported(connection: Connection, cascades: FaultyCascades) -> None:
    cascades.leases = [staged(4), staged(5)]
    left = list(workers(connection).work())
    assert [(each.number, each.state, each.error) for each in left] == [
        (4, StepState.DONE, ""),
        (5, StepState.DONE, ""),
    ]
    assert [(report.step, report.attempt) for report in cascades.reports] == [(4, 1), (5, 1)]


def test_leaving_early_ends_workers_that_wait(connection: Connection, cascades: FaultyCascades) -> None:
    cascades.state = RUNNING
    cascades.leases = [staged(0)]
    with contextlib.closing(workers(connection, 3).work()) as left:
        assert next(left).number == 0
    assert [thread.name for thread in threading.enumerate() if "mgit-update" in thread.name] == []


def test_a_worker_that_is_cancelled_gives_back_what_it_takes(
    connection: Connection, cascades: FaultyCascades
) -> None:
    worker = StepWorker(connection, "w")
    worker.cancel()
    worker.work("c", staged(0).step)
    assert [report.released for report in cascades.reports] == [True]


def test_a_step_whose_lease_is_lost_is_not_reported_as_done(
    connection: Connection, cascades: FaultyCascades
) -> None:
    cascades.lost = True
    progress = StepWorker(connection, "w").work("c", staged(0).step)
    assert progress.state is None
    assert cascades.reports == []


def test_there_are_as_many_workers_as_are_of_use() -> None:
    assert usual_worker_count(1) == 1
    assert 1 <= usual_worker_count(1_000) <= 4
    assert usual_worker_count(0) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Driving(executor="threads"),
        lambda: Driving(workers=0),
        lambda: Driving(workers=257),
        lambda: Driving(work=WorkOptions(timeout_s=0.0)),
        lambda: Help(workers=0),
    ],
)
def test_what_there_is_not_is_refused(make) -> None:
    with pytest.raises(InvalidArgumentError):
        make()
