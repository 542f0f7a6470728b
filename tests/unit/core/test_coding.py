"""Coding of chunks: decoding after encoding gives the same bits, and a lying frame is refused."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.coding.codec import decode_chunk, encode_chunk, encoding_name, predictor_name
from mgit_core.coding.encoded import HEADER_SIZE, BaseRange, EncodedChunk, Encoding, raw_size_of
from mgit_core.coding.planes import join_planes, split_planes
from mgit_core.errors import CorruptError, ErrorReason

WIDTHS = [1, 2, 4, 8, 16]
# Bit patterns that arithmetic on floats would not keep: NaNs with payloads, infinities, subnormals, zeros.
SPECIAL = {
    2: [0x7E01, 0xFFFF, 0x7C00, 0xFC00, 0x0001, 0x8000, 0x0000, 0x7F81, 0x7F80],
    4: [0x7FC00001, 0xFFFFFFFF, 0x7F800000, 0xFF800000, 0x00000001, 0x80000000, 0x00000000, 0x7F800001],
    8: [0x7FF0000000000001, 2**64 - 1, 0x7FF0000000000000, 0xFFF0000000000000, 1, 2**63, 0],
}
CONTENT = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=40), st.integers(1, 400)),
)


@given(CONTENT, st.sampled_from(WIDTHS))
def test_decoding_gives_what_was_encoded(content: bytes, width: int) -> None:
    encoded = encode_chunk(content, width)
    framed = EncodedChunk.from_bytes(encoded.to_bytes())
    assert (decode_chunk(encoded), decode_chunk(framed), framed) == (content, content, encoded)
    assert len(encoded.payload) <= len(content)
    assert raw_size_of(encoded.to_bytes()[:HEADER_SIZE]) == len(content)


@pytest.mark.parametrize("width", [2, 4, 8])
@pytest.mark.parametrize("repeat", [1, 1000, 40_000])
def test_every_special_bit_pattern_survives(width: int, repeat: int) -> None:
    words = np.array(SPECIAL[width] * repeat, f"<u{width}")
    content = words.tobytes()
    assert decode_chunk(encode_chunk(content, width)) == content


def test_all_16_bit_patterns_survive() -> None:
    content = np.random.default_rng(1).permutation(np.arange(65_536, dtype="<u2")).tobytes()
    assert decode_chunk(encode_chunk(content, 2)) == content
    assert join_planes(split_planes(content, 2).data, 2) == content


@given(st.sampled_from([2, 4, 8]), st.data())
def test_a_plane_holds_one_byte_of_every_item(width: int, data: st.DataObject) -> None:
    content = data.draw(st.binary(max_size=64).map(lambda raw: raw[: len(raw) // width * width]))
    planes = split_planes(content, width).tobytes()
    assert planes == b"".join(content[plane::width] for plane in range(width))
    assert join_planes(planes, width) == content


def test_planes_of_buffers_that_are_no_bytes_are_the_same() -> None:
    array = np.arange(100, dtype="<f4")
    assert encode_chunk(array.data, 4) == encode_chunk(array.tobytes(), 4)


def test_threads_do_not_disturb_each_others_buffers() -> None:
    contents = [
        np.random.default_rng(seed).normal(0, 1, 2000 + 500 * seed).astype("<f4").tobytes()
        for seed in range(24)
    ]
    alone = [encode_chunk(content, 4) for content in contents]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda content: encode_chunk(content, 4), contents * 5))
        decoded = list(pool.map(decode_chunk, together))
    assert (together, decoded) == (alone * 5, contents * 5)


@pytest.mark.parametrize(
    ("content", "width", "encoding"),
    [
        (b"short", 4, Encoding.RAW),
        (np.random.default_rng(1).bytes(5000), 1, Encoding.RAW),
        (np.random.default_rng(1).bytes(5000), 4, Encoding.RAW),
        (b"text " * 1000, 1, Encoding.ZSTD),
        (np.random.default_rng(1).normal(0, 1, 50_000).astype("<f4").tobytes(), 4, Encoding.PLANES_ZSTD),
        (b"odd" * 1001, 4, Encoding.ZSTD),
    ],
)
def test_the_smallest_encoding_is_chosen(content: bytes, width: int, encoding: Encoding) -> None:
    assert encode_chunk(content, width).encoding == encoding


def test_encodings_have_names_also_those_of_later_versions() -> None:
    assert [encoding_name(number) for number in (0, 1, 2, 77)] == ["raw", "zstd", "planes-zstd", "unknown-77"]
    assert [encoding_name(number) for number in (3, 4, 5, 6)] == [
        "exact",
        "ordered-zstd",
        "pcodec",
        "grouped-pcodec",
    ]


def test_predictors_have_names_also_those_of_later_versions() -> None:
    assert [predictor_name(number) for number in range(10)] == [
        "none",
        "base",
        "mask",
        "combination",
        "cast",
        "low-rank",
        "scale",
        "lattice",
        "ties",
        "unknown-9",
    ]


# ---- Headers


BASES = st.builds(
    lambda digest, start, size: BaseRange(digest, start, start + size),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 1 << 20),
    st.integers(1, 1 << 20),
)
FRAMES = st.builds(
    EncodedChunk,
    encoding=st.integers(0, 255),
    encoding_version=st.integers(0, 255),
    width=st.sampled_from(WIDTHS),
    raw_size=st.integers(0, 1 << 24),
    payload=st.binary(max_size=100),
    predictor=st.integers(1, 255),
    predictor_version=st.integers(0, 255),
    bases=st.lists(BASES, max_size=64).map(tuple),
    parameters=st.binary(max_size=100),
)


@given(FRAMES)
def test_a_header_with_bases_and_a_prediction_reads_back(frame: EncodedChunk) -> None:
    """What later versions need is in the header already: bases by digest and range, predictors by number."""
    assert EncodedChunk.from_bytes(frame.to_bytes()) == frame


@given(FRAMES, st.integers(8, 255))
def test_what_a_later_version_predicted_is_refused_and_not_guessed(frame: EncodedChunk, later: int) -> None:
    bases = [bytes(base.stop - base.start) for base in frame.bases]
    with pytest.raises(CorruptError) as caught:
        decode_chunk(replace(frame, predictor=later), bases)
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


@pytest.mark.parametrize(
    "changes",
    [{"encoding": 7}, {"encoding": 255}, {"encoding_version": 2}, {"predictor": 9, "predictor_version": 1}],
)
def test_an_unknown_encoding_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(CorruptError) as caught:
        decode_chunk(replace(encode_chunk(b"content" * 100, 1), **changes))
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


def test_a_later_header_version_is_refused() -> None:
    content = b"\x02" + encode_chunk(b"content", 1).to_bytes()[1:]
    for read in (EncodedChunk.from_bytes, raw_size_of):
        with pytest.raises(CorruptError) as caught:
            read(content)
        assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


def header(
    *, width: int = 4, predictor: int = 0, bases: int = 0, raw_size: int = 8, extra: int = 0, version: int = 0
) -> bytes:
    return struct.pack("<BBBBBBHII", 1, 0, 1, width, predictor, version, bases, raw_size, extra)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        header()[:15],
        header(width=3),
        header(width=0),
        header(predictor=1, bases=65) + bytes(65 * 40),
        header(predictor=1, bases=1) + bytes(39),
        header(predictor=1, bases=65_535),
        header(predictor=1, bases=1) + bytes(32) + struct.pack("<II", 5, 5),
        header(predictor=1, bases=1) + bytes(32) + struct.pack("<II", 5, 4),
        header(predictor=1, bases=1) + bytes(32) + struct.pack("<II", 0, 2**24 + 1),
        header(raw_size=2**24 + 1),
        header(raw_size=2**32 - 1),
        header(predictor=1, extra=1),
        header(predictor=1, extra=2**32 - 1) + bytes(100),
        header(bases=1) + bytes(32) + struct.pack("<II", 0, 1),
        header(extra=1) + bytes(1),
        header(version=1),
    ],
)
def test_a_header_that_lies_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        EncodedChunk.from_bytes(content)
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


# ---- Payloads


def frame(encoding: Encoding, payload: bytes, raw_size: int, width: int = 4) -> EncodedChunk:
    return EncodedChunk(encoding=encoding, width=width, raw_size=raw_size, payload=payload)


def zstd(content: bytes, *, with_size: bool = True) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_content_size=with_size).compress(content)


GOOD = zstd(b"content " * 100)


@pytest.mark.parametrize(
    "encoded",
    [
        frame(Encoding.RAW, b"1234", 5),
        frame(Encoding.RAW, b"123456", 5),
        frame(Encoding.ZSTD, b"", 5),
        frame(Encoding.ZSTD, b"no frame", 8),
        frame(Encoding.ZSTD, GOOD, 801),
        frame(Encoding.ZSTD, GOOD, 799),
        frame(Encoding.ZSTD, GOOD[:-1], 800),
        frame(Encoding.ZSTD, GOOD + b"x", 800),
        frame(Encoding.ZSTD, GOOD + GOOD, 800),
        frame(Encoding.ZSTD, zstd(b"content " * 100, with_size=False), 800),
        frame(Encoding.PLANES_ZSTD, zstd(bytes(10)), 10, 4),
        frame(Encoding.PLANES_ZSTD, zstd(bytes(16)), 16, 1),
        frame(Encoding.PLANES_ZSTD, zstd(bytes(16)), 16, 16),
    ],
)
def test_a_payload_that_lies_is_refused(encoded: EncodedChunk) -> None:
    with pytest.raises(CorruptError) as caught:
        decode_chunk(encoded)
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


def test_a_frame_that_inflates_is_refused_before_memory_is_taken() -> None:
    """A gigabyte of zeros in some kilobytes, behind a header that promises 1 MiB."""
    compressor = zstandard.ZstdCompressor().compressobj(size=1 << 30)
    bomb = b"".join([*(compressor.compress(bytes(1 << 20)) for _ in range(1024)), compressor.flush()])
    assert len(bomb) < 1 << 20
    with pytest.raises(CorruptError):
        decode_chunk(frame(Encoding.ZSTD, bomb, 1 << 20))


@given(st.binary(min_size=8, max_size=200), st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_never_gives_other_content_of_another_size(content: bytes, at: int, bit: int) -> None:
    """Decoding gives the right number of bytes or an error of ours; the digest tells the rest."""
    framed = bytearray(encode_chunk(content * 20, 4).to_bytes())
    framed[at % len(framed)] ^= 1 << bit
    try:
        damaged = EncodedChunk.from_bytes(bytes(framed))
        raw = decode_chunk(damaged)
    except CorruptError:
        return
    assert len(raw) == damaged.raw_size
