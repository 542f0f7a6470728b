"""Uploads that say where their chunks belong: stored as differences, read back bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import grpc
import ml_dtypes
import numpy as np
import pytest
from tests.neo4j_server import TestServer
from tests.parameter_calls import (
    ALGORITHM,
    LocalModel,
    Service,
    add,
    add_predicted,
    local_model,
    random_array,
    read_chunks,
    refusal,
    serving_here,
    serving_neo4j,
)
from tests.uploads import link, upload

from mgit_core.coding.encoded import Encoding, Predictor
from mgit_core.digest import Digest
from mgit_core.tensor import AnyArray
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2
from mgit_storage.store import open_store

SHAPES = {"encoder.weight": (700, 600), "encoder.bias": (600,), "head.weight": (4, 600)}
BASE = {name: random_array(shape, at) for at, (name, shape) in enumerate(SHAPES.items())}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    store = open_store(tmp_path_factory.mktemp("service") / "store", ALGORITHM)
    with serving_here(store) as running:
        add(running, local_model("base", BASE))
        yield running


def trained(arrays: dict[str, AnyArray], seed: int) -> dict[str, AnyArray]:
    return {
        name: array + np.float32(1e-4) * random_array(array.shape, seed + at)
        for at, (name, array) in enumerate(arrays.items())
    }


def child(name: str, arrays: dict[str, AnyArray], *parents: types_pb2.ParentLink) -> LocalModel:
    return local_model(name, arrays, parents=parents)


def predictors(service: Service, model: LocalModel) -> set[int]:
    return {service.store.chunks.read_encoded(digest).predictor for digest in model.chunks}


def is_exact(service: Service, model: LocalModel) -> bool:
    frames = [service.store.chunks.read_encoded(digest) for digest in model.chunks]
    return all(frame.encoding == Encoding.EXACT for frame in frames)


def assert_reads_back(service: Service, model: LocalModel) -> None:
    digests = list(model.chunks)
    assert read_chunks(service, digests) == [model.chunks[digest][0] for digest in digests]


def refused(service: Service, messages: Iterable[parameters_pb2.UploadChunksRequest]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        service.parameters.UploadChunks(iter(messages))
    return refusal(caught.value).reason


def test_a_finetuned_child_stores_less_and_comes_back(service: Service) -> None:
    model = child("finetuned", trained(BASE, 10), link("base"))
    answer = add_predicted(service, model)
    assert answer.chunk_count == len(model.chunks)
    assert answer.stored_bytes < 0.65 * sum(len(content) for content, _ in model.chunks.values())
    assert Predictor.BASE in predictors(service, model)
    assert_reads_back(service, model)


def test_without_an_outline_a_child_is_stored_alone(service: Service) -> None:
    model = child("alone", trained(BASE, 20), link("base"))
    add(service, model)
    assert predictors(service, model) == {Predictor.NONE}
    assert_reads_back(service, model)


def test_the_version_before_is_a_relative_without_being_a_parent(service: Service) -> None:
    add(service, local_model("versions", trained(BASE, 30)))
    model = local_model("versions", trained(trained(BASE, 30), 40))
    add_predicted(service, model)
    assert Predictor.BASE in predictors(service, model)
    assert_reads_back(service, model)


def test_a_mean_and_a_cast_have_no_payload(service: Service) -> None:
    ours, theirs = trained(BASE, 50), trained(BASE, 60)
    add_predicted(service, child("ours", ours, link("base")))
    add_predicted(service, child("theirs", theirs, link("base")))
    mean = {name: (ours[name] + theirs[name]) / 2 for name in BASE}
    merged = child("mean", mean, link("ours", "MERGED"), link("theirs", "MERGED"))
    add_predicted(service, merged)
    cast = child(
        "cast",
        {name: each.astype(ml_dtypes.bfloat16) for name, each in ours.items()},
        link("ours", "CAST"),
    )
    add_predicted(service, cast)
    assert is_exact(service, merged)
    assert is_exact(service, cast)
    for model in (merged, cast):
        assert_reads_back(service, model)


def test_a_merged_adapter_is_its_base_and_its_factors(service: Service) -> None:
    left, right = random_array((700, 4), 70) * 0.01, random_array((4, 600), 71) * 0.01
    names = [f"base_model.model.encoder.lora_{side}.weight" for side in "AB"]
    adapter = child("adapter", dict(zip(names, (right, left), strict=True)), link("base", "ADAPTED"))
    add_predicted(service, adapter)
    arrays = BASE | {"encoder.weight": BASE["encoder.weight"] + np.float32(2) * (left @ right)}
    model = child("adapted", arrays, link("base", "ADAPTED"), link("adapter", "MERGED"))
    answer = add_predicted(service, model)
    assert Predictor.LOW_RANK in predictors(service, model)
    assert answer.stored_bytes < 0.1 * 700 * 600 * 4
    assert_reads_back(service, model)


def test_factors_that_are_found_are_stored_with_the_child(service: Service) -> None:
    product = (random_array((700, 4), 72) * 0.01) @ (random_array((4, 600), 73) * 0.01)
    arrays = BASE | {"encoder.weight": BASE["encoder.weight"] + product}
    model = child("found", arrays, link("base", "ADAPTED"))
    answer = add_predicted(service, model)
    assert Predictor.LOW_RANK in predictors(service, model)
    assert answer.chunk_count == len(model.parameters[0].chunk_digests)
    assert_reads_back(service, model)


def test_chains_stay_short(service: Service) -> None:
    """Ten versions, each trained from the one before; one read decodes four times its bytes at most."""
    arrays, parent = BASE, "base"
    for generation in range(10):
        arrays = trained(arrays, 100 + 10 * generation)
        model = child(f"generation-{generation}", arrays, link(parent))
        answer = add_predicted(service, model)
        parent = f"generation-{generation}"
        assert answer.stored_bytes < 0.75 * sum(len(content) for content, _ in model.chunks.values())
        sizes = [len(content) for content, _ in model.chunks.values()]
        costs = service.store.chunks.decode_costs(list(model.chunks))
        assert all(cost <= 4 * size for cost, size in zip(costs, sizes, strict=True))
    assert_reads_back(service, model)


def test_chunks_that_no_part_names_are_taken_too(service: Service) -> None:
    model = child("more", trained(BASE, 80), link("base"))
    other = local_model("other", {"x": random_array((900, 900), 81)})
    digests = [*model.chunks, *other.chunks]
    chunks = {**model.chunks, **other.chunks}
    messages = chain(
        model.outline_messages(), model.upload_messages(model.chunks), other.upload_messages(other.chunks)
    )
    assert service.parameters.UploadChunks(messages).chunk_count == len(digests)
    assert read_chunks(service, digests) == [chunks[digest][0] for digest in digests]


def test_chunks_may_come_in_any_order(service: Service) -> None:
    model = child("shuffled", trained(BASE | {"wide": random_array((2000, 500), 82)}, 83), link("base"))
    digests: list[Digest] = sorted(model.chunks)
    service.parameters.UploadChunks(chain(model.outline_messages(), model.upload_messages(digests)))
    assert_reads_back(service, model)


def test_an_outline_without_chunks_is_no_error(service: Service) -> None:
    model = child("empty", trained(BASE, 84), link("base"))
    assert service.parameters.UploadChunks(model.outline_messages()).chunk_count == 0


def test_raw_bytes_are_predicted_too(service: Service) -> None:
    arrays = trained(BASE, 90)
    header = parameters_pb2.ModelHeader(name="raw", parents=[link("base")])
    upload(service, header, arrays)
    model = local_model("raw", arrays)
    assert Predictor.BASE in predictors(service, model)
    assert_reads_back(service, model)


def lattice_of(arrays: dict[str, AnyArray], step: float) -> dict[str, AnyArray]:
    """A child whose weights are whole steps away from those of ``arrays``."""
    counts = {name: np.rint(5 * random_array(array.shape, 200)) for name, array in arrays.items()}
    return {
        name: (
            array.astype(np.float64) + counts[name].astype(np.float64) * np.float64(np.float32(step))
        ).astype(np.float32)
        for name, array in arrays.items()
    }


def hints(names: Iterable[str], base: str = "base", step: float = 1e-3) -> list[parameters_pb2.LatticeHint]:
    return [parameters_pb2.LatticeHint(parameter=name, base=base, step=step) for name in names]


def test_a_lattice_is_stored_by_its_steps(service: Service) -> None:
    model = child("lattice", lattice_of(BASE, 1e-3), link("base"))
    answer = add_predicted(service, model, hints(BASE))
    assert list(answer.unused_hints) == []
    assert Predictor.LATTICE in predictors(service, model)
    assert answer.stored_bytes < 0.2 * sum(len(content) for content, _ in model.chunks.values())
    assert_reads_back(service, model)


@pytest.mark.parametrize(
    "changed",
    [
        {"base": "nobody"},
        {"base": "no reference @@"},
        {"base": "narrow"},
        {"step": 0.0},
        {"step": float("nan")},
    ],
)
def test_a_hint_that_cannot_be_used_is_told_and_costs_bytes_only(
    service: Service, changed: dict[str, object]
) -> None:
    if changed.get("base") == "narrow":
        add(service, local_model("narrow", {name: each.astype("float16") for name, each in BASE.items()}))
    model = child(
        f"unused-{len(str(changed))}", lattice_of(BASE, 1.1e-3 + len(str(changed)) * 1e-5), link("base")
    )
    answer = add_predicted(service, model, hints(["encoder.weight", "not.there"], **changed))  # type: ignore[arg-type]
    assert list(answer.unused_hints) == ["encoder.weight", "not.there"]
    assert_reads_back(service, model)


def test_a_base_that_was_removed_leaves_its_hints_unused(service: Service) -> None:
    add(service, local_model("gone", trained(BASE, 95)))
    service.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model="gone"))
    model = child("orphan", lattice_of(trained(BASE, 95), 1e-3), link("base"))
    assert sorted(add_predicted(service, model, hints(BASE, "gone")).unused_hints) == sorted(BASE)
    assert_reads_back(service, model)


def good() -> LocalModel:
    return child("good", {"a": random_array((600,), 300)}, link("base"))


def test_an_outline_that_comes_out_of_order_is_refused(service: Service) -> None:
    model = good()
    header, part = model.outline_messages()
    lattices = parameters_pb2.UploadChunksRequest(lattices=hints(["a"]))
    chunk = list(model.upload_messages(model.chunks))
    together = parameters_pb2.UploadChunksRequest(header=model.header, part=model.part())
    with_data = parameters_pb2.UploadChunksRequest(header=model.header, data=b"x")
    wrong = [
        [part],
        [lattices, *chunk],
        [header, header],
        [header, part, *chunk, part],
        [*chunk, header],
        [*chunk, lattices],
        [together],
        [with_data],
    ]
    assert {refused(service, messages) for messages in wrong} == {"MESSAGE_OUT_OF_ORDER"}


def test_a_header_or_part_is_checked_as_in_a_draft(service: Service) -> None:
    bad_name = parameters_pb2.UploadChunksRequest(header=parameters_pb2.ModelHeader(name="../x"))
    assert refused(service, [bad_name]) == "INVALID_NAME"
    model = good()
    header, part = model.outline_messages()
    chunk = list(model.upload_messages(model.chunks))
    assert refused(service, [header, part, part, *chunk]) == "DUPLICATE_PARAMETER"
    part.part.parameters[0].chunk_digests.append(b"x" * 32)
    assert refused(service, [header, part, *chunk]) == "SHAPE_MISMATCH"
    del part.part.parameters[0].chunk_digests[:]
    assert refused(service, [header, part, *chunk]) == "SHAPE_MISMATCH"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (parameters_pb2.ModelHeader(name="m", parents=[link("nobody")]), "PARENT_NOT_FOUND"),
        (
            parameters_pb2.ModelHeader(name="m", previous=parameters_pb2.Previous(model="nobody")),
            "MODEL_NOT_FOUND",
        ),
    ],
)
def test_relatives_that_are_not_there_are_refused(
    service: Service, header: parameters_pb2.ModelHeader, reason: str
) -> None:
    chunk = list(good().upload_messages(good().chunks))
    message = parameters_pb2.UploadChunksRequest(header=header)
    assert refused(service, [message, *chunk]) == reason


def test_too_many_hints_are_refused(service: Service) -> None:
    model = good()
    header, part = model.outline_messages()
    many = [parameters_pb2.UploadChunksRequest(lattices=hints("a" * 20_000)) for _ in range(6)]
    assert refused(service, [header, part, *many]) == "LIMIT_EXCEEDED"


def test_a_wrong_digest_is_refused_and_the_others_are_kept(service: Service) -> None:
    model = child("lied", trained(BASE, 310), link("base"))
    digests = list(model.chunks)
    content, width = model.chunks[digests[0]]
    model.chunks[digests[0]] = (content[::-1], width)
    messages = chain(model.outline_messages(), model.upload_messages(digests))
    assert refused(service, messages) == "DIGEST_MISMATCH"
    assert service.store.chunks.find_missing(digests[2:]) == []


@pytest.mark.neo4j
@pytest.mark.slow
def test_the_real_service_predicts_too(neo4j_server: TestServer, tmp_path: Path) -> None:
    with serving_neo4j(neo4j_server, tmp_path / "store") as running:
        add(running, local_model("base", BASE))
        model = child("finetuned", trained(BASE, 10), link("base"))
        add_predicted(running, model)
        running.store.chunks.refresh()
        assert Predictor.BASE in predictors(running, model)
        assert_reads_back(running, model)
