from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import neo4j
import numpy as np
import pytest
from tests.neo4j_server import TestServer
from tests.parameter_calls import (
    LocalModel,
    Service,
    add,
    chunk_messages,
    draft,
    local_model,
    random_array,
    read_chunks,
    refusal,
    serving_neo4j,
)
from tests.running_service import wait_until

from mgit_core.digest import Digest
from mgit_core.tensor import DTYPES
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2

pytestmark = pytest.mark.neo4j


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "store"


@pytest.fixture(scope="module")
def service(neo4j_server: TestServer, folder: Path) -> Iterator[Service]:
    with serving_neo4j(neo4j_server, folder) as running:
        yield running


def manifest_of(service: Service, reference: str) -> list[parameters_pb2.GetManifestResponse]:
    request = parameters_pb2.GetManifestRequest(model=reference)
    return list(service.parameters.GetManifest(request))


def test_what_went_in_comes_out(service: Service) -> None:
    model = local_model("in-out", {"a": random_array((1000, 700), 1), "b": random_array((3,), 2)})
    answer = add(service, model)
    assert (answer.model.summary.name, answer.model.summary.version) == ("in-out", 1)
    digests = list(model.chunks)
    assert read_chunks(service, digests) == [model.chunks[digest][0] for digest in digests]
    (manifest,) = manifest_of(service, "in-out@1")
    assert [entry.chunk_digests for entry in manifest.parameters] == [
        entry.chunk_digests for entry in model.parameters
    ]


def test_every_type_goes_in_and_out_also_without_axes_and_without_items(service: Service) -> None:
    arrays = {}
    for dtype in DTYPES.values():
        content = np.random.default_rng(5).bytes(24 * dtype.itemsize)
        content = bytes(byte & 1 for byte in content) if dtype.kind == "b" else content
        array = np.frombuffer(content, dtype)
        arrays |= {f"{dtype}": array.reshape(4, 6), f"{dtype}/0": array[0], f"{dtype}/empty": array[:0]}
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    model = local_model("types", arrays)
    add(service, model)
    (manifest,) = manifest_of(service, "types")
    for entry, array in zip(manifest.parameters, arrays.values(), strict=True):
        assert tuple(entry.shape) == array.shape
        assert b"".join(read_chunks(service, entry.chunk_digests)) == array.tobytes()


def test_a_draft_names_each_missing_chunk_once(service: Service) -> None:
    array = random_array((64, 64), 3)
    model = local_model("once", {"a": array, "b": array, "c": random_array((64, 64), 4)})
    first, second, third = model.parameters

    def messages() -> Iterator[parameters_pb2.DraftModelRequest]:
        yield parameters_pb2.DraftModelRequest(header=model.header)
        for parameters in ([first], [second, third]):
            yield parameters_pb2.DraftModelRequest(part=parameters_pb2.DraftPart(parameters=parameters))

    answers = list(service.parameters.DraftModel(messages()))
    assert [list(answer.missing) for answer in answers] == [
        list(first.chunk_digests),
        list(third.chunk_digests),
        [],
    ]
    assert [answer.epoch > 0 for answer in answers] == [False, False, True]


def test_a_known_model_lacks_nothing(service: Service) -> None:
    model = local_model("known", {"a": random_array((300, 300), 6)})
    add(service, model)
    assert (draft(service, model))[0] == []
    answer = add(service, model)
    assert (answer.model.summary.version, list(answer.same_as)) == (2, ["known@1"])


@pytest.mark.slow
def test_a_cut_upload_is_resumed_with_what_is_still_missing(service: Service) -> None:
    """Far more is sent than fits between both ends, so the service has taken some when the stream is cut."""
    rows = np.repeat(np.arange(32, dtype=np.float32)[:, None] + 7.5, 1 << 18, axis=1)
    model = local_model("resumed", {"a": rows})
    missing, _ = draft(service, model)
    assert len(missing) == 32
    has_sent, is_over = threading.Event(), threading.Event()

    def cut_off() -> Iterator[parameters_pb2.UploadChunksRequest]:
        yield from model.upload_messages(missing[:-1])
        first, _ = chunk_messages(missing[-1], *model.chunks[missing[-1]])
        yield first
        has_sent.set()
        is_over.wait(60)

    call = service.parameters.UploadChunks.future(cut_off())
    assert has_sent.wait(60)
    call.cancel()
    is_over.set()
    still_missing = _missing_after_sealing(service, model)
    assert still_missing == missing[-len(still_missing) :]
    answer = service.parameters.UploadChunks(model.upload_messages(still_missing))
    assert answer.chunk_count == len(still_missing)
    assert add(service, model).model.summary.name == "resumed"


@pytest.mark.slow
def test_a_deadline_in_the_middle_keeps_what_was_verified(service: Service) -> None:
    model = local_model("late", {"a": random_array((600, 1024), 8)})
    missing, _ = draft(service, model)
    is_over = threading.Event()

    def too_slow() -> Iterator[parameters_pb2.UploadChunksRequest]:
        yield from model.upload_messages(missing[:2])
        is_over.wait(60)

    with pytest.raises(grpc.RpcError) as error:
        service.parameters.UploadChunks(too_slow(), timeout=2)
    is_over.set()
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    still_missing = _missing_after_sealing(service, model)
    assert still_missing == missing[-len(still_missing) :]


def _missing_after_sealing(service: Service, model: LocalModel) -> list[Digest]:
    """What is missing once the service has sealed, which goes on when the caller is gone."""
    count = len(model.chunks)
    wait_until(lambda: len(draft(service, model)[0]) < count, "the service has sealed")
    return draft(service, model)[0]


@pytest.mark.slow
def test_the_same_request_twice_makes_one_model(service: Service) -> None:
    model = local_model("twice", {"a": random_array((5,), 9)})
    first = add(service, model, "twice-1")
    again = add(service, model, "twice-1")
    assert (first.repeated_request, again.repeated_request) == (False, True)
    assert again.model == first.model
    versions = service.lineage.ListVersions(lineage_pb2.ListVersionsRequest(name="twice"))
    assert len(versions.models) == 1


@pytest.mark.parametrize("what", ["content", "header"])
def test_a_request_id_with_other_arguments_is_refused(service: Service, what: str) -> None:
    model = local_model(f"reused-{what}", {"a": random_array((5,), 10)})
    add(service, model, f"reused-{what}")
    other = local_model(
        f"reused-{what}",
        {"a": random_array((5,), 11 if what == "content" else 10)},
        metadata={} if what == "content" else {"k": types_pb2.MetadataValue(text="v")},
    )
    with pytest.raises(grpc.RpcError) as error:
        add(service, other, f"reused-{what}")
    assert (refusal(error.value).code, refusal(error.value).reason) == (
        grpc.StatusCode.ABORTED,
        "REQUEST_ID_REUSED",
    )


def test_a_draft_of_an_earlier_epoch_is_stale(service: Service, neo4j_server: TestServer) -> None:
    model = local_model("stale", {"a": random_array((50, 3), 12)})
    missing, epoch = draft(service, model)
    service.parameters.UploadChunks(model.upload_messages(missing))
    with neo4j.GraphDatabase.driver(
        neo4j_server.uri, auth=(neo4j_server.username, neo4j_server.password)
    ) as driver:
        driver.execute_query("MATCH (s:Store) SET s.epoch = s.epoch + 1")
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.CommitModel(model.commit_messages(epoch))
    assert (refusal(error.value).code, refusal(error.value).reason) == (
        grpc.StatusCode.UNAVAILABLE,
        "UPLOAD_STALE",
    )
    assert draft(service, model) == ([], epoch + 1)
    assert (add(service, model)).model.summary.version == 1


def test_a_commit_without_its_chunks_names_the_first_missing_one(service: Service) -> None:
    model = local_model("lacking", {"a": random_array((700, 1024), 13)})
    missing, epoch = draft(service, model)
    service.parameters.UploadChunks(model.upload_messages(missing[:1]))
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.CommitModel(model.commit_messages(epoch))
    found = refusal(error.value)
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHUNKS_MISSING")
    assert (found.details["digest"], found.details["count"]) == (missing[1].hex(), "2")


def test_a_shape_that_does_not_fit_the_bytes_makes_no_model(service: Service) -> None:
    model = local_model("misshapen", {"a": random_array((10,), 14)})
    service.parameters.UploadChunks(model.upload_messages(model.chunks))
    model.parameters[0].shape[:] = [11]
    _, epoch = draft(service, model)
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.CommitModel(model.commit_messages(epoch))
    assert refusal(error.value).reason == "SHAPE_MISMATCH"
    with pytest.raises(grpc.RpcError) as error:
        service.lineage.GetModel(lineage_pb2.GetModelRequest(model="misshapen"))
    assert refusal(error.value).reason == "MODEL_NOT_FOUND"


def test_what_is_said_of_a_model_is_kept(service: Service) -> None:
    add(service, local_model("said/base", {"a": random_array((4,), 15)}))
    add(service, local_model("said/other", {"a": random_array((4,), 16)}))
    model = local_model(
        "said/child",
        {"a": random_array((4,), 17), "b": random_array((4,), 17)},
        parents=[
            types_pb2.ParentLink(parent="said/base@1", relation=types_pb2.RELATION_MERGED, weight=0.25),
            types_pb2.ParentLink(
                parent="said/other",
                relation=types_pb2.RELATION_MERGED,
                origin=types_pb2.EDGE_ORIGIN_INFERRED,
                confidence=0.5,
            ),
        ],
        previous=parameters_pb2.Previous(model="said/other"),
        type="encoder",
        metadata={
            "text": types_pb2.MetadataValue(text="t"),
            "number": types_pb2.MetadataValue(number=0.5),
            "integer": types_pb2.MetadataValue(integer=-3),
            "flag": types_pb2.MetadataValue(flag=False),
        },
        datasets=[types_pb2.Dataset(name="set", version="v1"), types_pb2.Dataset(name="set", version="v1")],
        source_format="numpy",
        ties=[types_pb2.Tie(names=["a", "b"])],
    )
    committed = (add(service, model)).model
    assert [(edge.parent_ref, edge.weight, edge.confidence) for edge in committed.parents] == [
        ("said/base@1", 0.25, 0.0),
        ("said/other@1", 0.0, 0.5),
    ]
    assert committed.previous.name == "said/other"
    assert committed.metadata == model.header.metadata
    assert (committed.type, [dataset.version for dataset in committed.datasets]) == ("encoder", ["v1"])
    (manifest,) = manifest_of(service, "said/child")
    assert manifest.model == committed
    assert (manifest.source_format, [list(tie.names) for tie in manifest.ties]) == ("numpy", [["a", "b"]])


def test_the_previous_version_is_automatic_given_or_none(service: Service) -> None:
    for number, previous in ((1, None), (2, None), (3, parameters_pb2.Previous(none=True))):
        model = local_model("line", {"a": random_array((4,), number)}, previous=previous)
        committed = (add(service, model)).model
        assert committed.previous.version == (1 if number == 2 else 0)


def test_a_removed_previous_version_is_refused(service: Service) -> None:
    add(service, local_model("old", {"a": random_array((4,), 22)}))
    parent = types_pb2.ParentLink(parent="old")
    add(service, local_model("old/child", {"a": random_array((4,), 23)}, parents=[parent]))
    service.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model="old"))
    previous = parameters_pb2.Previous(model="old@1")
    with pytest.raises(grpc.RpcError) as error:
        add(service, local_model("new", {"a": random_array((4,), 24)}, previous=previous))
    assert refusal(error.value).reason == "MODEL_REMOVED"


def test_a_name_that_differs_in_case_is_refused(service: Service) -> None:
    add(service, local_model("Cased", {"a": random_array((4,), 25)}))
    with pytest.raises(grpc.RpcError) as error:
        add(service, local_model("cased", {"a": random_array((4,), 25)}))
    assert refusal(error.value).reason == "INVALID_NAME"


def test_two_clients_with_the_same_chunks_at_once_both_succeed(service: Service) -> None:
    array = random_array((1100, 1024), 26)
    models = [local_model(f"side-{side}", {"a": array}) for side in range(2)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda model: add(service, model), models))
    assert [answer.model.summary.version for answer in answers] == [1, 1]
    assert answers[0].model.parameters_digest == answers[1].model.parameters_digest
    digests = list(models[0].chunks)
    assert read_chunks(service, digests) == [models[0].chunks[digest][0] for digest in digests]


def test_a_model_without_file_list_has_none(service: Service) -> None:
    committed = (add(service, local_model("bare", {"a": random_array((4,), 18)}))).model
    assert (committed.files_digest, committed.files_bytes) == (b"", 0)


def test_files_go_in_and_out(service: Service) -> None:
    model = local_model("filed", {"a": random_array((4,), 19)}, source_format="folder")
    model.add_file("README.md", b"# read me")
    model.add_file("sub/empty", b"")
    model.add_file("sub/large.bin", bytes(1024) * 1500)
    committed = (add(service, model)).model
    assert committed.files_bytes == 9 + 1024 * 1500
    (manifest,) = manifest_of(service, "filed")
    assert list(manifest.files) == model.files
    assert [len(file.chunk_digests) for file in manifest.files] == [1, 0, 2]


def test_a_long_parameter_is_continued_in_the_next_message(service: Service) -> None:
    """No message has more than 10,000 digests, on the way in and on the way out."""
    model = local_model("long", {})
    content = bytes(1 << 20)
    digest = model._keep(content, 1)
    count = 20_000
    shape = [count, 1 << 20]
    head = types_pb2.Parameter(name="a", dtype="uint8", shape=shape, chunk_digests=[digest] * 10_000)
    rest = types_pb2.Parameter(name="a", chunk_digests=[digest] * 10_000)

    def messages(epoch: int) -> Iterator[parameters_pb2.CommitModelRequest]:
        yield parameters_pb2.CommitModelRequest(header=model.header)
        for entry in (head, rest):
            yield parameters_pb2.CommitModelRequest(part=parameters_pb2.DraftPart(parameters=[entry]))
        yield parameters_pb2.CommitModelRequest(end=parameters_pb2.CommitEnd(epoch=epoch))

    service.parameters.UploadChunks(model.upload_messages([digest]))
    _, epoch = draft(service, local_model("long", {}))
    committed = (service.parameters.CommitModel(messages(epoch))).model
    assert committed.size_bytes == count << 20
    answers = manifest_of(service, "long")
    assert max(sum(len(entry.chunk_digests) for entry in answer.parameters) for answer in answers) <= 10_000
    entries = [entry for answer in answers for entry in answer.parameters]
    assert sum(len(entry.chunk_digests) for entry in entries) == count
    assert {(entry.name, entry.dtype) for entry in entries} == {("a", "uint8"), ("a", "")}


def test_stored_bytes_are_what_the_folder_grew_by(service: Service, folder: Path) -> None:
    def usage() -> int:
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        return sum(sizes)

    model = local_model("grown", {"a": random_array((1000, 900), 20), "b": random_array((77,), 21)})
    before = usage()
    answer = service.parameters.UploadChunks(model.upload_messages(model.chunks))
    assert (answer.chunk_count, answer.stored_bytes) == (len(model.chunks), usage() - before)
    again = service.parameters.UploadChunks(model.upload_messages(model.chunks))
    assert again.stored_bytes == 0


def test_capabilities_are_the_store_s(service: Service) -> None:
    answer = service.parameters.GetCapabilities(parameters_pb2.GetCapabilitiesRequest())
    assert (answer.store_id, answer.digest_algorithm, answer.chunk_rule, answer.max_digests) == (
        service.store.id,
        "blake3",
        "c1",
        10_000,
    )
    assert answer.max_message_bytes == 1 << 20
