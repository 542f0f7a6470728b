from __future__ import annotations

import threading

import pytest
from tests.unit.client.updating.faulty_cascades import FaultyCascades

from mgit.connection import Connection
from mgit.errors import ConflictError, ErrorReason, InvalidArgumentError
from mgit.updating.leases import HeldLease, report_step, take_step, worker_name
from mgit_core.cascade.values import StepLease
from mgit_core.ports.cascades import StepReport
from mgit_proto.v1 import cascade_pb2 as pb

LEASE = StepLease(cascade_id="c", step=3, attempt=2)
WAIT_S = 30.0


def hold(connection: Connection, lost: threading.Event) -> HeldLease:
    return HeldLease(connection, LEASE, 0.03, lost.set)


def test_a_step_is_asked_for_by_a_worker_with_a_name(
    connection: Connection, cascades: FaultyCascades
) -> None:
    cascades.leases = [pb.LeaseStepResponse(step=pb.CascadeStep(number=7), state=pb.CASCADE_STATE_RUNNING)]
    assert take_step(connection, "c", worker_name(1), 5.0).step.number == 7
    [request] = cascades.asked
    assert (request.cascade_id, request.lease_s) == ("c", 5.0)
    assert request.worker.endswith(":1")


@pytest.mark.parametrize("lease_s", [0.0, 0.5, 3601.0, float("nan")])
def test_a_lease_that_is_too_short_or_too_long_is_refused(
    connection: Connection, cascades: FaultyCascades, lease_s: float
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        take_step(connection, "c", "w", lease_s)
    assert caught.value.reason is ErrorReason.INVALID_CASCADE
    assert cascades.asked == []


def test_a_lease_is_renewed_while_the_work_lasts(connection: Connection, cascades: FaultyCascades) -> None:
    lost = threading.Event()
    with hold(connection, lost) as held:
        for _ in range(3):
            assert cascades.heard.wait(WAIT_S)
            cascades.heard.clear()
    count = len(cascades.renewed)
    assert (held.is_lost, lost.is_set()) == (False, False)
    assert {(each.cascade_id, each.step, each.attempt) for each in cascades.renewed} == {("c", 3, 2)}
    assert len(cascades.renewed) == count >= 3


def test_a_lease_outlasts_a_service_that_is_away(connection: Connection, cascades: FaultyCascades) -> None:
    cascades.outages = 6  # More than the channel's own tries of one call.
    lost = threading.Event()
    with hold(connection, lost) as held:
        assert cascades.heard.wait(WAIT_S)
    assert (held.is_lost, lost.is_set()) == (False, False)


def test_who_loses_a_lease_is_told_once(connection: Connection, cascades: FaultyCascades) -> None:
    cascades.lost = True
    told: list[bool] = []
    lost = threading.Event()

    def hear() -> None:
        told.append(True)
        lost.set()

    with HeldLease(connection, LEASE, 0.03, hear) as held:
        assert lost.wait(WAIT_S)
    assert told == [True]
    assert held.is_lost


def test_a_report_says_how_the_step_was_left(connection: Connection, cascades: FaultyCascades) -> None:
    report = StepReport(error="out of luck", is_final=True, failed_tests=("accuracy",))
    answer = report_step(connection, LEASE, report)
    assert answer.step_state == pb.STEP_STATE_DONE
    [request] = cascades.reports
    assert request == pb.ReportStepRequest(
        cascade_id="c", step=3, attempt=2, error="out of luck", is_final=True, failed_tests=["accuracy"]
    )


def test_a_step_is_given_back(connection: Connection, cascades: FaultyCascades) -> None:
    report_step(connection, LEASE, StepReport(is_released=True))
    assert cascades.reports[0].released


def test_a_report_outlasts_a_service_that_is_away(connection: Connection, cascades: FaultyCascades) -> None:
    cascades.outages = 6
    report_step(connection, LEASE, StepReport())
    assert len(cascades.reports) == 1


def test_a_report_under_a_lost_lease_is_refused(connection: Connection, cascades: FaultyCascades) -> None:
    cascades.lost = True
    with pytest.raises(ConflictError) as caught:
        report_step(connection, LEASE, StepReport())
    assert caught.value.reason is ErrorReason.STEP_LEASE_LOST


def test_of_a_long_error_beginning_and_end_are_kept(connection: Connection, cascades: FaultyCascades) -> None:
    report_step(connection, LEASE, StepReport(error=f"first{'.' * 10_000}last"))
    error = cascades.reports[0].error
    assert len(error) <= 4_000
    assert error.startswith("first.")
    assert error.endswith(".last")
    assert "(cut)" in error
