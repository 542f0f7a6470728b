"""Lossy models of several strengths, made of one original."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import mgit
from mgit.errors import ErrorReason, InvalidArgumentError
from mgit.frameworks.arrays import read_arrays
from mgit.frameworks.source import Source, SourceParameter
from mgit.lossy.bases import Pair
from mgit.lossy.making import Maker
from mgit.lossy.spool import Spool, SpooledContent
from mgit.lossy.weights import GuardedModel
from mgit_core.chunking import chunk_count
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.lattice import measure_change, measure_errors, move_to_lattice, step_of_change
from mgit_core.manifest import make_parameter
from mgit_core.tensor import TensorSpec, name_of_dtype

RNG = np.random.default_rng(0)
BASE = RNG.standard_normal((700, 1000), np.float32)
CHILD = BASE + RNG.standard_normal((700, 1000), np.float32) * np.float32(1e-3)
BLAKE3 = DigestAlgorithm.BLAKE3


@pytest.fixture
def spool() -> Iterator[Spool]:
    with Spool() as opened:
        yield opened


def pair(name: str, base: np.ndarray, spool: Spool) -> Pair:
    spec = TensorSpec(name_of_dtype(base.dtype), base.shape)
    content = SpooledContent(spool, spool.reserve(base.nbytes))
    content.write(0, base.tobytes())
    chunks = [digest_of(BLAKE3, bytes([number])) for number in range(chunk_count(spec))]
    return Pair(parameter=make_parameter(BLAKE3, name, spec, chunks), base=content)


def test_a_tensor_of_several_chunks_is_moved_as_a_whole(spool: Spool) -> None:
    maker = Maker(read_arrays({"w": CHILD}), [pair("w", BASE, spool)], spool)
    for k in (2, 1):
        moved = maker.make(mgit.Lossy(k=k))
        [tensor] = moved.tensors
        assert tensor.step == pytest.approx(step_of_change(measure_change(CHILD, BASE), k), rel=1e-6)
        expected = move_to_lattice(CHILD.reshape(-1), BASE.reshape(-1), tensor.step)
        assert GuardedModel(moved.source)["w"].tobytes() == expected.tobytes()
        errors = measure_errors(CHILD.reshape(-1), expected)
        assert moved.largest_error == tensor.largest_error == errors.largest
        change = measure_change(CHILD, BASE).square_sum
        assert moved.largest_relative_error == pytest.approx((errors.square_sum / change) ** 0.5)


def test_what_has_no_pair_keeps_its_content(spool: Spool) -> None:
    source = read_arrays({"w": CHILD, "head": np.ones(3, np.float32)})
    moved = Maker(source, [pair("w", BASE, spool)], spool).make(mgit.Lossy(k=2))
    assert moved.source.parameters[1] is not None
    assert moved.source.parameters[1].content is source.parameters[1].content
    assert [tensor.name for tensor in moved.tensors] == ["w"]


def test_tied_parameters_get_the_moved_bytes_too(spool: Spool) -> None:
    source = read_arrays({"a": CHILD, "b": CHILD})
    moved = Maker(source, [pair("a", BASE, spool)], spool).make(mgit.Lossy(k=2))
    first, second = moved.source.parameters
    assert first.content is second.content


def test_tensors_that_cannot_lose_anything_are_no_candidates(spool: Spool) -> None:
    broken = np.array([np.nan, 1], np.float32)
    arrays = {"same": BASE, "broken": broken, "empty": np.empty(0, np.float32)}
    pairs = [
        pair("same", BASE, spool),
        pair("broken", np.ones(2, np.float32), spool),
        pair("empty", np.empty(0, np.float32), spool),
    ]
    maker = Maker(read_arrays(arrays), pairs, spool)
    assert not maker.can_move(mgit.Lossy(k=2))
    assert maker.make(mgit.Lossy(k=2)).tensors == ()


def test_a_step_that_is_too_small_for_a_tensor_leaves_it_exact(spool: Spool) -> None:
    far = BASE + np.float32(1e10)
    maker = Maker(read_arrays({"w": far}), [pair("w", BASE, spool)], spool)
    assert maker.can_move(mgit.Lossy(k=2))
    assert not maker.can_move(mgit.Lossy(eps=1e-4))


def test_a_source_that_fails_ends_the_making_with_its_own_error(spool: Spool) -> None:
    class Failing:
        def read(self, start: int, stop: int) -> bytes:
            if start:
                raise InvalidArgumentError(ErrorReason.UNREADABLE_INPUT, "changed meanwhile")
            return CHILD.tobytes()[start:stop]

    parameter = SourceParameter(name="w", spec=TensorSpec("float32", CHILD.shape), content=Failing())
    with pytest.raises(InvalidArgumentError, match="changed meanwhile"):
        Maker(Source(source_format="numpy", parameters=(parameter,)), [pair("w", BASE, spool)], spool)
