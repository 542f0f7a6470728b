"""Reading parts of models over the real service: only what is touched comes over the wire."""

from __future__ import annotations

import numpy as np
import pytest

import mgit
from mgit.errors import ErrorReason, FailedPreconditionError

pytestmark = pytest.mark.neo4j

ROWS = np.arange(1500 * 512, dtype=np.float32).reshape(1500, 512)  # Three chunks of 512 rows.


def test_slicing_fetches_the_chunks_that_it_touches(repo: mgit.Repository, asked: list[bytes]) -> None:
    tensor = repo.add("rows", {"w": ROWS}).tensors["w"]
    assert np.array_equal(tensor[:16], ROWS[:16])
    assert len(asked) == 1
    assert np.array_equal(tensor[600, ::7], ROWS[600, ::7])
    assert len(asked) == 2
    assert np.array_equal(tensor[10:1030], ROWS[10:1030])
    assert len(asked) == 3, "two of its three chunks were kept"


def test_a_zarr_group_fetches_the_chunks_that_it_touches(repo: mgit.Repository, asked: list[bytes]) -> None:
    group = repo.add("rows-zarr", {"w": ROWS + 1, "layer/b": np.ones(3, np.int8)}).zarr()
    assert asked == []
    assert np.array_equal(group["w"][700:710], ROWS[700:710] + 1)
    assert len(asked) == 1
    assert group["layer%2Fb"].attrs["mgit_name"] == "layer/b"
    assert group["w"].shape == (1500, 512)
    with pytest.raises(ValueError, match="read-only"):
        group["w"][0] = 1


def test_bfloat16_is_shown_by_zarr(repo: mgit.Repository) -> None:
    import ml_dtypes  # noqa: PLC0415 - for this test alone

    array = np.arange(6).astype(ml_dtypes.bfloat16)
    found = repo.add("bfloat16", {"w": array}).zarr()["w"][...]
    assert np.asarray(found).tobytes() == array.tobytes()


def test_arrays_of_one_model_can_be_written(repo: mgit.Repository) -> None:
    model = repo.add("written", {"x": np.zeros(3)})
    arrays = model.load()
    arrays["x"][0] = 1
    assert model.load()["x"][0] == 0


def test_a_removed_model_is_described_and_not_read(repo: mgit.Repository) -> None:
    model = repo.add("removed", {"x": np.zeros(3)})
    repo.add("removed-child", {"x": np.ones(3)}, parents=[model])
    assert repo.remove(model).ref == "removed@1"
    found = repo.get(model)
    assert (found.state, found.digest) == ("removed", None)
    for read in (found.load, found.zarr, lambda: found.tensors, lambda: found.files):
        with pytest.raises(FailedPreconditionError) as caught:
            read()
        assert caught.value.reason is ErrorReason.MODEL_REMOVED
