"""Throughput of unary calls, beside a bare echo server of the same kind in the same run."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import grpc
from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.stack import new_home, running_stack
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mgit_proto.v1 import lineage_pb2, lineage_pb2_grpc, parameters_pb2, parameters_pb2_grpc

__all__ = ["measure"]

_SECONDS = 3.0
_CALLERS = 8
_BARE = """
import asyncio, sys, grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
class Health(health_pb2_grpc.HealthServicer):
    async def Check(self, request, context):
        return health_pb2.HealthCheckResponse(status=1)
async def main():
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(Health(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()
asyncio.run(main())
"""


def measure() -> Report:
    """Eight callers for three seconds each way."""
    bare = _bare_rate()
    figures = [Figure(name="a bare asynchronous server", value=bare, unit="calls/s")]
    with new_home() as home, running_stack(home) as state, grpc.insecure_channel(state.address) as channel:
        parameters = parameters_pb2_grpc.ParameterServiceStub(channel)
        lineage = lineage_pb2_grpc.LineageServiceStub(channel)
        _add_small_model(parameters)
        calls: dict[str, Callable[[], object]] = {
            "GetCapabilities": lambda: parameters.GetCapabilities(parameters_pb2.GetCapabilitiesRequest()),
            "GetModel": lambda: lineage.GetModel(lineage_pb2.GetModelRequest(model="small")),
        }
        for name, call in calls.items():
            rate = _rate(call)
            figures.append(
                Figure(
                    name=name,
                    value=rate,
                    unit="calls/s",
                    ceiling="the bare server",
                    ratio=min(1, rate / bare),
                )
            )
    return Report(title="Unary calls", machine=describe_machine(), figures=figures)


def _bare_rate() -> float:
    with subprocess.Popen([sys.executable, "-c", _BARE], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                return _rate(lambda: stub.Check(health_pb2.HealthCheckRequest()))
        finally:
            server.kill()


def _rate(call: Callable[[], object]) -> float:
    call()
    end = threading.Event()
    timer = threading.Timer(_SECONDS, end.set)

    def work() -> int:
        done = 0
        while not end.is_set():
            call()
            done += 1
        return done

    start = perf_counter()
    with ThreadPoolExecutor(_CALLERS) as pool:
        timer.start()
        total = sum(pool.map(lambda _: work(), range(_CALLERS)))
    return total / (perf_counter() - start)


def _add_small_model(parameters: parameters_pb2_grpc.ParameterServiceStub) -> None:
    header = parameters_pb2.ModelHeader(name="small", source_format="numpy")
    start = parameters_pb2.ContentStart(size_bytes=16)
    start.parameter.name, start.parameter.dtype = "weight", "float32"
    start.parameter.shape.extend((2, 2))
    messages = [
        parameters_pb2.UploadModelRequest(header=parameters_pb2.UploadModelHeader(model=header)),
        parameters_pb2.UploadModelRequest(start=start),
        parameters_pb2.UploadModelRequest(data=bytes(range(16))),
        parameters_pb2.UploadModelRequest(end=parameters_pb2.UploadModelEnd()),
    ]
    parameters.UploadModel(iter(messages))
