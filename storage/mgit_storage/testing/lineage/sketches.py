"""Laws of sketches. An index may lag behind, so what is to be found is asked for again, with a bound."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from mgit_core.lineage import Model
from mgit_core.ports.graph import Lineage, Page, SimilarModel
from mgit_core.similarity import DIMENSIONS
from mgit_storage.testing.lineage.steps import add, eventually

__all__ = ["SketchLaws"]


def _vector(*first: float) -> list[float]:
    """A vector of length 1 that begins like ``first``."""
    length = math.hypot(*first)
    return [*(number / length for number in first), *([0.0] * (DIMENSIONS - len(first)))]


async def _put(lineage: Lineage, model: Model, vector: Sequence[float]) -> None:
    assert model.parameters is not None
    await lineage.sketches.put(model.parameters.digest, vector)


async def _nearest(
    lineage: Lineage, vector: Sequence[float], *, models: int, limit: int = 10
) -> list[SimilarModel]:
    """The answer, once it holds so many models."""
    return await eventually(
        lambda: lineage.sketches.nearest(vector, limit), lambda found: len(found) == models
    )


def _refs(found: Sequence[SimilarModel]) -> list[str]:
    return [each.model.ref for each in found]


class SketchLaws:
    """Near vectors lead to models."""

    async def test_the_nearest_come_first_with_their_cosine(self, lineage: Lineage) -> None:
        models = [await add(lineage, name) for name in ("near", "middle", "far", "opposite")]
        vectors = (_vector(1, 0.1), _vector(1, 1), _vector(0, 1), _vector(-1))
        for model, vector in zip(models, vectors, strict=True):
            await _put(lineage, model, vector)
        found = await _nearest(lineage, _vector(1), models=4)
        assert _refs(found) == ["near@1", "middle@1", "far@1", "opposite@1"]
        wanted = [1 / math.hypot(1, 0.1), 1 / math.sqrt(2), 0.0, -1.0]
        assert [each.similarity for each in found] == pytest.approx(wanted, abs=1e-5)
        assert _refs(await _nearest(lineage, _vector(1), models=2, limit=2)) == ["near@1", "middle@1"]

    async def test_of_models_with_one_parameter_set_the_oldest_is_named(self, lineage: Lineage) -> None:
        first = await add(lineage, "b", content="same")
        await add(lineage, "a", content="same")
        await _put(lineage, first, _vector(1))
        assert _refs(await _nearest(lineage, _vector(1), models=1)) == ["b@1"]
        await lineage.models.remove(first.uid)
        assert _refs(await _nearest(lineage, _vector(1), models=1)) == ["a@1"]

    async def test_a_removed_model_is_not_found(self, lineage: Lineage) -> None:
        gone, kept = await add(lineage, "gone"), await add(lineage, "kept")
        await add(lineage, "child", gone)
        await _put(lineage, gone, _vector(1))
        await _put(lineage, kept, _vector(0, 1))
        await _nearest(lineage, _vector(1), models=2)
        await lineage.models.remove(gone.uid)
        assert _refs(await _nearest(lineage, _vector(1), models=1)) == ["kept@1"]
        await _put(lineage, gone, _vector(1))
        assert _refs(await _nearest(lineage, _vector(1), models=1)) == ["kept@1"], "nobody has the set"

    async def test_a_set_without_a_sketch_is_lacking_until_it_has_one(self, lineage: Lineage) -> None:
        assert await lineage.sketches.lacking(Page()) == []
        models = [await add(lineage, name) for name in ("a", "b", "c")]
        await add(lineage, "again", content="same")
        await add(lineage, "again", content="same")
        everything = await lineage.sketches.lacking(Page())
        assert len(everything) == 4, "a set is named once"
        assert [each.digest for each in everything] == sorted(each.digest for each in everything)
        assert {model.parameters for model in models} < set(everything)
        await _put(lineage, models[0], _vector(1))
        await lineage.models.remove(models[1].uid)
        left = await lineage.sketches.lacking(Page())
        assert left == [
            each for each in everything if each not in (models[0].parameters, models[1].parameters)
        ]
        first = await lineage.sketches.lacking(Page(size=1))
        rest = await lineage.sketches.lacking(Page(after=first[0].digest.hex()))
        assert [*first, *rest] == left

    async def test_a_sketch_may_be_put_again(self, lineage: Lineage) -> None:
        model, other = await add(lineage, "m"), await add(lineage, "other")
        await _put(lineage, model, _vector(0, 1))
        await _put(lineage, other, _vector(1, 1))
        await _put(lineage, model, _vector(1))
        await eventually(
            lambda: lineage.sketches.nearest(_vector(1), 2),
            lambda found: _refs(found) == ["m@1", "other@1"],
        )

    async def test_a_vector_of_zeros_is_near_to_nothing(self, lineage: Lineage) -> None:
        plain, model = await add(lineage, "plain"), await add(lineage, "m")
        zeros = [0.0] * DIMENSIONS
        await _put(lineage, plain, zeros)
        await _put(lineage, model, _vector(1))
        assert await lineage.sketches.lacking(Page()) == []
        assert _refs(await _nearest(lineage, _vector(1), models=1)) == ["m@1"]
        assert await lineage.sketches.nearest(zeros, 10) == []

    async def test_a_sketch_does_not_show_in_the_model(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        await _put(lineage, model, _vector(1))
        found = await lineage.content.parameter_sets(Page())
        assert [each.parameters for each in found] == [model.parameters]
