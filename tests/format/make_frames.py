"""Makes ``tests/format/v1/frames.json``: frames of every encoding and predictor. What version 1 wrote never changes.

Run as ``python -m tests.format.make_frames FILE`` to see what today's code would write.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mgit_core.coding import residue
from mgit_core.coding.codec import encode_chunk
from mgit_core.coding.encoded import BaseRange, EncodedChunk, Encoding, Predictor
from mgit_core.coding.floats import Rounding, narrow
from mgit_core.coding.grouped import GROUPED_FORMATS
from mgit_core.coding.numbers import NumberFormat, layout_of, words_of
from mgit_core.coding.ordered import differences
from mgit_core.coding.predictors import cast, combination, lattice, low_rank, mask, predict, scale, ties
from mgit_core.digest import Digest, DigestAlgorithm, digest_of

FLOATS = [numbers for numbers in NumberFormat if numbers.is_float]
COUNT = 70
MANY = 7000
F32 = NumberFormat.FLOAT32


def noise(count: int, seed: int) -> np.ndarray:
    """Float64 values around zero of several magnitudes, by 64-bit congruential steps that any language can take."""
    values = []
    x = seed + 1
    for _ in range(count):
        x = (6364136223846793005 * x + 1442695040888963407) % 2**64
        values.append(((x >> 40) - 2**23) / 2 ** (24 + (x >> 36) % 8))
    return np.array(values)


def content(numbers: NumberFormat, count: int, seed: int) -> bytes:
    """Such values in a format, some special patterns among the first; of integers, small ones."""
    values = noise(count, seed)
    if not numbers.is_float:
        return np.floor(values * 1000).astype(np.int64).astype(f"<u{numbers.width}").tobytes()
    words = narrow(values, numbers).copy()
    layout = layout_of(numbers)
    special = [0, 1 << (8 * numbers.width - 1), 1, layout.nan, layout.overflow, layout.largest]
    words[: len(special)] = np.array(special, np.uint64).astype(words.dtype)
    return words.tobytes()


def moved(predicted: bytes, numbers: NumberFormat, seed: int) -> bytes:
    """A prediction with a third of its numbers a few steps away, and a run of unchanged ones."""
    words = np.frombuffer(predicted, f"<u{numbers.width}")
    steps = np.floor(noise(words.size, seed) * 60).astype(np.int64)
    steps[words.size // 3 :: 2] = 0
    steps[words.size // 2 :] = 0
    return (words + steps.astype(words.dtype)).tobytes()


@dataclass
class Vectors:
    """The frames made so far; a frame stands behind those of its bases."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    raws: dict[Digest, bytes] = field(default_factory=dict)

    def add(self, name: str, raw: bytes, frame: EncodedChunk) -> Digest:
        """Append a frame."""
        digest = digest_of(DigestAlgorithm.BLAKE3, raw)
        row = {
            "name": name,
            "digest": digest.hex(),
            "frame": base64.b64encode(frame.to_bytes()).decode("ascii"),
        }
        self.rows.append(row)
        self.raws[digest] = raw
        return digest

    def alone(self, name: str, raw: bytes, width: int) -> Digest:
        """Append a frame without a base."""
        return self.add(name, raw, encode_chunk(raw, width))

    def ranges(self, *cuts: tuple[Digest, int, int]) -> tuple[tuple[BaseRange, ...], list[bytes]]:
        """Base ranges and their bytes."""
        bases = tuple(BaseRange(*cut) for cut in cuts)
        return bases, [self.raws[base.digest][base.start : base.stop] for base in bases]

    def whole(self, *digests: Digest) -> tuple[tuple[BaseRange, ...], list[bytes]]:
        """Whole chunks as bases."""
        return self.ranges(*((digest, 0, len(self.raws[digest])) for digest in digests))


def residues(raw: bytes, predicted: np.ndarray, numbers: NumberFormat) -> Iterator[tuple[Encoding, bytes]]:
    """The payload of every encoding for a prediction."""
    words = words_of(predicted.data, numbers)
    yield Encoding.RAW, (np.frombuffer(raw, np.uint8) ^ predicted).tobytes()
    yield Encoding.ZSTD, residue.encode_bytes(raw, predicted)
    if numbers.width > 1:
        yield Encoding.PLANES_ZSTD, residue.encode_planes(raw, numbers.width, predicted)
    steps = differences(words_of(raw, numbers), words, numbers)
    yield Encoding.ORDERED_ZSTD, residue.encode_ordered(steps, numbers)
    yield Encoding.PCODEC, residue.encode_numbers(steps, numbers)
    if numbers in GROUPED_FORMATS:
        yield Encoding.GROUPED_PCODEC, residue.encode_grouped(steps, predicted, numbers)


def add_alone(vectors: Vectors) -> None:
    """Encodings without a prediction."""
    vectors.alone("alone/raw", bytes(range(20)), 1)
    vectors.alone("alone/zstd", b"text " * 50, 1)
    for width in (2, 4, 8):
        vectors.alone(f"alone/planes-{width}", np.arange(400, dtype=f"<u{width}").tobytes(), width)
    for numbers in NumberFormat:
        raw = content(numbers, COUNT, 1)
        payload = residue.encode_numbers(words_of(raw, numbers), numbers)
        frame = EncodedChunk(
            encoding=Encoding.PCODEC, width=numbers.width, raw_size=len(raw), payload=payload
        )
        vectors.add(f"alone/pcodec-{numbers.name}", raw, frame)


def add_residues(vectors: Vectors) -> None:
    """Every encoding of every format against a base."""
    for numbers in NumberFormat:
        count = MANY if numbers in GROUPED_FORMATS and numbers.width < 8 else COUNT
        base = vectors.alone(f"base/{numbers.name}", content(numbers, count, 2), numbers.width)
        bases, sources = vectors.whole(base)
        predicted = predict(Predictor.BASE, b"", sources, len(sources[0]))
        raw = moved(sources[0], numbers, 3)
        for encoding, payload in residues(raw, predicted, numbers):
            frame = EncodedChunk(
                encoding=encoding,
                width=numbers.width,
                raw_size=len(raw),
                payload=payload,
                predictor=Predictor.BASE,
                predictor_version=1,
                bases=bases,
            )
            vectors.add(f"residue/{encoding.name}-{numbers.name}", raw, frame)


def add_exact(
    vectors: Vectors,
    name: str,
    how: tuple[Predictor, bytes],
    found: tuple[tuple[BaseRange, ...], list[bytes]],
    raw_size: int,
) -> None:
    """A frame whose content is what is predicted."""
    predictor, parameters = how
    bases, sources = found
    raw = predict(predictor, parameters, sources, raw_size).tobytes()
    frame = EncodedChunk(
        encoding=Encoding.EXACT,
        width=1,
        raw_size=raw_size,
        payload=b"",
        predictor=predictor,
        predictor_version=1,
        bases=bases,
        parameters=parameters,
    )
    vectors.add(name, raw, frame)


def add_predictions(vectors: Vectors) -> None:
    """Every predictor in every format that it takes, with each of its numbered choices."""
    chunks = {
        numbers: [
            vectors.alone(f"source/{numbers.name}-{seed}", content(numbers, COUNT, seed), 1)
            for seed in (4, 5, 6)
        ]
        for numbers in FLOATS
    }
    first = chunks[F32]
    cuts = vectors.ranges((first[0], 40, 80), (first[1], 0, 12))
    add_exact(vectors, "base/two ranges", (Predictor.BASE, b""), cuts, 52)
    add_exact(vectors, "base/resized", (Predictor.BASE, b""), cuts, 90)
    for numbers in FLOATS:
        a, b, c = chunks[numbers]
        size, name = COUNT * numbers.width, numbers.name
        flags = np.arange(COUNT) % 3 == 0
        one = layout_of(numbers).bias << layout_of(numbers).mantissa_bits
        masks = {
            "bits-plus": mask.Mask(fill=mask.Fill.PLUS_ZERO, flags=flags),
            "bits-sign": mask.Mask(fill=mask.Fill.SIGN_OF_BASE, flags=flags),
            "threshold-plus": mask.Mask(fill=mask.Fill.PLUS_ZERO, threshold=one // 2),
            "threshold-sign": mask.Mask(fill=mask.Fill.SIGN_OF_BASE, threshold=one),
        }
        for kind, found in masks.items():
            parameters = mask.make_parameters(numbers, found)
            add_exact(vectors, f"mask/{kind}-{name}", (Predictor.MASK, parameters), vectors.whole(a), size)
        add_exact(
            vectors,
            f"scale/{name}",
            (Predictor.SCALE, scale.make_parameters(numbers, 0.997)),
            vectors.whole(a),
            size,
        )
        parameters = low_rank.make_parameters(numbers, rank=3, columns=14, scale=0.7)
        factors = vectors.ranges((a, 0, size), (first[1], 40, 100), (first[2], 40, 208))
        add_exact(vectors, f"low-rank/{name}", (Predictor.LOW_RANK, parameters), factors, size)
        multiples = {
            "pcodec": np.floor(noise(COUNT, 8) * 900),
            "1": np.full(COUNT, -3),
            "2": np.full(COUNT, 300),
        }
        multiples["3"] = np.full(COUNT, -70_000)
        for kind, found_multiples in multiples.items():
            parameters = lattice.make_parameters(numbers, 1e-3, found_multiples.astype(np.int32))
            add_exact(
                vectors, f"lattice/{kind}-{name}", (Predictor.LATTICE, parameters), vectors.whole(a), size
            )
        parameters = lattice.make_parameters(
            numbers, 0.5, np.arange(COUNT, dtype=np.int32), masks["bits-sign"]
        )
        add_exact(vectors, f"lattice/masked-{name}", (Predictor.LATTICE, parameters), vectors.whole(a), size)
        add_combinations(vectors, numbers, (a, b, c))
        for target in FLOATS:
            for rounding in Rounding:
                parameters = cast.make_parameters(numbers, target, rounding)
                label = f"cast/{name}-{target.name}-{rounding.name}"
                add_exact(
                    vectors, label, (Predictor.CAST, parameters), vectors.whole(a), COUNT * target.width
                )


def add_combinations(vectors: Vectors, numbers: NumberFormat, sources: Sequence[Digest]) -> None:
    """Every order of evaluation with every choice of rounding."""
    counts = {combination.Order.LERP: 2, combination.Order.LERP_FROM_SECOND: 2}
    weights = {
        combination.Order.SUM_THEN_DIVIDE: (),
        combination.Order.PRODUCTS: (0.3, 0.6, 0.1),
        combination.Order.LERP: (0.3,),
        combination.Order.LERP_FROM_SECOND: (0.7,),
        combination.Order.DOUBLE_PRODUCTS: (0.3, 0.6, 0.1),
        combination.Order.TASKS_ONTO_BASE: (0.3, -0.4),
        combination.Order.TASKS_FIRST: (0.3, -0.4),
    }
    for order in combination.Order:
        for steps in combination.Steps:
            parameters = combination.make_parameters(numbers, order, weights[order], steps)
            found = vectors.whole(*sources[: counts.get(order, 3)])
            label = f"combination/{order.name}-{steps.name}-{numbers.name}"
            add_exact(vectors, label, (Predictor.COMBINATION, parameters), found, COUNT * numbers.width)


def add_ties(vectors: Vectors) -> None:
    """Merges of two models by TIES, in every format: numbers that one side changed, both, none, and all are kept or few."""
    for numbers in FLOATS:
        base = content(numbers, COUNT, 4)
        sides = [moved(base, numbers, seed) for seed in (9, 10)]
        three = [
            vectors.alone(f"source/ties-{numbers.name}-{at}", raw, 1) for at, raw in enumerate((base, *sides))
        ]
        words = [words_of(raw, numbers) for raw in (base, *sides)]
        magnitudes = [np.sort(ties.magnitudes_of_change(words[0], side, numbers)) for side in words[1:]]
        for share in (0, 50):
            thresholds = (int(magnitudes[0][share]), int(magnitudes[1][share]))
            for scale_of_mean in (1.0, 0.3):
                parameters = ties.make_parameters(numbers, scale_of_mean, thresholds)
                label = f"ties/{share}-{scale_of_mean}-{numbers.name}"
                add_exact(
                    vectors, label, (Predictor.TIES, parameters), vectors.whole(*three), COUNT * numbers.width
                )


def make_frames() -> list[dict[str, Any]]:
    """All vectors."""
    vectors = Vectors()
    add_alone(vectors)
    add_residues(vectors)
    add_predictions(vectors)
    add_ties(vectors)
    return vectors.rows


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(make_frames(), indent=0) + "\n", encoding="ascii")
