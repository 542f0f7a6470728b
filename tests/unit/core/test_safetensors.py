"""Headers of safetensors files: true ones read back, every other one is refused with its reason."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.safetensors import MAX_HEADER_BYTES, build_header, header_end, parse_header
from mgit_core.tensor import DTYPES, TensorSpec

DTYPES_IN_FILES = sorted(set(DTYPES) - {"complex128"})
ROWS = st.dictionaries(
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
        lambda name: name != "__metadata__"
    ),
    st.builds(
        TensorSpec, st.sampled_from(DTYPES_IN_FILES), st.lists(st.integers(0, 9), max_size=3).map(tuple)
    ),
    max_size=6,
)
METADATA = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


@given(ROWS, METADATA)
def test_a_header_reads_back(rows: dict[str, TensorSpec], metadata: dict[str, str]) -> None:
    header = build_header(list(rows.items()), metadata)
    size = len(header) + sum(spec.size_bytes for spec in rows.values())
    parsed = parse_header(header, size)
    assert (parsed.length, parsed.metadata, len(header) % 8) == (len(header), metadata, 0)
    assert {tensor.name: tensor.spec for tensor in parsed.tensors} == rows
    assert [tensor.start for tensor in parsed.tensors] == sorted(tensor.start for tensor in parsed.tensors)


def test_the_formats_own_library_and_we_agree() -> None:
    arrays = {
        "half": np.arange(6, dtype=np.float16).reshape(2, 3),
        "brain": np.arange(3).astype(ml_dtypes.bfloat16),
        "scalar": np.array(7, np.int64),
        "empty": np.empty((0, 4), np.float32),
        "flags": np.array([True, False]),
    }
    theirs = safetensors.numpy.save(arrays, metadata={"format": "np"})
    parsed = parse_header(theirs, len(theirs))
    assert {tensor.name: tensor.spec.shape for tensor in parsed.tensors} == {
        name: value.shape for name, value in arrays.items()
    }
    for tensor in parsed.tensors:
        assert theirs[tensor.start : tensor.stop] == arrays[tensor.name].tobytes()
    ours = build_header([(name, TensorSpec("float32", (2,))) for name in ("b", "a")], {}) + bytes(range(16))
    assert {name: value.tobytes() for name, value in safetensors.numpy.load(ours).items()} == {
        "b": bytes(range(8)),
        "a": bytes(range(8, 16)),
    }


def test_a_type_that_the_format_lacks_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="complex128") as caught:
        build_header([("a", TensorSpec("complex128", (1,)))], {})
    assert caught.value.reason is ErrorReason.UNKNOWN_DTYPE


# ---- Hostile headers


def with_text(text: bytes, data: int = 0, *, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(data)


def with_document(document: object, data: int = 0) -> bytes:
    return with_text(json.dumps(document).encode(), data)


def entry(start: int, stop: int, **changes: object) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [stop - start], "data_offsets": [start, stop]} | changes


HOSTILE = {
    "no length": b"",
    "half a length": b"\x01\x00\x00",
    "a header beyond the file": with_text(b"{}", length=3),
    "a huge header": with_text(b"{}", length=MAX_HEADER_BYTES + 1),
    "the largest length": with_text(b"{}", length=2**64 - 1),
    "no header": with_text(b""),
    "half a header": with_text(b'{"a": {"dtype": "U8"'),
    "no JSON": with_text(b"pickle"),
    "no object": with_document([1, 2]),
    "a number": with_text(b"7"),
    "bad UTF-8": with_text(b'{"\xff\xfe": 1}'),
    "UTF-16": with_text('{"a": 1}'.encode("utf-16")),
    "a byte order mark": with_text(b"\xef\xbb\xbf{}"),
    "NaN": with_text(b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1], "x": NaN}}', 1),
    "infinity": with_text(b'{"__metadata__": {}, "a": Infinity}'),
    "deep JSON": with_text(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "a number of a million digits": with_text(b'{"a": ' + b"9" * 1_000_000 + b"}"),
    "metadata that is no map": with_document({"__metadata__": [1]}),
    "metadata that is no text": with_document({"__metadata__": {"a": 1}}),
    "an entry that is no object": with_document({"a": 1}),
    "an entry without offsets": with_document({"a": {"dtype": "U8", "shape": [1]}}, 1),
    "an entry without shape": with_document({"a": {"dtype": "U8", "data_offsets": [0, 1]}}, 1),
    "three offsets": with_document({"a": entry(0, 1, data_offsets=[0, 1, 1])}, 1),
    "offsets that are fractions": with_document({"a": entry(0, 1, data_offsets=[0.0, 1.0])}, 1),
    "offsets that are texts": with_document({"a": entry(0, 1, data_offsets="01")}, 1),
    "a negative offset": with_document({"a": entry(0, 1, data_offsets=[-1, 0])}, 1),
    "a length that is true": with_document({"a": entry(0, 1, shape=[True])}, 1),
    "a length that is NaN": with_text(b'{"a": {"dtype": "U8", "shape": [NaN], "data_offsets": [0, 1]}}', 1),
    "a negative length": with_document({"a": entry(0, 1, shape=[-1])}, 1),
    "overlapping tensors": with_document({"a": entry(0, 4), "b": entry(2, 6)}, 6),
    "the same bytes twice": with_document({"a": entry(0, 4), "b": entry(0, 4)}, 4),
    "a gap between tensors": with_document({"a": entry(0, 2), "b": entry(3, 4)}, 4),
    "a gap before the first": with_document({"a": entry(1, 2)}, 2),
    "bytes behind the last": with_document({"a": entry(0, 2)}, 3),
    "bytes of no tensor": with_document({}, 1),
    "a truncated file": with_document({"a": entry(0, 100)}, 99),
}
OTHER_REASONS = {
    "a name twice": (
        with_text(b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, "a": 1}'),
        ErrorReason.DUPLICATE_PARAMETER,
    ),
    "an unknown type": (with_document({"a": entry(0, 1, dtype="F4")}, 1), ErrorReason.UNKNOWN_DTYPE),
    "a type that is no text": (with_document({"a": entry(0, 1, dtype=["U8"])}, 1), ErrorReason.UNKNOWN_DTYPE),
    "a shape that needs more": (with_document({"a": entry(0, 4, shape=[5])}, 4), ErrorReason.SHAPE_MISMATCH),
    "a shape that needs less": (with_document({"a": entry(0, 4, shape=[3])}, 4), ErrorReason.SHAPE_MISMATCH),
    "offsets turned round": (
        with_document({"a": entry(0, 4, data_offsets=[4, 0])}, 4),
        ErrorReason.SHAPE_MISMATCH,
    ),
    "a shape that overflows": (
        with_document({"a": entry(0, 0, shape=[2**62, 2**62])}),
        ErrorReason.SHAPE_MISMATCH,
    ),
    "too many axes": (with_document({"a": entry(0, 1, shape=[1] * 33)}, 1), ErrorReason.SHAPE_MISMATCH),
    "an empty name": (with_document({"": entry(0, 1)}, 1), ErrorReason.INVALID_NAME),
    "a long name": (with_document({"x" * 10_000: entry(0, 1)}, 1), ErrorReason.INVALID_NAME),
    "a control character": (with_document({"a\nb": entry(0, 1)}, 1), ErrorReason.INVALID_NAME),
    "half a surrogate pair": (
        with_text(b'{"\\ud800": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}', 1),
        ErrorReason.INVALID_NAME,
    ),
}


def reason_of(content: bytes) -> ErrorReason:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_header(content, len(content))
    assert len(caught.value.message) < 800
    return caught.value.reason


@pytest.mark.parametrize("what", HOSTILE)
def test_a_header_that_cannot_be_is_unreadable(what: str) -> None:
    assert reason_of(HOSTILE[what]) is ErrorReason.UNREADABLE_INPUT


@pytest.mark.parametrize("what", OTHER_REASONS)
def test_a_header_that_lies_is_refused_with_its_reason(what: str) -> None:
    content, reason = OTHER_REASONS[what]
    assert reason_of(content) is reason


def test_a_header_of_which_only_a_part_was_read_is_refused() -> None:
    content = with_document({"a": entry(0, 4)}, 4)
    with pytest.raises(InvalidArgumentError, match="given"):
        parse_header(content[:20], len(content))


def test_the_end_of_the_header_is_known_from_the_first_eight_bytes() -> None:
    content = with_document({"a": entry(0, 4)}, 4)
    assert header_end(content[:8], len(content)) == len(content) - 4


@given(st.binary(max_size=200))
def test_no_bytes_bring_the_parser_down(content: bytes) -> None:
    for text in (content, with_text(content), with_text(b'{"a":' + content + b"}", 8)):
        with contextlib.suppress(InvalidArgumentError):
            parse_header(text, len(text))
