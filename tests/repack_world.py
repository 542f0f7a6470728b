"""A small family in memory and what a repack did to it."""

from __future__ import annotations

import numpy as np
from tests.memory_world import World, changed, tensor

from mgit_core.digest import Digest
from mgit_core.lineage import Model, ParentLink, Relation
from mgit_core.ports.maintenance import Copy
from mgit_service.use_cases.maintenance.repack.repacking import RepackDone, RepackJob, repack
from mgit_service.use_cases.maintenance.reporting import WorkProgress

ROWS = 520
"""Of the largest tensor: one row more than two chunks have together would be a third."""


async def make_family(world: World) -> list[Model]:
    """A base, fine-tunes in a chain, and one with another head only; all with a file, stored fast and alone."""
    base = {"body": tensor(1, ROWS, ROWS), "head": tensor(2, 30, 40), "steps": np.arange(5, dtype=np.int64)}
    models = [await world.add("base", base, file=b"notes " * 3000)]
    values = base["body"]
    for number in range(2):
        values = changed(values, 10 + number)
        tensors = {**base, "body": values}
        models.append(
            await world.add(f"tuned-{number}", tensors, parents=(parent_of(models[-1]),), file=b"x" * 500)
        )
    tensors = {**base, "head": tensor(5, 30, 40)}
    models.append(await world.add("other", tensors, parents=(parent_of(models[0]),)))
    return models


def parent_of(model: Model) -> ParentLink:
    """An edge to a model."""
    return ParentLink(parent_uid=model.uid, relation=Relation.FINETUNED)


async def run(world: World, *, seconds: float | None = None, cores: int | None = None) -> RepackDone:
    """Repack, to the end."""
    job = RepackJob(seconds=seconds, cores=cores)
    answers = [answer async for answer in repack(world.backend, job)]
    assert all(isinstance(answer, WorkProgress) for answer in answers[:-1])
    assert isinstance(answers[-1], RepackDone)
    return answers[-1]


async def contents(world: World, models: list[Model]) -> dict[str, dict[str, bytes]]:
    """The bytes of every tensor."""
    return {model.name: await world.read(model.name) for model in models}


def copies(world: World) -> list[Copy]:
    """Every copy of every chunk."""
    return [copy for part in world.store.chunks.maintenance.copies() for copy in part]


def dense_packs(world: World) -> set[str]:
    """Packs that a repack made."""
    packs = world.store.chunks.maintenance.packs()
    return {name for name, pack in packs.items() if pack.is_dense}


def chunks_of(world: World, models: list[Model]) -> list[Digest]:
    """The chunks that manifests name, each once."""
    named = [chunk for model in models for chunks in world.manifest(model).values() for chunk in chunks]
    return list(dict.fromkeys(named))


def assert_one_copy_each(world: World) -> None:
    """No chunk has two copies."""
    digests = [copy.digest for copy in copies(world)]
    assert len(set(digests)) == len(digests)
