"""Uploads of raw bytes, by generated stubs alone: what a client in any language does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from tests.neo4j_server import TestServer
from tests.parameter_calls import ALGORITHM, Service, add, local_model, random_array, refusal, serving_neo4j
from tests.uploads import END

from mgit_core.layers.document import layer_graph_digest, pack_layer_graph
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2
from mgit_storage.testing.parameters import make_layer_graph

pytestmark = pytest.mark.neo4j

Requests = list[parameters_pb2.UploadModelRequest]


@pytest.fixture(scope="module")
def service(neo4j_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_neo4j(neo4j_server, tmp_path_factory.mktemp("service") / "store") as running:
        yield running


def header(name: str, request_id: str = "", **fields: Any) -> parameters_pb2.UploadModelRequest:
    model = parameters_pb2.ModelHeader(name=name, **fields)
    return parameters_pb2.UploadModelRequest(
        header=parameters_pb2.UploadModelHeader(model=model, request_id=request_id)
    )


def tensor(
    name: str, content: bytes, shape: list[int], dtype: str = "float32", step: int = 300_000
) -> Requests:
    parameter = types_pb2.Parameter(name=name, dtype=dtype, shape=shape)
    return start_and_data(
        parameters_pb2.ContentStart(parameter=parameter, size_bytes=len(content)), content, step
    )


def file(path: str, content: bytes) -> Requests:
    entry = types_pb2.File(path=path, kind=types_pb2.FILE_KIND_OPAQUE)
    return start_and_data(parameters_pb2.ContentStart(file=entry, size_bytes=len(content)), content, 300_000)


def start_and_data(start: parameters_pb2.ContentStart, content: bytes, step: int) -> Requests:
    pieces = [content[at : at + step] for at in range(0, len(content), step)]
    return [
        parameters_pb2.UploadModelRequest(start=start),
        *(parameters_pb2.UploadModelRequest(data=piece) for piece in pieces),
    ]


def upload(service: Service, requests: Iterable[parameters_pb2.UploadModelRequest]) -> types_pb2.Model:
    return service.parameters.UploadModel(iter([*requests, END])).model


@pytest.mark.slow
def test_add_ancestors_and_get_with_generated_stubs_alone(service: Service) -> None:
    weights = random_array((700, 900), 1).tobytes()
    base = upload(service, [header("raw/base"), *tensor("w", weights, [700, 900]), *file("a.txt", b"text")])
    tuned = bytes(8) + weights[8:]
    parent = types_pb2.ParentLink(parent="raw/base", relation=types_pb2.RELATION_FINETUNED)
    child = upload(
        service,
        [
            header("raw/child", parents=[parent]),
            *tensor("w", tuned, [700, 900]),
            *tensor("s", b"\1", [], "bool"),
        ],
    )
    answers = service.lineage.ListRelatives(
        lineage_pb2.ListRelativesRequest(
            model="raw/child",
            direction=lineage_pb2.DIRECTION_ANCESTORS,
            view=lineage_pb2.TRAVERSAL_VIEW_SUMMARIES,
        )
    )
    assert [relative.model.uid for answer in answers for relative in answer.relatives] == [base.summary.uid]
    assert child.parents[0].parent_ref == "raw/base@1"
    got: dict[str, bytes] = {}
    name = ""
    for answer in service.parameters.DownloadModel(
        parameters_pb2.DownloadModelRequest(model="raw/child", parameters=True, files=True)
    ):
        if answer.WhichOneof("kind") == "start":
            name = answer.start.parameter.name
            got[name] = b""
        got[name] += answer.data
    assert got == {"w": tuned, "s": b"\1"}


@pytest.mark.slow
def test_the_server_cuts_as_a_client_does(service: Service) -> None:
    """The same content under the chunk rule is the same parameter set, however its bytes came."""
    array = random_array((1300, 500), 2)
    cut = local_model("cut", {"a": array, "b": np.float32(3)})
    cut.add_file("f", bytes(1_500_000))
    expected = add(service, cut).model
    for step in (1_000, 299_999, 1 << 20):
        content = tensor("a", array.tobytes(), [1300, 500], step=step)
        model = upload(
            service,
            [
                header("uncut"),
                *content,
                *tensor("b", np.float32(3).tobytes(), []),
                *file("f", bytes(1_500_000)),
            ],
        )
        assert model.parameters_digest == expected.parameters_digest
        assert model.files_digest == expected.files_digest


def test_empty_tensors_and_files_have_no_data(service: Service) -> None:
    model = upload(service, [header("hollow"), *tensor("a", b"", [0, 4]), *file("z", b""), *file("b/c", b"")])
    assert (model.tensor_count, model.size_bytes) == (1, 0)
    (manifest,) = service.parameters.GetManifest(parameters_pb2.GetManifestRequest(model="hollow"))
    assert [entry.path for entry in manifest.files] == ["b/c", "z"]


@pytest.mark.slow
def test_the_same_upload_twice_makes_one_model(service: Service) -> None:
    requests = [header("raw-twice", "raw-twice"), *tensor("a", bytes(4), [1])]
    first = service.parameters.UploadModel(iter([*requests, END]))
    again = service.parameters.UploadModel(iter([*requests, END]))
    assert (again.model, again.repeated_request) == (first.model, True)
    other = [requests[0], *tensor("a", b"\1\0\0\0", [1])]
    with pytest.raises(grpc.RpcError) as error:
        upload(service, other)
    assert refusal(error.value).reason == "REQUEST_ID_REUSED"


def test_a_layer_graph_comes_with_the_header(service: Service) -> None:
    graph = make_layer_graph(("b", "a"))
    content = [*tensor("b", bytes(8), [2]), *tensor("a", bytes(4), [1])]
    model = upload(service, [header("layers", layer_graph=pack_layer_graph(graph)), *content])
    answer = service.parameters.GetLayerGraph(parameters_pb2.GetLayerGraphRequest(model="layers"))
    assert answer.digest == model.layer_graph_digest == layer_graph_digest(ALGORITHM, graph)
    assert answer.document == pack_layer_graph(graph)


def test_the_same_request_with_another_layer_graph_is_another_upload(service: Service) -> None:
    content = tensor("a", bytes(4), [1])
    document = pack_layer_graph(make_layer_graph(("a",)))
    upload(service, [header("layers-once", "layers-once", layer_graph=document), *content])
    with pytest.raises(grpc.RpcError) as error:
        upload(service, [header("layers-once", "layers-once"), *content])
    assert refusal(error.value).reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("document", [b"layers", bytes(600_000)])
def test_what_is_no_layer_graph_is_refused_before_any_content_is_sent(
    service: Service, document: bytes
) -> None:
    """Gigabytes may follow the header; the caller here sends none, and would wait for ever."""
    is_refused = threading.Event()

    def requests() -> Iterator[parameters_pb2.UploadModelRequest]:
        yield header("bad", layer_graph=document)
        is_refused.wait(60)

    with pytest.raises(grpc.RpcError) as error:
        service.parameters.UploadModel(requests(), timeout=30)
    is_refused.set()
    assert refusal(error.value).reason == "INVALID_LAYER_GRAPH"


A_START = tensor("a", b"", [0])[0]
BAD: dict[str, tuple[str, Callable[[], Requests]]] = {
    "nothing": ("MESSAGE_OUT_OF_ORDER", list),
    "no header": ("MESSAGE_OUT_OF_ORDER", lambda: [A_START]),
    "bytes first": ("MESSAGE_OUT_OF_ORDER", lambda: [parameters_pb2.UploadModelRequest(data=b"x")]),
    "bytes of nothing": (
        "MESSAGE_OUT_OF_ORDER",
        lambda: [header("bad"), parameters_pb2.UploadModelRequest(data=b"x")],
    ),
    "two headers": ("MESSAGE_OUT_OF_ORDER", lambda: [header("bad"), header("bad")]),
    "empty message": ("MESSAGE_OUT_OF_ORDER", lambda: [header("bad"), parameters_pb2.UploadModelRequest()]),
    "start of nothing": (
        "MESSAGE_OUT_OF_ORDER",
        lambda: [header("bad"), parameters_pb2.UploadModelRequest(start=parameters_pb2.ContentStart())],
    ),
    "fewer bytes than the shape": ("SHAPE_MISMATCH", lambda: [header("bad"), *tensor("a", bytes(8), [3])]),
    "fewer bytes than announced": (
        "SHAPE_MISMATCH",
        lambda: [header("bad"), *tensor("a", bytes(8), [2], step=4)[:-1]],
    ),
    "fewer bytes before the next": (
        "SHAPE_MISMATCH",
        lambda: [header("bad"), *tensor("a", bytes(8), [2], step=4)[:-1], A_START],
    ),
    "more bytes than announced": (
        "SHAPE_MISMATCH",
        lambda: [
            header("bad"),
            *tensor("a", bytes(8), [2]),
            parameters_pb2.UploadModelRequest(data=b"x"),
        ],
    ),
    "unknown dtype": ("UNKNOWN_DTYPE", lambda: [header("bad"), *tensor("a", b"", [0], "float31")]),
    "one name twice": (
        "DUPLICATE_PARAMETER",
        lambda: [header("bad"), *tensor("a", bytes(4), [1]), *tensor("a", bytes(4), [1])],
    ),
    "one path twice": ("INVALID_NAME", lambda: [header("bad"), *file("a", b"x"), *file("a", b"x")]),
    "path outside": ("INVALID_NAME", lambda: [header("bad"), *file("../a", b"x")]),
    "parameter name with control character": (
        "INVALID_NAME",
        lambda: [header("bad"), *tensor("a\n", bytes(4), [1])],
    ),
    "model name": ("INVALID_NAME", lambda: [header("..")]),
    "parent": (
        "PARENT_NOT_FOUND",
        lambda: [header("bad", parents=[types_pb2.ParentLink(parent="nobody")]), A_START],
    ),
    "layer graph of other parameters": (
        "INVALID_LAYER_GRAPH",
        lambda: [
            header("bad", layer_graph=pack_layer_graph(make_layer_graph(("a", "b")))),
            *tensor("a", bytes(4), [1]),
        ],
    ),
    "safetensors file": (
        "INVALID_ARGUMENT",
        lambda: [
            header("bad"),
            parameters_pb2.UploadModelRequest(
                start=parameters_pb2.ContentStart(
                    file=types_pb2.File(path="a", kind=types_pb2.FILE_KIND_SAFETENSORS)
                )
            ),
        ],
    ),
    "file of another size": (
        "SHAPE_MISMATCH",
        lambda: [
            header("bad"),
            parameters_pb2.UploadModelRequest(
                start=parameters_pb2.ContentStart(
                    file=types_pb2.File(path="a", kind=types_pb2.FILE_KIND_OPAQUE, size_bytes=3),
                    size_bytes=4,
                )
            ),
        ],
    ),
    "file of negative size": (
        "SHAPE_MISMATCH",
        lambda: [
            header("bad"),
            parameters_pb2.UploadModelRequest(
                start=parameters_pb2.ContentStart(
                    file=types_pb2.File(path="a", kind=types_pb2.FILE_KIND_OPAQUE), size_bytes=-1
                )
            ),
        ],
    ),
    "large message": (
        "LIMIT_EXCEEDED",
        lambda: [header("bad"), *tensor("a", bytes(1_200_000), [300_000], step=1_200_000)],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_upload_is_refused_and_leaves_nothing_visible(service: Service, case: str) -> None:
    reason, requests = BAD[case]
    with pytest.raises(grpc.RpcError) as error:
        upload(service, requests())
    assert refusal(error.value).reason == reason
    with pytest.raises(grpc.RpcError) as error:
        service.lineage.GetModel(lineage_pb2.GetModelRequest(model="bad"))
    assert refusal(error.value).reason == "MODEL_NOT_FOUND"


@pytest.mark.parametrize("behind", [[], [END, END], [END, A_START]])
def test_an_upload_ends_once_and_with_its_end(service: Service, behind: Requests) -> None:
    requests = [header("bad"), *tensor("a", bytes(8), [2]), *behind]
    with pytest.raises(grpc.RpcError) as error:
        service.parameters.UploadModel(iter(requests))
    assert refusal(error.value).reason == "MESSAGE_OUT_OF_ORDER"


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_an_upload_that_is_cut_between_two_parameters_makes_no_model(service: Service, size: int) -> None:
    """A caller who goes away has not ended the upload, also where a whole parameter has just been sent."""
    for number in range(8):
        _cut_off(service, f"cut-off-{size}-{number}", size)
    # When a later upload is done, the cancelled calls are long over.
    upload(service, [header("after"), *tensor("a", random_array((900, 900), 9).tobytes(), [900, 900])])
    models = service.lineage.ListModels(lineage_pb2.ListModelsRequest(name_prefix="cut-off"))
    assert list(models.models) == []


def _cut_off(service: Service, name: str, size: int) -> None:
    has_sent, is_over = threading.Event(), threading.Event()

    def requests() -> Iterator[parameters_pb2.UploadModelRequest]:
        yield header(name)
        yield from tensor("a", random_array((size,), size).tobytes(), [size])
        has_sent.set()
        is_over.wait(60)

    call = service.parameters.UploadModel.future(requests())
    assert has_sent.wait(60)
    call.cancel()
    is_over.set()
