"""Manifests are deterministic, read back, and cannot lie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.chunking import chunk_count, chunk_sizes
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError
from mgit_core.manifest import Manifest, make_parameter, tensor_digest
from mgit_core.tensor import DTYPES, TensorSpec

BLAKE3 = DigestAlgorithm.BLAKE3
SPECS = st.builds(
    TensorSpec, st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 40), max_size=3).map(tuple)
)
NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def manifest_of(algorithm: DigestAlgorithm, rows: dict[str, TensorSpec]) -> Manifest:
    return Manifest(
        algorithm,
        tuple(
            make_parameter(
                algorithm,
                name,
                spec,
                [digest_of(algorithm, f"{name} {at}".encode()) for at in range(chunk_count(spec))],
            )
            for name, spec in rows.items()
        ),
    )


MANIFESTS = st.builds(
    manifest_of, st.sampled_from(DigestAlgorithm), st.dictionaries(NAMES, SPECS, max_size=6)
)
TWO = manifest_of(BLAKE3, {"b/weight": TensorSpec("float32", (300_000,)), "ä": TensorSpec("bfloat16", ())})


@given(MANIFESTS)
def test_a_manifest_reads_back(manifest: Manifest) -> None:
    content = manifest.to_bytes()
    assert Manifest.from_bytes(content) == manifest
    assert content.endswith(b"\n")
    assert content.isascii()
    assert manifest.digest == digest_of(manifest.algorithm, content)


def test_the_order_of_parameters_is_part_of_the_identity() -> None:
    turned = Manifest(BLAKE3, TWO.parameters[::-1])
    assert turned.digest != TWO.digest
    assert {one.digest for one in turned.parameters} == {one.digest for one in TWO.parameters}


def test_a_tensor_has_one_digest_under_any_name() -> None:
    spec = TensorSpec("int8", (4,))
    first, second = (make_parameter(BLAKE3, name, spec, [digest_of(BLAKE3, b"1234")]) for name in ("a", "b"))
    assert first.digest == second.digest


@pytest.mark.parametrize(
    "other", [TensorSpec("uint8", (4,)), TensorSpec("int8", (2, 2)), TensorSpec("int8", (4, 1))]
)
def test_type_and_shape_are_part_of_a_tensors_digest(other: TensorSpec) -> None:
    chunks = [digest_of(BLAKE3, b"1234")]
    assert tensor_digest(BLAKE3, other, chunks) != tensor_digest(BLAKE3, TensorSpec("int8", (4,)), chunks)


def test_digests_do_not_depend_on_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: TWO.digest, range(50))) == {TWO.digest}


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "12345"])
def test_digests_do_not_depend_on_the_process(seed: str) -> None:
    code = (
        "from mgit_core.manifest import Manifest; import sys; "
        "print(Manifest.from_bytes(sys.stdin.buffer.read()).digest.hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=TWO.to_bytes(),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": seed},
    )
    assert done.stdout.decode().strip() == TWO.digest.hex()


def test_chunks_and_their_sizes_come_once_in_the_order_of_use() -> None:
    sizes = TWO.chunk_sizes()
    assert list(sizes) == [*TWO.parameters[0].chunks, *TWO.parameters[1].chunks]
    assert list(sizes.values()) == [*chunk_sizes(TWO.parameters[0].spec), 2]
    assert TWO.size_bytes == 1_200_002


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Manifest(BLAKE3, (TWO.parameters[0], TWO.parameters[0]))
    assert caught.value.reason is ErrorReason.DUPLICATE_PARAMETER


@pytest.mark.parametrize("chunks", [[], [bytes(32)] * 3, [bytes(31), bytes(32)]])
def test_chunks_that_do_not_fit_the_shape_are_refused(chunks: list[bytes]) -> None:
    with pytest.raises(InvalidArgumentError, match="2 chunks") as caught:
        make_parameter(BLAKE3, "a", TensorSpec("float32", (300_000,)), chunks)
    assert caught.value.reason is ErrorReason.SHAPE_MISMATCH


# ---- What a manifest may not be


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(TWO.to_bytes())
    change(document)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def array(key: str, value: object) -> bytes:
    return changed(lambda document: document["arrays"][0].update({key: value}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        TWO.to_bytes()[:-1],
        TWO.to_bytes() + b"\n",
        b" " + TWO.to_bytes(),
        TWO.to_bytes().decode().encode("utf-16"),
        json.dumps(json.loads(TWO.to_bytes())).encode() + b"\n",
        changed(lambda document: document.update(format="other")),
        changed(lambda document: document.update(digest_algorithm="md5")),
        changed(lambda document: document.update(digest_algorithm="sha256")),
        changed(lambda document: document.update(extra=1)),
        changed(lambda document: document.pop("arrays")),
        changed(lambda document: document.update(arrays=5)),
        changed(lambda document: document["arrays"].append(document["arrays"][0])),
        array("name", ""),
        array("name", "x" * 2000),
        array("name", "a\nb"),
        array("name", ["a"]),
        array("name", 7),
        array("digest", "0" * 64),
        array("digest", None),
        array("data_type", "float33"),
        array("data_type", ["float32"]),
        array("shape", [300_001]),
        array("shape", [600_000]),
        array("shape", [300_000.0]),
        array("shape", [-1]),
        array("shape", "300000"),
        array("chunk_shape", [1]),
        array("codecs", []),
        array("chunks", []),
        array("chunks", ["0" * 64, "zz"]),
        array("chunks", ["0" * 64, 5]),
        array("extra", 1),
    ],
)
def test_a_manifest_that_lies_or_is_not_canonical_is_corrupt(content: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        Manifest.from_bytes(content)
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT
    assert len(caught.value.message) < 2000


@pytest.mark.parametrize("changes", [{"version": 2}, {"chunk_rule": "c2"}, {"version": "1"}])
def test_a_later_version_or_rule_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(CorruptError) as caught:
        Manifest.from_bytes(changed(lambda document: document.update(changes)))
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
