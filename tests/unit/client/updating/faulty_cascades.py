"""A cascade service in memory, on a real port, that answers as it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent import futures

import grpc
from tests.unit.client.faulty_service import abort

from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import cascade_pb2_grpc


class FaultyCascades(cascade_pb2_grpc.CascadeServiceServicer):
    """Leases steps that others fill in.

    Attributes:
        leases: Answers of LeaseStep, one for each call; then those without a step.
        state: What LeaseStep without a step says of the cascade.
        outages: How many of the next calls end as if the service were away.
        lost: Whether leases are another's from now on.
        asked: LeaseStep requests.
        renewed: RenewStep requests.
        reports: ReportStep requests.
        heard: Set whenever a renewal came.
    """

    def __init__(self) -> None:
        self.leases: list[pb.LeaseStepResponse] = []
        self.state: pb.CascadeState.ValueType = pb.CASCADE_STATE_BUILT
        self.outages = 0
        self.lost = False
        self.asked: list[pb.LeaseStepRequest] = []
        self.renewed: list[pb.RenewStepRequest] = []
        self.reports: list[pb.ReportStepRequest] = []
        self.heard = threading.Event()

    def LeaseStep(self, request, context):  # noqa: N802
        self._check(context)
        self.asked.append(request)
        return self.leases.pop(0) if self.leases else pb.LeaseStepResponse(state=self.state)

    def RenewStep(self, request, context):  # noqa: N802
        self._check(context)
        self.renewed.append(request)
        self.heard.set()
        return pb.RenewStepResponse()

    def ReportStep(self, request, context):  # noqa: N802
        self._check(context)
        self.reports.append(request)
        return pb.ReportStepResponse(step_state=pb.STEP_STATE_DONE, state=self.state)

    def _check(self, context: grpc.ServicerContext) -> None:
        if self.outages:
            self.outages -= 1
            abort(context, grpc.StatusCode.UNAVAILABLE, "NEO4J_UNAVAILABLE")
        if self.lost:
            abort(context, grpc.StatusCode.ABORTED, "STEP_LEASE_LOST")


@contextlib.contextmanager
def serve_cascades(service: FaultyCascades) -> Iterator[Connection]:
    """A connection to ``service``."""
    server = grpc.server(futures.ThreadPoolExecutor(8))
    cascade_pb2_grpc.add_CascadeServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(Endpoint(address=f"127.0.0.1:{port}"))
    try:
        yield connection
    finally:
        connection.close()
        server.stop(None).wait()
