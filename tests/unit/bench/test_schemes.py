"""Every lossless baseline gives every bit back, and counts what it keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from bench.compression.cutting import XetLike
from bench.compression.deltas import fm_delta, ordered_planes, xor_planes, zipllm
from bench.compression.plain import EachFile, each_tensor
from bench.compression.running import run
from bench.compression.schemes import Scheme, Threads
from bench.compression.subjects import Subject
from tests.unit.bench.conftest import MakeSubject

ALL = [EachFile, each_tensor, XetLike, zipllm, xor_planes, ordered_planes, fm_delta]
DELTAS = [zipllm, xor_planes, ordered_planes, fm_delta]
every_scheme = pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
every_delta = pytest.mark.parametrize("make", DELTAS, ids=lambda make: make.__name__)
SIZE = 50_000


def parent(random: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "count": np.arange(7),
        "lone": np.array(3.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "half": random.standard_normal(500).astype(np.float16),
        "weight": random.standard_normal(SIZE).astype(np.float32),
    }


def child(tensors: dict[str, np.ndarray], random: np.random.Generator) -> dict[str, np.ndarray]:
    """Moved a little, with every kind of odd value, and with a tensor that the parent lacks."""
    weight = tensors["weight"] + random.standard_normal(SIZE).astype(np.float32) * np.float32(1e-4)
    odd = np.array([0x7FC00001, 0xFFFFFFFF, 0x7F800000, 0xFF800000, 1, 0x80000000, 0], np.uint32)
    weight[: odd.size] = odd.view(np.float32)
    return {**tensors, "weight": weight, "half": -tensors["half"], "head": weight[:99].copy()}


@pytest.fixture
def family(make_subject: MakeSubject) -> list[Subject]:
    random = np.random.default_rng(1)
    tensors = parent(random)
    base = make_subject("base", tensors)
    tuned = make_subject("tuned", child(tensors, random), base)
    return [base, tuned, make_subject("twin", child(tensors, np.random.default_rng(2)), tuned)]


@every_scheme
def test_every_file_comes_back(make: Callable[[], Scheme], family: list[Subject]) -> None:
    ran = run(make, family)

    assert list(ran.grown) == ["base@1", "tuned@1", "twin@1"]
    assert ran.ratio() > 1


@every_delta
def test_a_near_relative_takes_less_than_alone(make: Callable[[], Scheme], family: list[Subject]) -> None:
    related = run(make, family[:2])
    alone = run(each_tensor, family[1:2])

    assert related.grown["tuned@1"] < 0.8 * alone.grown["tuned@1"]


@pytest.mark.parametrize("make", [each_tensor, XetLike, *DELTAS], ids=lambda make: make.__name__)
def test_content_that_is_known_takes_little(
    make: Callable[[], Scheme], make_subject: MakeSubject, family: list[Subject]
) -> None:
    tensors = {name: np.frombuffer(t.content, np.uint8) for name, t in family[0].weights.tensors.items()}
    first, again = make_subject("first", tensors), make_subject("again", tensors)

    ran = run(make, [first, again])

    assert ran.grown["again@1"] < 600 < ran.grown["first@1"]


def test_other_bytes_are_noticed(family: list[Subject]) -> None:
    class Wrong(EachFile):
        def decode(self, subject: Subject, threads: Threads) -> Sequence[bytes]:
            first, *others = super().decode(subject, threads)
            return [first[:-1] + bytes([first[-1] ^ 1]), *others]

    with pytest.raises(SystemExit, match="base@1 came back with other bytes"):
        run(Wrong, family)


def test_missing_bytes_are_noticed(family: list[Subject]) -> None:
    class Short(EachFile):
        def decode(self, subject: Subject, threads: Threads) -> Sequence[bytes]:
            return super().decode(subject, threads)[:1]

    with pytest.raises(SystemExit, match="base@1 came back with"):
        run(Short, family)


def test_a_scheme_is_closed_whatever_happens(family: list[Subject]) -> None:
    closed: list[bool] = []

    class Failing(EachFile):
        def encode(self, subject: Subject, threads: Threads) -> int:
            raise ValueError(f"{subject.ref} {threads}")

        def close(self) -> None:
            closed.append(True)

    with pytest.raises(ValueError, match="base@1"):
        run(Failing, family)
    assert closed == [True]


def test_a_ratio_of_some_members_is_that_of_the_first_ones(family: list[Subject]) -> None:
    ran = run(EachFile, family)

    assert ran.ratio(["base@1"]) == ran.sizes["base@1"] / ran.grown["base@1"]
    with pytest.raises(ValueError, match="not the first"):
        ran.ratio(["tuned@1"])
