"""Sketches of tensors as objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import CorruptError, ErrorReason
from mgit_core.similarity import TENSOR_SKETCH_BYTES
from mgit_storage.store import Store, memory_store, open_store

DIGEST = bytes(range(32))
KEY = f"sketches/{DIGEST.hex()}/1"
SKETCHES = (b"\1" * TENSOR_SKETCH_BYTES, b"", b"\2" * TENSOR_SKETCH_BYTES)


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return memory_store(DigestAlgorithm.BLAKE3)
    return open_store(tmp_path / "store", DigestAlgorithm.BLAKE3)


def test_sketches_read_back_in_order(store: Store) -> None:
    store.parameters.write_sketches(DIGEST, SKETCHES)
    assert store.parameters.read_sketches(DIGEST) == SKETCHES


def test_sketches_that_were_not_made_are_none(store: Store) -> None:
    assert store.parameters.read_sketches(DIGEST) == ()
    store.parameters.write_sketches(DIGEST, ())
    assert store.parameters.read_sketches(DIGEST) == ()


def test_a_second_service_that_makes_the_same_sketches_is_no_error(store: Store) -> None:
    store.parameters.write_sketches(DIGEST, SKETCHES)
    store.parameters.write_sketches(DIGEST, SKETCHES)
    assert store.parameters.read_sketches(DIGEST) == SKETCHES


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", ErrorReason.MANIFEST_CORRUPT),
        (b"MGITSKT", ErrorReason.UNKNOWN_FORMAT_VERSION),
        (b"MGITSKT\x02" + bytes(64), ErrorReason.UNKNOWN_FORMAT_VERSION),
        (b"MGITDOC\x01" + bytes(64), ErrorReason.MANIFEST_CORRUPT),
        (b"MGITSKT\x01" + bytes(63), ErrorReason.MANIFEST_CORRUPT),
    ],
)
def test_a_damaged_object_is_refused(store: Store, content: bytes, reason: ErrorReason) -> None:
    store.objects.put(KEY, content)
    with pytest.raises(CorruptError) as error:
        store.parameters.read_sketches(DIGEST)
    assert error.value.reason is reason
    assert error.value.details["key"] == KEY
