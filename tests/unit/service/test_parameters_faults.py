"""Full disks, cut calls and slow threads, in a service over a store that fails on purpose."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import grpc
import pytest
from tests.parameter_calls import (
    ALGORITHM,
    LocalModel,
    Service,
    add,
    chunk_messages,
    draft,
    local_model,
    random_array,
    read_chunks,
    refusal,
    serving_here,
)
from tests.running_service import wait_until

from mgit_core.digest import Digest, digest_of
from mgit_proto.v1 import lineage_pb2, parameters_pb2
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.store import open_objects
from mgit_storage.testing.faults import FaultyObjectStore, FullDisk

IN_FLIGHT_CHUNKS = 4 * (os.cpu_count() or 1)


def assert_disk_full(error: grpc.RpcError) -> None:
    found = refusal(error)
    assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL")


@pytest.fixture
def disk() -> FullDisk:
    return FullDisk(MemoryObjectStore(), 1 << 40)


@pytest.fixture
def service(disk: FullDisk) -> Iterator[Service]:
    with serving_here(open_objects(disk, ALGORITHM)) as running:
        yield running


@pytest.mark.slow
def test_a_full_disk_ends_an_upload_and_a_later_try_succeeds(service: Service, disk: FullDisk) -> None:
    model = local_model("m", {"a": random_array((1500, 1024), 1)})
    missing, epoch = draft(service, model)
    disk.free_bytes = 3_000_000
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.UploadChunks(model.upload_messages(missing))
    assert_disk_full(error.value)
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.CommitModel(model.commit_messages(epoch))
    assert refusal(error.value).reason == "CHUNKS_MISSING"
    disk.free_bytes = 1 << 40
    assert add(service, model).model.summary.version == 1
    assert read_chunks(service, missing) == [model.chunks[digest][0] for digest in missing]


@pytest.mark.parametrize("what", ["manifest", "file list"])
def test_a_disk_that_fills_up_at_the_commit_leaves_no_model(
    service: Service, disk: FullDisk, what: str
) -> None:
    model = local_model("m", {"a": random_array((10,), 1)}, source_format="numpy")
    missing, epoch = draft(service, model)
    service.parameters.UploadChunks(model.upload_messages(missing))
    full = disk.free_bytes
    disk.free_bytes = 10 if what == "manifest" else _manifest_size(service, disk, model, epoch)
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.CommitModel(model.commit_messages(epoch, "r"))
    assert_disk_full(error.value)
    with pytest.raises(grpc.RpcError) as error:
        service.lineage.GetModel(lineage_pb2.GetModelRequest(model="m"))
    assert refusal(error.value).reason == "MODEL_NOT_FOUND"
    disk.free_bytes = full
    assert not service.parameters.CommitModel(model.commit_messages(epoch, "r")).repeated_request


def _manifest_size(service: Service, disk: FullDisk, model: LocalModel, epoch: int) -> int:
    """Bytes of the manifest of ``model``, from a commit of the same parameters without a file list."""
    bare = LocalModel(parameters_pb2.ModelHeader(name="bare"), model.parameters, [], model.chunks)
    before = disk.free_bytes
    service.parameters.CommitModel(bare.commit_messages(epoch))
    return before - disk.free_bytes


def test_a_full_disk_ends_an_upload_of_raw_bytes(service: Service, disk: FullDisk) -> None:
    disk.free_bytes = 100_000
    content = random_array((500, 1024), 2).tobytes()

    def requests() -> Iterator[parameters_pb2.UploadModelRequest]:
        header = parameters_pb2.UploadModelHeader(model=parameters_pb2.ModelHeader(name="m"))
        yield parameters_pb2.UploadModelRequest(header=header)
        start = parameters_pb2.ContentStart(size_bytes=len(content))
        start.parameter.name, start.parameter.dtype = "a", "float32"
        start.parameter.shape.extend([500, 1024])
        yield parameters_pb2.UploadModelRequest(start=start)
        for at in range(0, len(content), 500_000):
            yield parameters_pb2.UploadModelRequest(data=content[at : at + 500_000])
        yield parameters_pb2.UploadModelRequest(end=parameters_pb2.UploadModelEnd())

    with pytest.raises(grpc.RpcError) as error:
        service.parameters.UploadModel(requests())
    assert_disk_full(error.value)


class Gate:
    """A fault that holds every read or write of a pack until it is opened, and counts who came."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.opened = threading.Event()
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self, step: str, key: str) -> None:
        if step == self.step and (step != "get_range" or key.startswith("packs/")):
            with self._lock:
                self.count += 1
            assert self.opened.wait(60)


@pytest.mark.slow
def test_a_slow_store_holds_an_upload_back() -> None:
    """What the service takes from the wire is bounded by what it has written, not by what the client has."""
    gate = Gate("write")
    objects = FaultyObjectStore(MemoryObjectStore(), gate)
    contents = [bytes([number]) * (1 << 20) for number in range(100)]
    taken: list[int] = []

    def messages() -> Iterator[parameters_pb2.UploadChunksRequest]:
        for number, content in enumerate(contents):
            yield from chunk_messages(digest_of(ALGORITHM, content), content)
            taken.append(number)

    with serving_here(open_objects(objects, ALGORITHM)) as service:
        call = service.parameters.UploadChunks.future(messages())
        wait_until(lambda: gate.count > 0 and len(taken) >= IN_FLIGHT_CHUNKS, "the upload is held back")
        before_opening = -1
        while before_opening != len(taken):
            before_opening = len(taken)
            # A round trip through the same loop: whatever could be taken by now was taken.
            for _ in range(50):
                service.parameters.GetCapabilities(parameters_pb2.GetCapabilitiesRequest())
        # Beside the chunks in flight: windows of both ends, a message on the way in each.
        assert before_opening < IN_FLIGHT_CHUNKS + 24
        gate.opened.set()
        assert call.result().chunk_count == len(contents)


@pytest.mark.slow
def test_reading_ahead_is_bounded() -> None:
    objects = FaultyObjectStore(MemoryObjectStore())
    model = local_model("m", {"a": random_array((40, 1 << 18), 3)})
    with serving_here(open_objects(objects, ALGORITHM)) as service:
        add(service, model)
        reads: list[str] = []
        objects.fault = lambda step, key: reads.append(key) if step == "get_range" else None
        answers = service.parameters.ReadChunks(parameters_pb2.ReadChunksRequest(digests=list(model.chunks)))
        next(answers)
        count = -1
        while count != len(reads):
            count = len(reads)
            for _ in range(50):
                service.parameters.GetCapabilities(parameters_pb2.GetCapabilitiesRequest())
        assert count < IN_FLIGHT_CHUNKS + 24
        answers.cancel()


def test_sealing_ends_although_the_call_was_cancelled_in_it() -> None:
    gate = Gate("commit")
    objects = FaultyObjectStore(MemoryObjectStore(), gate)
    content = b"verified" * 1000
    digest = digest_of(ALGORITHM, content)
    with serving_here(open_objects(objects, ALGORITHM)) as service:
        call = service.parameters.UploadChunks.future(chunk_messages(digest, content))
        wait_until(lambda: gate.count, "the service seals")
        call.cancel()
        gate.opened.set()
        wait_until(lambda: not _missing(service, digest), "the service has sealed")
        assert read_chunks(service, [digest]) == [content]


def _missing(service: Service, digest: Digest) -> list[Digest]:
    return service.store.chunks.find_missing([digest])
