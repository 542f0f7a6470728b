"""Parameters over gRPC by generated stubs alone, beside a bare stream of the same messages in the same run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import grpc
from bench.figures import Figure, Report, table_lines
from bench.machine import describe_machine
from bench.stack import new_home, running_stack
from bench.weights import write_changed_encoder

from mgit_core.chunking import chunk_ranges
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.safetensors import parse_header
from mgit_proto.v1 import parameters_pb2, parameters_pb2_grpc, types_pb2

__all__ = ["measure"]

_TIMES = 5
_COPIES = 4
_PIECE_BYTES = 512 << 10
_OPTIONS = (("grpc.http2.lookahead_bytes", 4 << 20), ("grpc.http2.max_frame_size", 1 << 20))
_ALGORITHM = DigestAlgorithm.BLAKE3  # What a new store has.
_Stub = parameters_pb2_grpc.ParameterServiceStub
_GOALS = {"new": 0.3, "known": 2.0, "read": 0.35}
_CEILINGS = {"new": "bare stream in", "read": "bare stream out"}
_SHARE_GOAL = 0.6

# Takes and gives the same messages as the service, on the same options, and does nothing with them.
_BARE = """
import asyncio, grpc
from mgit_proto.v1 import parameters_pb2 as pb, parameters_pb2_grpc as rpc
from mgit_service.channel import SERVER_OPTIONS
from mgit_service.memory import keep_freed_memory
class Bare(rpc.ParameterServiceServicer):
    async def UploadChunks(self, requests, context):
        total = 0
        async for request in requests:
            total += len(request.data)
        return pb.UploadChunksResponse(stored_bytes=total)
    async def ReadChunks(self, request, context):
        content = bytes(1 << 20)
        for digest in request.digests:
            yield pb.ReadChunksResponse(digest=digest, size_bytes=1 << 20, data=content[: 1 << 19])
            yield pb.ReadChunksResponse(data=content[1 << 19 :])
Bare.__abstractmethods__ = frozenset()
async def main():
    keep_freed_memory()
    server = grpc.aio.server(options=list(SERVER_OPTIONS))
    rpc.add_ParameterServiceServicer_to_server(Bare(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()
asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class _Model:
    """A model cut in memory: what a client holds before it sends."""

    parameters: list[types_pb2.Parameter]
    chunks: dict[Digest, memoryview]

    def part(self) -> parameters_pb2.DraftPart:
        return parameters_pb2.DraftPart(parameters=self.parameters)

    def pieces(self, digests: Sequence[Digest]) -> Iterator[parameters_pb2.UploadChunksRequest]:
        for digest in digests:
            view = self.chunks[digest]
            yield parameters_pb2.UploadChunksRequest(
                digest=digest, size_bytes=len(view), item_bytes=4, data=bytes(view[:_PIECE_BYTES])
            )
            for start in range(_PIECE_BYTES, len(view), _PIECE_BYTES):
                yield parameters_pb2.UploadChunksRequest(data=bytes(view[start : start + _PIECE_BYTES]))


def measure() -> Report:
    """Models of 364 MB that were never seen, each in, in again, and out; medians, after a run that warms up."""
    with (
        _bare_channel() as bare,
        new_home() as home,
        running_stack(home) as state,
        grpc.insecure_channel(state.address, options=_OPTIONS) as channel,
    ):
        runs = _Runs(_Stub(channel), _Stub(bare))
        runs.run(0)
        runs.speeds.clear()
        for number in range(1, _TIMES + 1):
            runs.run(number)
    speeds = {name: median(values) for name, values in runs.speeds.items()}
    figures = [Figure(name=name, value=speeds[name], unit="GB/s") for name in speeds if name not in _GOALS]
    figures += [_goal_figure(name, speeds) for name in _GOALS]
    return Report(title="Parameters over gRPC", machine=describe_machine(), figures=figures)


def _goal_figure(name: str, speeds: dict[str, float]) -> Figure:
    value, goal, ceiling = speeds[name], _GOALS[name], _CEILINGS.get(name, "")
    ratio = value / speeds[ceiling] if ceiling else None
    return Figure(
        name=name,
        value=value,
        unit="GB/s",
        goal=f"at least {goal}" + (f" and {_SHARE_GOAL:.0%} of the bare stream" if ceiling else ""),
        is_reached=value >= goal and (ratio is None or ratio >= _SHARE_GOAL),
        ceiling=ceiling,
        ratio=ratio,
    )


class _Runs:
    """Speeds by what was done, a value for each run."""

    def __init__(self, stub: _Stub, bare: _Stub) -> None:
        self._stub = stub
        self._bare = bare
        self.speeds: dict[str, list[float]] = {}

    def run(self, number: int) -> None:
        """Send and read three models; nothing runs beside but what is measured."""
        one, two, raw = (_changed_encoder(3 * number + way) for way in range(3))
        model = _cut(one)
        digests = list(model.chunks)
        self._timed("bare stream in", len(one), lambda: self._bare.UploadChunks(model.pieces(digests)))
        self._timed("bare stream out", len(digests) << 20, lambda: _drain(self._bare, digests))
        self._timed("new", len(one), lambda: self._add(f"one-{number}", one, streams=1))
        self._timed("known", len(one), lambda: self._add(f"one-{number}", one, streams=1))
        self._timed("read", len(one), lambda: _drain(self._stub, digests))
        self._timed("new, two streams", len(two), lambda: self._add(f"two-{number}", two, streams=2))
        self._timed("read, two streams", len(one), lambda: _in_two(partial(_drain, self._stub), digests))
        self._timed("raw bytes in", len(raw), lambda: self._stub.UploadModel(_raw(f"raw-{number}", raw)))
        self._timed("raw bytes out", len(raw), lambda: self._download(f"raw-{number}"))

    def _timed(self, name: str, size_bytes: int, action: Callable[[], object]) -> None:
        start = perf_counter()
        action()
        self.speeds.setdefault(name, []).append(size_bytes / (perf_counter() - start) / 1e9)

    def _add(self, name: str, content: bytes, *, streams: int) -> None:
        """Cut, draft, upload and commit."""
        model, header = _cut(content), parameters_pb2.ModelHeader(name=name)
        draft = parameters_pb2.DraftModelRequest
        answers = list(self._stub.DraftModel(iter([draft(header=header), draft(part=model.part())])))
        missing = [digest for answer in answers for digest in answer.missing]
        if missing and streams == 1:
            self._stub.UploadChunks(model.pieces(missing))
        elif missing:
            _in_two(lambda part: self._stub.UploadChunks(model.pieces(part)), missing)
        end = parameters_pb2.CommitEnd(epoch=answers[-1].epoch)
        commit = parameters_pb2.CommitModelRequest
        self._stub.CommitModel(iter([commit(header=header), commit(part=model.part()), commit(end=end)]))

    def _download(self, name: str) -> None:
        for _ in self._stub.DownloadModel(parameters_pb2.DownloadModelRequest(model=name, parameters=True)):
            pass


def _changed_encoder(seed: int) -> bytes:
    with tempfile.TemporaryDirectory(prefix="mgit-bench-") as folder:
        path = Path(folder) / "model.safetensors"
        write_changed_encoder(path, seed, copies=_COPIES)
        return path.read_bytes()


def _cut(content: bytes) -> _Model:
    """Cut and digest on all cores, as a client does."""
    header = parse_header(content, len(content))
    places = [
        [
            memoryview(content)[tensor.start + start : tensor.start + stop]
            for start, stop in chunk_ranges(tensor.spec)
        ]
        for tensor in header.tensors
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = list(pool.map(lambda views: [digest_of(_ALGORITHM, view) for view in views], places))
    parameters = [
        types_pb2.Parameter(
            name=tensor.name, dtype=tensor.spec.dtype, shape=tensor.spec.shape, chunk_digests=found
        )
        for tensor, found in zip(header.tensors, digests, strict=True)
    ]
    chunks = {
        digest: view
        for found, views in zip(digests, places, strict=True)
        for digest, view in zip(found, views, strict=True)
    }
    return _Model(parameters, chunks)


def _raw(name: str, content: bytes) -> Iterator[parameters_pb2.UploadModelRequest]:
    header = parameters_pb2.UploadModelHeader(model=parameters_pb2.ModelHeader(name=name))
    yield parameters_pb2.UploadModelRequest(header=header)
    for tensor in parse_header(content, len(content)).tensors:
        parameter = types_pb2.Parameter(name=tensor.name, dtype=tensor.spec.dtype, shape=tensor.spec.shape)
        start = parameters_pb2.ContentStart(parameter=parameter, size_bytes=tensor.stop - tensor.start)
        yield parameters_pb2.UploadModelRequest(start=start)
        for at in range(tensor.start, tensor.stop, _PIECE_BYTES):
            yield parameters_pb2.UploadModelRequest(data=content[at : min(at + _PIECE_BYTES, tensor.stop)])
    yield parameters_pb2.UploadModelRequest(end=parameters_pb2.UploadModelEnd())


def _drain(stub: _Stub, digests: Sequence[Digest]) -> None:
    for _ in stub.ReadChunks(parameters_pb2.ReadChunksRequest(digests=digests)):
        pass


def _in_two(action: Callable[[Sequence[Digest]], object], digests: Sequence[Digest]) -> None:
    half = len(digests) // 2
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(action, (digests[:half], digests[half:])))


@contextlib.contextmanager
def _bare_channel() -> Iterator[grpc.Channel]:
    with subprocess.Popen([sys.executable, "-c", _BARE], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            with grpc.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) as channel:
                yield channel
        finally:
            server.kill()


if __name__ == "__main__":
    report = measure()
    for line in table_lines(report):
        print(line)
    if len(sys.argv) > 1:
        report.save(Path(sys.argv[1]))
