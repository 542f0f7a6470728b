"""Adapters that are stored alone: which base their factors fit."""

from __future__ import annotations

from mgit_core.errors import CorruptError, NotFoundError
from mgit_core.inference.factors import Factors, factors_of
from mgit_core.inference.kinship import Kinship
from mgit_core.inference.placing import Placement
from mgit_core.lineage import Direction, Model
from mgit_core.manifest import Manifest
from mgit_core.ports.graph import TraversalQuery
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.inference.gathering import is_before, oldest_sets

__all__ = ["place_adapter"]

# Factors say nothing of the weights beside them, so no index finds a base. Those that are looked through are old.
_LOOKED_THROUGH = 300
# Names and shapes fit every model of the architecture; a single origin of all that fit is a good guess.
_ONE_ORIGIN = 0.7
_SEVERAL = 0.3


async def place_adapter(
    backend: Backend, model: Model, manifest: Manifest
) -> tuple[Placement, dict[str, Model]] | None:
    """Where an adapter belongs; None for a model that is more than an adapter.

    Of the models that its factors fit the one that the others were made from, by the graph, is the likely base.
    """
    factors = factors_of(manifest)
    if factors is None:
        return None
    fitting = [
        each
        for each in await oldest_sets(backend, _LOOKED_THROUGH)
        if is_before(each, model) and await _fits(backend, factors, each)
    ]
    if not fitting:
        note = (
            f"It is an adapter of rank {factors.rank}; none of the oldest {_LOOKED_THROUGH} models fits it."
        )
        return Placement(note=note), {}
    origins = [each for each in fitting if not await _descends(backend, each, fitting)]
    evidence = (
        f"it holds low-rank factors alone, of rank {factors.rank}",
        f"names and shapes of {len(factors.shapes)} matrices fit those of {len(fitting)} models",
        f"{len(origins)} of these were made from none of the others",
    )
    sure = _ONE_ORIGIN if len(origins) == 1 else _SEVERAL
    base = origins[0] if origins else fitting[0]
    return Placement.of(base.uid, Kinship.ADAPTED, sure, evidence), {base.uid: base}


async def _fits(backend: Backend, factors: Factors, model: Model) -> bool:
    if model.parameters is None:
        return False
    try:
        theirs = await in_thread(backend, backend.parameters.read_manifest, model.parameters.manifest_key)
    except (NotFoundError, CorruptError):
        return False
    return factors.fit(theirs)


async def _descends(backend: Backend, model: Model, others: list[Model]) -> bool:
    known = {each.uid for each in others}
    query = TraversalQuery(uid=model.uid, direction=Direction.ANCESTORS)
    async for part in backend.lineage.traversal.uids(query):
        if known.intersection(part):
            return True
    return False
