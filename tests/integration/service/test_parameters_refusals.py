"""Bad drafts, uploads and commits: each gets its reason, and nothing of it is visible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import grpc
import pytest
from tests.neo4j_server import TestServer
from tests.parameter_calls import (
    ALGORITHM,
    LocalModel,
    Service,
    add,
    chunk_messages,
    draft,
    local_model,
    random_array,
    refusal,
    serving_neo4j,
)

from mgit_core.digest import digest_of
from mgit_core.layers.document import pack_layer_graph
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2
from mgit_storage.testing.parameters import make_layer_graph

pytestmark = pytest.mark.neo4j

Change: TypeAlias = Callable[[LocalModel], object]
INVALID = grpc.StatusCode.INVALID_ARGUMENT
TEXT = types_pb2.MetadataValue(text="x" * 66_000)


@pytest.fixture(scope="module")
def service(neo4j_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_neo4j(neo4j_server, tmp_path_factory.mktemp("service") / "store") as running:
        add(running, local_model("base", {"a": random_array((3,), 0)}))
        yield running


def good_model() -> LocalModel:
    model = local_model("bad", {"a": random_array((20,), 1), "b": random_array((600, 1024), 2)})
    model.add_file("config.json", b"{}")
    return model


def set_name(name: str) -> Change:
    return lambda model: setattr(model.header, "name", name)


def parent(**fields: Any) -> Change:
    return lambda model: model.header.parents.add(**fields)


def layers(document: bytes) -> Change:
    return lambda model: setattr(model.header, "layer_graph", document)


def file(**fields: Any) -> Change:
    fields = {"path": "x", "kind": types_pb2.FILE_KIND_OPAQUE, **fields}
    return lambda model: model.files.append(types_pb2.File(**fields))


def both(first: Change, second: Change) -> Change:
    def change(model: LocalModel) -> None:
        first(model)
        second(model)

    return change


BAD_DRAFTS: dict[str, tuple[str, Change]] = {
    "name with dots": ("INVALID_NAME", set_name("a/../b")),
    "empty name": ("INVALID_NAME", set_name("")),
    "name with control character": ("INVALID_NAME", set_name("a\x07")),
    "name of 10,000 characters": ("INVALID_NAME", set_name("a" * 10_000)),
    "type of two segments": ("INVALID_NAME", lambda model: setattr(model.header, "type", "a/b")),
    "data set without name": ("INVALID_NAME", lambda model: model.header.datasets.add(version="1")),
    "data set version with control character": (
        "INVALID_NAME",
        lambda model: model.header.datasets.add(name="d", version="\n"),
    ),
    "source format": ("INVALID_ARGUMENT", lambda model: setattr(model.header, "source_format", "gguf")),
    "layer graph that is no document": ("INVALID_LAYER_GRAPH", layers(b"layers")),
    "layer graph that is too long": ("INVALID_LAYER_GRAPH", layers(bytes(600_000))),
    "layer graph of another model": (
        "INVALID_LAYER_GRAPH",
        layers(pack_layer_graph(make_layer_graph(("a", "other")))),
    ),
    "tie of one": ("INVALID_NAME", lambda model: model.header.ties.add(names=["a", "a"])),
    "tie of nobody": ("INVALID_NAME", lambda model: model.header.ties.add(names=["a", "z"])),
    "metadata key": ("INVALID_METADATA", lambda model: model.header.metadata["1 a"].CopyFrom(TEXT)),
    "large metadata": ("INVALID_METADATA", lambda model: model.header.metadata["a"].CopyFrom(TEXT)),
    "metadata without value": ("INVALID_METADATA", lambda model: model.header.metadata["a"].Clear()),
    "unknown parent": ("PARENT_NOT_FOUND", parent(parent="nobody")),
    "unknown tag of a parent": ("PARENT_NOT_FOUND", parent(parent="base@prod")),
    "parent that is no reference": ("INVALID_REFERENCE", parent(parent="@nothing")),
    "parent with a bad name": ("INVALID_NAME", parent(parent="..")),
    "unknown relation": ("INVALID_RELATION", parent(parent="base", relation=77)),
    "unknown origin": ("INVALID_RELATION", parent(parent="base", origin=77)),
    "confidence of a declared edge": ("INVALID_RELATION", parent(parent="base", confidence=0.5)),
    "infinite weight": ("INVALID_RELATION", parent(parent="base", weight=float("inf"))),
    "one parent twice": ("INVALID_RELATION", both(parent(parent="base"), parent(parent="base@1"))),
    "unknown previous": ("MODEL_NOT_FOUND", lambda model: setattr(model.header.previous, "model", "nobody")),
    "previous that is no reference": (
        "INVALID_REFERENCE",
        lambda model: setattr(model.header.previous, "model", "base@99999999999"),
    ),
    "unknown dtype": ("UNKNOWN_DTYPE", lambda model: setattr(model.parameters[0], "dtype", "float31")),
    "negative length": ("SHAPE_MISMATCH", lambda model: model.parameters[0].shape.append(-1)),
    "too many axes": ("SHAPE_MISMATCH", lambda model: model.parameters[0].shape.extend([1] * 40)),
    "too large": ("SHAPE_MISMATCH", lambda model: model.parameters[0].shape.extend([2**40, 2**40])),
    "too few chunks": ("SHAPE_MISMATCH", lambda model: model.parameters[1].chunk_digests.pop()),
    "no chunks": ("SHAPE_MISMATCH", lambda model: model.parameters[0].ClearField("chunk_digests")),
    "too many chunks": ("SHAPE_MISMATCH", lambda model: model.parameters[0].chunk_digests.append(bytes(32))),
    "short digest": ("SHAPE_MISMATCH", lambda model: model.parameters[0].chunk_digests.__setitem__(0, b"x")),
    "two of one name": ("DUPLICATE_PARAMETER", lambda model: setattr(model.parameters[1], "name", "a")),
    "empty parameter name": ("INVALID_NAME", lambda model: setattr(model.parameters[0], "name", "")),
    "long parameter name": ("INVALID_NAME", lambda model: setattr(model.parameters[0], "name", "n" * 10_000)),
    "control in parameter name": ("INVALID_NAME", lambda model: setattr(model.parameters[0], "name", "a\0b")),
    "continuation of another": ("MESSAGE_OUT_OF_ORDER", lambda model: model.parameters[1].Clear()),
    "file outside": ("INVALID_NAME", file(path="../x")),
    "absolute file": ("INVALID_NAME", file(path="/x")),
    "files out of order": ("INVALID_NAME", file(path="a")),
    "one file twice": ("INVALID_NAME", file(path="config.json")),
    "file that is a folder": ("INVALID_NAME", file(path="config.json/x")),
    "file kind not given": ("INVALID_ARGUMENT", file(kind=0, size_bytes=1)),
    "file kind not known": ("INVALID_ARGUMENT", file(kind=9, size_bytes=1)),
    "prefix of an opaque file": ("INVALID_NAME", file(prefix="p.")),
    "file of negative size": ("SHAPE_MISMATCH", file(size_bytes=-1, stored_bytes=-1)),
    "file that keeps more than it has": (
        "SHAPE_MISMATCH",
        file(size_bytes=1, stored_bytes=2, chunk_digests=[bytes(32)]),
    ),
    "file without its chunk": ("SHAPE_MISMATCH", file(size_bytes=2, stored_bytes=2)),
    "continuation of another file": ("MESSAGE_OUT_OF_ORDER", file(kind=0, chunk_digests=[bytes(32)])),
}
NOT_FOUND = {"PARENT_NOT_FOUND", "MODEL_NOT_FOUND"}


@pytest.mark.parametrize("case", BAD_DRAFTS)
def test_a_bad_draft_is_refused_by_draft_and_commit(service: Service, case: str) -> None:
    reason, change = BAD_DRAFTS[case]
    model = good_model()
    service.parameters.UploadChunks(model.upload_messages(model.chunks))
    change(model)
    with pytest.raises(grpc.RpcError) as error:
        draft(service, model)
    found = refusal(error.value)
    assert (found.reason, found.code) == (
        reason,
        grpc.StatusCode.NOT_FOUND if reason in NOT_FOUND else INVALID,
    )
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.CommitModel(model.commit_messages(1))
    assert refusal(error.value).reason == reason


def test_no_bad_draft_left_a_model(service: Service) -> None:
    models = service.lineage.ListModels(lineage_pb2.ListModelsRequest())
    assert [model.summary.name for model in models.models] == ["base"]


HEADER = parameters_pb2.DraftModelRequest(header=parameters_pb2.ModelHeader(name="bad"))
PART = parameters_pb2.DraftModelRequest(part=parameters_pb2.DraftPart())


@pytest.mark.parametrize(
    "messages",
    [[], [PART], [HEADER, HEADER], [HEADER, parameters_pb2.DraftModelRequest()]],
    ids=["nothing", "part first", "two headers", "empty message"],
)
def test_a_draft_is_a_header_and_then_parts(
    service: Service, messages: list[parameters_pb2.DraftModelRequest]
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        for _ in service.parameters.DraftModel(iter(messages)):
            pass
    assert (refusal(error.value).reason, refusal(error.value).code) == ("MESSAGE_OUT_OF_ORDER", INVALID)


def _commit(kinds: str) -> list[parameters_pb2.CommitModelRequest]:
    messages = {
        "h": parameters_pb2.CommitModelRequest(header=parameters_pb2.ModelHeader(name="bad")),
        "p": parameters_pb2.CommitModelRequest(part=parameters_pb2.DraftPart()),
        "e": parameters_pb2.CommitModelRequest(end=parameters_pb2.CommitEnd(epoch=1)),
        "-": parameters_pb2.CommitModelRequest(),
    }
    return [messages[kind] for kind in kinds]


@pytest.mark.parametrize("kinds", ["", "p", "e", "h", "hp", "hhe", "hee", "hep", "h-e"])
def test_a_commit_is_a_header_parts_and_one_end(service: Service, kinds: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.CommitModel(iter(_commit(kinds)))
    assert refusal(error.value).reason == "MESSAGE_OUT_OF_ORDER"


@pytest.mark.parametrize("request_id", ["x" * 129, "a\nb", "é"])
def test_a_request_id_is_short_and_printable(service: Service, request_id: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        add(service, good_model(), request_id)
    assert refusal(error.value).reason == "INVALID_ARGUMENT"


def test_a_message_with_too_many_digests_is_refused(service: Service) -> None:
    model = local_model("bad", {})
    digests = [bytes(32)] * 10_001
    model.parameters.append(
        types_pb2.Parameter(name="a", dtype="uint8", shape=[10_001, 1 << 20], chunk_digests=digests)
    )
    with pytest.raises(grpc.RpcError) as error:
        draft(service, model)
    assert (refusal(error.value).code, refusal(error.value).reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "LIMIT_EXCEEDED",
    )


def test_a_message_of_more_than_a_mebibyte_is_refused(service: Service) -> None:
    model = local_model("bad", {})
    name = "n" * 1000
    model.parameters += [
        types_pb2.Parameter(name=f"{name}{number}", dtype="uint8", shape=[0]) for number in range(1100)
    ]
    with pytest.raises(grpc.RpcError) as error:
        draft(service, model)
    assert refusal(error.value).reason == "LIMIT_EXCEEDED"


CONTENT = bytes(range(256)) * 8
DIGEST = digest_of(ALGORITHM, CONTENT)


def piece(**fields: Any) -> parameters_pb2.UploadChunksRequest:
    return parameters_pb2.UploadChunksRequest(**fields)


def first_piece(**fields: Any) -> parameters_pb2.UploadChunksRequest:
    return piece(**{"digest": DIGEST, "size_bytes": len(CONTENT), "item_bytes": 4, "data": CONTENT, **fields})


BAD_UPLOADS: dict[str, tuple[str, list[parameters_pb2.UploadChunksRequest]]] = {
    "other bytes": ("DIGEST_MISMATCH", [first_piece(data=bytes(len(CONTENT)))]),
    "short digest": ("DIGEST_MISMATCH", [first_piece(digest=b"short")]),
    "piece of nothing": ("MESSAGE_OUT_OF_ORDER", [piece(data=b"x")]),
    "second begins too early": ("MESSAGE_OUT_OF_ORDER", [first_piece(data=b"x"), first_piece()]),
    "ends too early": ("MESSAGE_OUT_OF_ORDER", [first_piece(data=CONTENT[:-1])]),
    "size in a further piece": ("MESSAGE_OUT_OF_ORDER", [first_piece(data=b"x"), piece(size_bytes=9)]),
    "more bytes than said": ("SHAPE_MISMATCH", [first_piece(data=CONTENT + b"x")]),
    "no bytes": ("SHAPE_MISMATCH", [first_piece(size_bytes=0, data=b"")]),
    "too large": ("SHAPE_MISMATCH", [first_piece(size_bytes=(1 << 20) + 1)]),
    "negative size": ("SHAPE_MISMATCH", [first_piece(size_bytes=-1)]),
    "items of three bytes": ("SHAPE_MISMATCH", [first_piece(item_bytes=3)]),
}


@pytest.mark.parametrize("case", BAD_UPLOADS)
def test_a_bad_upload_is_refused_and_its_chunk_not_kept(service: Service, case: str) -> None:
    reason, messages = BAD_UPLOADS[case]
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.UploadChunks(iter(messages))
    assert (refusal(error.value).reason, refusal(error.value).code) == (reason, INVALID)
    assert service.store.chunks.find_missing([DIGEST]) == [DIGEST]


def test_what_was_right_beside_a_wrong_chunk_is_kept(service: Service) -> None:
    contents = [bytes([number]) * 5000 for number in range(20)]
    digests = [digest_of(ALGORITHM, content) for content in contents]

    def messages() -> Iterable[parameters_pb2.UploadChunksRequest]:
        for digest, content in zip(digests, contents, strict=True):
            wrong = content[:-1] + b"?" if digest == digests[7] else content
            yield from chunk_messages(digest, wrong)

    with pytest.raises(grpc.RpcError) as error:
        service.parameters.UploadChunks(messages())
    found = refusal(error.value)
    assert (found.reason, found.details["wanted"]) == ("DIGEST_MISMATCH", digests[7].hex())
    assert service.store.chunks.find_missing(digests) == [digests[7]]
