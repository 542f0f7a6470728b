"""Frames of every encoding and predictor: read by the project and by a reader that knows docs/format.md only.

The vectors in ``v1/frames.json`` are frozen: a change of the code that breaks one is a change of the format.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from tests.format import independent_frames
from tests.format.make_frames import make_frames

from mgit_core.coding.codec import decode_chunk
from mgit_core.coding.encoded import EncodedChunk, Encoding, Predictor
from mgit_core.coding.numbers import NumberFormat

FRAMES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "v1" / "frames.json").read_text(encoding="ascii")
)
GROUPS = sorted({row["name"].split("/")[0] for row in FRAMES})


def frame_of(row: dict[str, Any]) -> bytes:
    return base64.b64decode(row["frame"])


def raws_of(rows: list[dict[str, Any]]) -> dict[bytes, bytes]:
    """Raw bytes by digest, as the project reads them."""
    raws: dict[bytes, bytes] = {}
    for row in rows:
        frame = EncodedChunk.from_bytes(frame_of(row))
        bases = [raws[base.digest][base.start : base.stop] for base in frame.bases]
        raw = decode_chunk(frame, bases)
        assert blake3(raw).hexdigest() == row["digest"], row["name"]
        raws[bytes.fromhex(row["digest"])] = raw
    return raws


def check_with_independent_reader(rows: list[dict[str, Any]], raws: dict[bytes, bytes]) -> None:
    for row in rows:
        raw = independent_frames.decode(frame_of(row), raws.__getitem__)
        assert blake3(raw).hexdigest() == row["digest"], row["name"]


@pytest.fixture(scope="module")
def raws() -> dict[bytes, bytes]:
    return raws_of(FRAMES)


def test_frames_that_version_1_wrote_are_read() -> None:
    assert len(raws_of(FRAMES)) > 300


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_a_reader_that_knows_only_the_documentation_reads_version_1(
    group: str, raws: dict[bytes, bytes]
) -> None:
    check_with_independent_reader([row for row in FRAMES if row["name"].startswith(f"{group}/")], raws)


@pytest.mark.slow
def test_what_is_written_today_has_the_content_of_version_1_and_is_read() -> None:
    """The bytes of a frame may differ: other levels of compression are no other format."""
    today = make_frames()
    assert [(row["name"], row["digest"]) for row in today] == [(row["name"], row["digest"]) for row in FRAMES]
    changed = [row for row, frozen in zip(today, FRAMES, strict=True) if row["frame"] != frozen["frame"]]
    check_with_independent_reader(changed, raws_of(today))


def test_every_encoding_predictor_and_format_occurs_in_the_vectors() -> None:
    frames = [EncodedChunk.from_bytes(frame_of(row)) for row in FRAMES]
    assert {frame.encoding for frame in frames} == set(Encoding)
    assert {frame.predictor for frame in frames} == set(Predictor)
    numbered = {Encoding.ORDERED_ZSTD, Encoding.PCODEC}
    assert {frame.payload[0] for frame in frames if frame.encoding in numbered} == set(NumberFormat)
