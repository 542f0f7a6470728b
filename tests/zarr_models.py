"""Small models with every kind of content that a Zarr reader could get wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mgit_core.chunking import chunk_ranges
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import ErrorReason, NotFoundError
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.tensor import DTYPES, AnyArray, TensorSpec, name_of_dtype

ALGORITHM = DigestAlgorithm.BLAKE3

WEIRD_NAMES = (
    "zarr.json",
    "c",
    "x",
    "x/y",
    "x%2Fy",
    "x\\y",
    "__x",
    "_x",
    "%",
    "%7A",
    ".",
    "..",
    ".zarray",
    ".zgroup",
    "c/0",
    "größe.重み",
    "with space",
    "/",
    "a//b",
    "l" * 1024,
    "l" * 1023 + "m",
    "重" * 1024,
    "/" * 200,
)


@dataclass(slots=True)
class DictReader:
    """Chunks in a dictionary; remembers which were read."""

    chunks: dict[Digest, bytes] = field(default_factory=dict)
    reads: list[Digest] = field(default_factory=list)

    def read(self, digest: Digest) -> bytes:
        self.reads.append(digest)
        try:
            return self.chunks[digest]
        except KeyError:
            raise NotFoundError(
                ErrorReason.CHUNK_NOT_FOUND, f"Chunk {digest.hex()} was wanted; there is none."
            ) from None


def build_model(arrays: Mapping[str, AnyArray]) -> tuple[Manifest, DictReader]:
    """The manifest of ``arrays`` and a reader of their chunks."""
    reader = DictReader()
    parameters = []
    for name, array in arrays.items():
        spec = TensorSpec(name_of_dtype(array.dtype), array.shape)
        content = array.tobytes()
        digests = []
        for start, stop in chunk_ranges(spec):
            digest = digest_of(ALGORITHM, content[start:stop])
            reader.chunks[digest] = content[start:stop]
            digests.append(digest)
        parameters.append(make_parameter(ALGORITHM, name, spec, digests))
    return Manifest(ALGORITHM, tuple(parameters)), reader


def every_dtype() -> dict[str, AnyArray]:
    """An array of each data type that holds each byte in each place: all 8-bit and 16-bit patterns occur."""
    arrays: dict[str, AnyArray] = {}
    for name, dtype in DTYPES.items():
        if name == "bool":
            arrays[name] = np.arange(300) % 3 == 0
        else:
            patterns = np.arange(1 << 16, dtype="<u2").tobytes()
            arrays[name] = np.frombuffer(patterns, dtype).reshape(-1, 32)
    return arrays


def every_shape() -> dict[str, AnyArray]:
    """Shapes without axes, without items, and with short chunks at every edge."""
    random = np.random.default_rng(7)
    return {
        "scalar": np.array(2.5, "<f4"),
        "one": np.array([1.5], "<f8"),
        "empty": np.empty((0,), "<f4"),
        "empty.inner": np.empty((3, 0, 2), "<i2"),
        "edge.rows": random.random((700, 1000)).astype("<f4"),
        "edge.flat": random.integers(0, 256, (1 << 20) + 1).astype("u1"),
        "edge.deep": random.integers(0, 1 << 30, (3, 5, 120_000)).astype("<i4"),
        "wide.step": random.random((2, 3, 150_000)).astype("<f8"),
        "scalar.bool": np.array(True),
    }


def delicate_bits() -> dict[str, AnyArray]:
    """Bits that a careless reader or writer changes."""
    nans = np.array([0x7FC00000, 0x7FA12345, 0xFFC0DEAD, 0x7F800001, 0x80000000, 0x00000001], "<u4")
    zeros = np.zeros((700, 1000), "<f4")
    half_zero = zeros.copy()
    half_zero[-1, -1] = 1.0
    return {
        "nan.payloads": nans.view("<f4"),
        "negative.zeros": np.full((700, 1000), -0.0, "<f4"),
        "zeros": zeros,
        "zeros.then.one": half_zero,
        "zero.scalar": np.array(0, "<i8"),
    }
