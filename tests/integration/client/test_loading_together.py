"""Models that are loaded together share memory wherever their tensors are equal."""

from __future__ import annotations

import gc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import mgit
from mgit_core.errors import ErrorReason

pytestmark = pytest.mark.neo4j

# Large enough that pages of it can be counted.
_ENCODER = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)


def test_equal_tensors_are_one_array_and_each_chunk_comes_once(
    repo: mgit.Repository, asked: list[bytes]
) -> None:
    shared = np.arange(1000.0)
    a = repo.add("share-a", {"x": shared, "y": np.ones(2)})
    b = repo.add("share-b", {"renamed": shared, "y": np.zeros(2)})
    first, second = repo.load_many([a, b])
    assert first["x"] is second["renamed"]
    assert first["y"] is not second["y"]
    assert len(asked) == len(set(asked)) == 3
    np.testing.assert_array_equal(first["x"], shared)
    np.testing.assert_array_equal(second["y"], np.zeros(2))


def test_by_default_nobody_can_write(repo: mgit.Repository) -> None:
    repo.add("read-only", {"x": np.arange(3.0)})
    [model] = repo.load_many(["read-only"])
    with pytest.raises(ValueError, match="read-only"):
        model["x"][0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        model["x"].flags.writeable = True


def test_what_is_written_is_seen_in_that_model_only(repo: mgit.Repository, asked: list[bytes]) -> None:
    array = np.arange(1000.0) + 7
    for name in ("own-a", "own-b"):
        repo.add(name, {"x": array})
    first, second = repo.load_many(["own-a", "own-b@1"], writable=True)
    first["x"][0] = -1
    assert first["x"][0] == -1
    assert second["x"][0] == 7
    assert len(asked) == 1, "equal chunks come once all the same"


def test_equal_tensors_of_one_model_are_written_apart_unless_they_were_tied(repo: mgit.Repository) -> None:
    tied = np.arange(9.0)
    repo.add("tied", {"a": tied, "b": tied, "c": tied.copy(), "d": tied.copy()})
    [model] = repo.load_many(["tied"], writable=True)
    model["a"][0] = -1
    model["c"][1] = -2
    assert model["b"][0] == -1
    assert model["c"][0] == 0
    np.testing.assert_array_equal(model["d"], tied)


def test_memory_and_what_sharing_saves_are_told(repo: mgit.Repository) -> None:
    encoder = np.arange(1000.0)
    heads = [np.full(10, float(task)) for task in range(5)]
    names = [f"task-{task}" for task in range(5)]
    for name, head in zip(names, heads, strict=True):
        repo.add(name, {"encoder": encoder, "head": head})
    loaded = repo.load_many(names)
    assert loaded.loaded_bytes == 5 * (8000 + 80)
    assert loaded.memory_bytes == 8000 + 5 * 80
    assert loaded.saved_bytes == 4 * 8000
    assert repr(loaded) == "<5 models in 8,400 bytes of memory, 32,000 bytes saved by sharing>"
    assert [model["head"][0] for model in loaded] == [0, 1, 2, 3, 4]


def test_tied_tensors_are_no_saving(repo: mgit.Repository) -> None:
    tied = np.arange(9.0)
    repo.add("no-saving", {"a": tied, "b": tied})
    assert repo.load_many(["no-saving"]).saved_bytes == 0


def test_state_dicts_of_torch_share_memory_until_one_is_written(repo: mgit.Repository) -> None:
    import torch  # noqa: PLC0415 - for this test alone

    half = np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3)
    repo.add("torch-a", {"w": _ENCODER, "half": half, "none": np.zeros((0, 4), np.float32)})
    repo.add("torch-b", {"w": _ENCODER, "half": half, "step": np.array(3, np.int64)})
    gc.collect()
    before = _anonymous_bytes()
    first, second = repo.load_many(["torch-a", "torch-b"], framework="torch")
    assert first["half"].dtype is torch.bfloat16
    assert first["none"].shape == (0, 4)
    assert second["step"].item() == 3
    assert torch.equal(first["w"], torch.from_numpy(_ENCODER))
    assert torch.equal(first["w"], second["w"])
    read = _anonymous_bytes() - before
    first["w"].mul_(2)
    written = _anonymous_bytes() - before - read
    assert torch.equal(second["w"], torch.from_numpy(_ENCODER))
    assert written > _ENCODER.nbytes * 3 // 4, "the pages that were written are the model's own"


def test_a_model_that_was_written_takes_the_memory_of_its_pages_only(repo: mgit.Repository) -> None:
    repo.add("pages", {"w": _ENCODER})
    [model] = repo.load_many(["pages"], writable=True)
    float(model["w"].sum())
    before = _anonymous_bytes()
    model["w"][0] = 0
    assert _anonymous_bytes() - before < _ENCODER.nbytes // 4


def test_models_without_tensors_and_no_models_at_all(repo: mgit.Repository) -> None:
    repo.add("empty", {"none": np.zeros((0, 2))})
    [model] = repo.load_many(["empty"])
    assert model["none"].shape == (0, 2)
    [writable] = repo.load_many(["empty"], writable=True)
    assert writable["none"].dtype == np.float64
    assert list(repo.load_many([])) == []


def test_patterns_choose_and_one_that_fits_nothing_is_told(repo: mgit.Repository) -> None:
    repo.add("chosen", {"encoder.w": np.ones(4), "head.w": np.zeros(4)})
    [model] = repo.load_many(["chosen"], tensors=["head.*"])
    assert list(model) == ["head.w"]
    with pytest.raises(mgit.errors.NotFoundError) as caught:
        repo.load_many(["chosen"], tensors=["tail.*"])
    assert caught.value.reason is ErrorReason.TENSOR_NOT_FOUND


def test_another_framework_is_refused_before_anything_is_fetched(
    repo: mgit.Repository, asked: list[bytes]
) -> None:
    repo.add("framework", {"x": np.ones(3)})
    with pytest.raises(mgit.errors.InvalidArgumentError, match="numpy or torch"):
        repo.load_many(["framework"], framework="jax")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportArgumentType]
    assert asked == []


def _anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) * 1024
