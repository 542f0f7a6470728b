from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from tests.neo4j_server import TestServer
from tests.parameter_calls import (
    ALGORITHM,
    Service,
    add,
    local_model,
    random_array,
    read_chunks,
    refusal,
    serving_neo4j,
)

from mgit_core.chunking import chunk_ranges
from mgit_core.digest import digest_of
from mgit_core.safetensors import build_header
from mgit_core.tensor import TensorSpec
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2
from mgit_storage.testing.raw import RawFolder, flip_bit

pytestmark = pytest.mark.neo4j

A = random_array((1300, 500), 1)
B = random_array((40, 30), 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "store"


@pytest.fixture(scope="module")
def service(neo4j_server: TestServer, folder: Path) -> Iterator[Service]:
    with serving_neo4j(neo4j_server, folder) as running:
        model = local_model("m", {"enc.a": A, "enc.b": B, "head.a": B[:2]}, source_format="folder")
        model.add_file("config.json", b'{"x": 1}')
        model.add_file("empty", b"")
        add(running, model)
        yield running


def download(service: Service, **request: object) -> dict[str, bytes]:
    """Content by name of parameter or path of file, sizes checked against their starts."""
    found: dict[str, bytes] = {}
    sizes: dict[str, int] = {}
    name = ""
    for answer in service.parameters.DownloadModel(
        parameters_pb2.DownloadModelRequest(model="m", **request)  # type: ignore[arg-type]
    ):
        if answer.HasField("start"):
            start = answer.start
            name = start.parameter.name or start.file.path
            found[name], sizes[name] = b"", start.size_bytes
        else:
            assert 0 < len(answer.data) <= 1 << 20
            found[name] += answer.data
    assert sizes == {name: len(content) for name, content in found.items()}
    return found


def test_a_download_has_parameters_and_files(service: Service) -> None:
    parameters = {"enc.a": A.tobytes(), "enc.b": B.tobytes(), "head.a": B[:2].tobytes()}
    files = {"config.json": b'{"x": 1}', "empty": b""}
    assert download(service, parameters=True, files=True) == parameters | files
    assert download(service, files=True) == files


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["enc.*"], ["enc.a", "enc.b"]),
        (["*.a"], ["enc.a", "head.a"]),
        (["[eh]*.[b]", "head.?"], ["enc.b", "head.a"]),
        (["enc.b", "enc.b"], ["enc.b"]),
    ],
)
def test_a_download_by_patterns_has_what_fits_one(
    service: Service, patterns: list[str], names: list[str]
) -> None:
    assert list(download(service, tensors=patterns)) == names


@pytest.mark.parametrize(
    ("request_fields", "reason"),
    [
        ({"model": "nobody", "parameters": True}, "MODEL_NOT_FOUND"),
        ({"model": "m@prod", "parameters": True}, "TAG_NOT_FOUND"),
        ({"model": "m", "tensors": ["enc.a", "nothing*"]}, "TENSOR_NOT_FOUND"),
        ({"model": "m", "tensors": ["ENC.*"]}, "TENSOR_NOT_FOUND"),
        ({"model": "m", "tensors": ["enc.*"], "files": True}, "INVALID_ARGUMENT"),
        ({"model": "m"}, "INVALID_ARGUMENT"),
    ],
)
def test_a_download_that_cannot_be_is_refused(
    service: Service, request_fields: dict[str, object], reason: str
) -> None:
    request = parameters_pb2.DownloadModelRequest(**request_fields)  # type: ignore[arg-type]
    with pytest.raises(grpc.RpcError) as error:
        list(service.parameters.DownloadModel(request))
    assert refusal(error.value).reason == reason


@pytest.mark.parametrize(
    ("start", "size_bytes"),
    [(0, 0), (0, 1), (7, 13), (1_047_999, 3), (1_048_000, 1_048_000), (1_000_001, 0), (2_600_000, 0)],
)
def test_a_range_of_a_parameter_comes_as_it_is(service: Service, start: int, size_bytes: int) -> None:
    request = parameters_pb2.ReadTensorRequest(
        model="m", parameter="enc.a", start=start, size_bytes=size_bytes
    )
    first, *rest = service.parameters.ReadTensor(request)
    assert (first.parameter.dtype, list(first.parameter.shape), first.data) == ("float32", [1300, 500], b"")
    stop = start + size_bytes if size_bytes else None
    assert b"".join(answer.data for answer in rest) == A.tobytes()[start:stop]


@pytest.mark.parametrize(
    ("parameter", "start", "size_bytes", "reason"),
    [
        ("nothing", 0, 0, "TENSOR_NOT_FOUND"),
        ("enc.b", -1, 1, "RANGE_OUT_OF_BOUNDS"),
        ("enc.b", 0, -1, "RANGE_OUT_OF_BOUNDS"),
        ("enc.b", 0, 4801, "RANGE_OUT_OF_BOUNDS"),
        ("enc.b", 4801, 0, "RANGE_OUT_OF_BOUNDS"),
    ],
)
def test_a_range_beyond_a_parameter_is_refused(
    service: Service, parameter: str, start: int, size_bytes: int, reason: str
) -> None:
    request = parameters_pb2.ReadTensorRequest(
        model="m", parameter=parameter, start=start, size_bytes=size_bytes
    )
    with pytest.raises(grpc.RpcError) as error:
        list(service.parameters.ReadTensor(request))
    assert refusal(error.value).reason == reason


@pytest.mark.parametrize("reference", ["nobody", "m@7", "m@prod", "..", "@x"])
def test_a_manifest_of_nothing_is_refused(service: Service, reference: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        list(service.parameters.GetManifest(parameters_pb2.GetManifestRequest(model=reference)))
    assert refusal(error.value).reason in {
        "MODEL_NOT_FOUND",
        "TAG_NOT_FOUND",
        "INVALID_NAME",
        "INVALID_REFERENCE",
    }


@pytest.mark.slow
def test_a_removed_model_is_not_read(service: Service) -> None:
    add(service, local_model("gone", {"a": B}))
    parent = types_pb2.ParentLink(parent="gone")
    add(service, local_model("gone-child", {"a": B}, parents=[parent]))
    service.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model="gone"))
    for call, request in (
        (service.parameters.GetManifest, parameters_pb2.GetManifestRequest(model="gone@1")),
        (
            service.parameters.DownloadModel,
            parameters_pb2.DownloadModelRequest(model="gone@1", parameters=True),
        ),
        (
            service.parameters.ReadTensor,
            parameters_pb2.ReadTensorRequest(model="gone@1", parameter="a"),
        ),
    ):
        with pytest.raises(grpc.RpcError) as error:
            list(call(request))
        assert (refusal(error.value).code, refusal(error.value).reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "MODEL_REMOVED",
        )


@pytest.mark.slow
def test_chunks_come_in_the_order_asked_for(service: Service) -> None:
    """Large and small ones mixed, and one twice: the service reads many small ones at a time."""
    contents = [bytes([number % 251]) * (3 if number % 50 else 1 << 20) for number in range(1, 500)]
    contents += [number.to_bytes(3, "big") for number in range(2000)] + [contents[49]]
    model = local_model("order", {})
    for number, content in enumerate(contents):
        model.add_array(f"p{number}", np.frombuffer(content, np.uint8))
    add(service, model)
    digests = [digest_of(ALGORITHM, content) for content in contents]
    assert read_chunks(service, digests) == contents


def test_no_chunks_are_no_answer(service: Service) -> None:
    assert read_chunks(service, []) == []


def test_a_chunk_that_nobody_has_is_not_found(service: Service) -> None:
    known = digest_of(ALGORITHM, A.tobytes()[: 524 * 2000])
    with pytest.raises(grpc.RpcError) as error:
        read_chunks(service, [known, bytes(32)])
    found = refusal(error.value)
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "CHUNK_NOT_FOUND")
    assert found.details["digest"] == bytes(32).hex()


@pytest.mark.parametrize(
    ("digests", "code", "reason"),
    [
        ([bytes(32)] * 10_001, grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"),
        ([b"short"], grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    ],
)
def test_too_many_digests_or_wrong_ones_are_refused(
    service: Service, digests: list[bytes], code: grpc.StatusCode, reason: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        read_chunks(service, digests)
    assert (refusal(error.value).code, refusal(error.value).reason) == (code, reason)


def test_a_safetensors_file_is_rebuilt_byte_for_byte(service: Service) -> None:
    """Its tensors lie in another order than the model's parameters, under another prefix."""
    specs = [("z", TensorSpec("float32", (40, 30))), ("y", TensorSpec("float32", (1300, 500)))]
    text = build_header(specs, {"format": "pt"})
    # Whitespace of the writer's own is kept: the header is bytes, not a document.
    text = (len(text) - 8 + 16).to_bytes(8, "little") + text[8:] + b" " * 16
    whole = text + B.tobytes() + A.tobytes()
    model = local_model("st", {"p.y": A, "p.z": B, "other": B}, source_format="safetensors")
    model.add_safetensors("model.safetensors", text, len(whole), prefix="p.")
    committed = add(service, model).model
    assert committed.files_bytes == len(text)
    answers = list(
        service.parameters.DownloadModel(parameters_pb2.DownloadModelRequest(model="st", files=True))
    )
    assert answers[0].start.file.path == "model.safetensors"
    assert b"".join(answer.data for answer in answers[1:]) == whole


def _other_size(header: bytes, whole: int) -> tuple[bytes, int]:
    return header, whole + 4


def _no_json(header: bytes, whole: int) -> tuple[bytes, int]:
    return header[:8] + b"[" * (len(header) - 8), whole


def _other_type(header: bytes, whole: int) -> tuple[bytes, int]:
    return header.replace(b'"F32"', b'"I32"'), whole


def _other_name(header: bytes, whole: int) -> tuple[bytes, int]:
    return header.replace(b'"b"', b'"c"'), whole


def _more_than_the_header(header: bytes, whole: int) -> tuple[bytes, int]:
    return header + b"1234", whole


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_other_size, "UNREADABLE_INPUT"),
        (_no_json, "UNREADABLE_INPUT"),
        (_other_type, "SHAPE_MISMATCH"),
        (_other_name, "SHAPE_MISMATCH"),
        (_more_than_the_header, "SHAPE_MISMATCH"),
    ],
)
def test_a_safetensors_file_that_could_not_be_rebuilt_is_refused(
    service: Service, change: object, reason: str
) -> None:
    header = build_header([("b", TensorSpec("float32", (40, 30)))], {})
    header, whole = change(header, len(header) + B.nbytes)  # type: ignore[operator]
    model = local_model("liar", {"b": B}, source_format="safetensors")
    model.add_safetensors("model.safetensors", header, whole)
    with pytest.raises(grpc.RpcError) as error:
        add(service, model)
    assert refusal(error.value).reason == reason


def test_a_flipped_bit_is_reported_with_digest_and_models_and_others_are_served(
    service: Service, folder: Path
) -> None:
    raw = RawFolder(folder)
    before = set(raw.list())
    broken = random_array((900, 600), 77)
    add(service, local_model("broken", {"w": broken, "fine": B}))
    add(service, local_model("broken/too", {"v": broken}))
    (pack,) = [key for key in set(raw.list()) - before if key.startswith("packs/")]
    spec = TensorSpec("float32", (900, 600))
    chunks = [digest_of(ALGORITHM, broken.tobytes()[start:stop]) for start, stop in chunk_ranges(spec)]
    # The entries lie in the order in which they were encoded; whichever the byte is in is damaged.
    flip_bit(raw, pack, 600_000)
    found = []
    for digest in chunks:
        try:
            read_chunks(service, [digest])
        except grpc.RpcError as error:
            found.append((digest, refusal(error)))
    ((digest, damage),) = found
    assert (damage.code, damage.reason) == (grpc.StatusCode.DATA_LOSS, "CHUNK_CORRUPT")
    assert damage.details["digest"] == digest.hex()
    assert damage.details["models"].split(",") == ["broken/too@1", "broken@1"]
    assert "broken@1" in damage.message
    with pytest.raises(grpc.RpcError) as error:
        list(
            service.parameters.DownloadModel(
                parameters_pb2.DownloadModelRequest(model="broken", parameters=True)
            )
        )
    assert refusal(error.value).reason == "CHUNK_CORRUPT"
    with pytest.raises(grpc.RpcError) as error:
        list(service.parameters.ReadTensor(parameters_pb2.ReadTensorRequest(model="broken", parameter="w")))
    assert refusal(error.value).details["models"] == damage.details["models"]
    assert download(service, parameters=True)["enc.a"] == A.tobytes()


def test_a_damaged_manifest_is_data_loss(service: Service, folder: Path) -> None:
    committed = add(service, local_model("unlisted", {"a": random_array((4,), 78)})).model
    raw = RawFolder(folder)
    (key,) = [key for key in raw.list() if f"manifests/{committed.parameters_digest.hex()}/" in key]
    (folder / key).chmod(0o644)
    flip_bit(raw, key, -3)
    with pytest.raises(grpc.RpcError) as error:
        list(service.parameters.GetManifest(parameters_pb2.GetManifestRequest(model="unlisted")))
    found = refusal(error.value)
    assert (found.code, found.reason) == (grpc.StatusCode.DATA_LOSS, "MANIFEST_CORRUPT")
    assert found.details["model"] == "unlisted@1"
    raw.remove(key)
    with pytest.raises(grpc.RpcError) as error:
        list(service.parameters.GetManifest(parameters_pb2.GetManifestRequest(model="unlisted")))
    assert refusal(error.value).reason == "MANIFEST_CORRUPT"


def test_a_header_is_json_to_the_end() -> None:
    """Guards the test above: the header that is changed there has the texts that are replaced."""
    header = build_header([("b", TensorSpec("float32", (40, 30)))], {})
    assert list(json.loads(header[8:])) == ["b"]
