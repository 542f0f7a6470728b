"""Models of which chunks are in another store: nobody takes that for damage, and nobody builds on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from tests.memory_world import ALGORITHM, Tensors, World, changed, open_world, tensor
from tests.repack_world import run as run_repack

from mgit_core.chunking import chunk_ranges
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.ports.exchange import ImportedModel
from mgit_core.ports.graph import Page
from mgit_core.tensor import TensorSpec
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.inference.inferring import InferenceJob, infer_lineage, infer_parents
from mgit_service.use_cases.maintenance.fsck.checking import Checked, check_store
from mgit_service.use_cases.maintenance.fsck.findings import StoreProblem
from mgit_service.use_cases.maintenance.gc.collection import Collected, CollectionJob, collect
from mgit_service.use_cases.maintenance.statistics import model_statistics, store_statistics
from mgit_service.use_cases.prediction.relatives import relatives_of_draft
from mgit_service.use_cases.promises import check_here, check_whole
from mgit_service.use_cases.references import ParentRequest
from mgit_storage.testing.imports import ELSEWHERE, make_imported

BODY, HEAD = tensor(1, 300, 1_000), tensor(2, 30, 40)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


async def promise(world: World, name: str, tensors: Tensors, *, here: tuple[str, ...] = ()) -> Model:
    """A model of which only the tensors ``here`` are in the store."""
    parameters = []
    with world.store.chunks.open_writer() as writer:
        for key, values in tensors.items():
            spec = TensorSpec(values.dtype.name, values.shape)
            raw = values.tobytes()
            pieces = [raw[start:stop] for start, stop in chunk_ranges(spec)]
            if key in here:
                for piece in pieces:
                    writer.write(piece, width=4)
            chunks = [digest_of(ALGORITHM, piece) for piece in pieces]
            parameters.append(make_parameter(ALGORITHM, key, spec, chunks))
    manifest = Manifest(ALGORITHM, tuple(parameters))
    bare = make_imported(name, promise=ELSEWHERE)
    assert bare.model.parameters is not None
    kept = replace(
        bare.model.parameters,
        digest=manifest.digest,
        manifest_key=world.store.parameters.write_manifest(manifest),
        size_bytes=manifest.size_bytes,
    )
    epoch = await world.backend.lineage.binding.epoch()
    imported = ImportedModel(model=replace(bare.model, parameters=kept), tensors=bare.tensors)
    await world.backend.lineage.exchange.import_models([imported], epoch=epoch)
    return imported.model


async def check(world: World) -> tuple[Checked, list[StoreProblem]]:
    async with aclosing(check_store(world.backend, repair=False)) as steps:
        *others, done = [step async for step in steps]
    assert isinstance(done, Checked)
    return done, [step for step in others if isinstance(step, StoreProblem)]


def chunks_of(world: World, model: Model, key: str) -> tuple[Digest, ...]:
    return world.manifest(model)[key]


async def test_what_is_promised_is_no_damage(world: World) -> None:
    model = await promise(world, "m", {"body": BODY, "head": HEAD}, here=("head",))
    found, problems = await check(world)
    assert (found.ok, found.missing, problems) == (True, (), [])
    assert found.promised == len(chunks_of(world, model, "body")) == 2


async def test_what_a_whole_model_lacks_is_damage_though_it_is_promised_too(world: World) -> None:
    promised = await promise(world, "m", {"body": BODY})
    manifest = world.store.parameters.read_manifest(
        promised.parameters.manifest_key if promised.parameters else ""
    )
    broken = make_imported("broken")
    assert broken.model.parameters is not None
    other = Manifest(ALGORITHM, (replace(manifest.parameters[0], name="other"),))
    kept = replace(
        broken.model.parameters,
        digest=other.digest,
        manifest_key=world.store.parameters.write_manifest(other),
    )
    await world.backend.lineage.exchange.import_models(
        [replace(broken, model=replace(broken.model, parameters=kept))], epoch=1
    )
    found, problems = await check(world)
    assert not found.ok
    assert set(found.missing) == set(manifest.parameters[0].chunks)
    assert {problem.models for problem in problems} == {("broken@1",)}


async def test_a_collection_keeps_what_is_here_and_passes_over_the_rest(world: World) -> None:
    model = await promise(world, "m", {"body": BODY, "head": HEAD}, here=("head",))
    await world.add("whole", {"x": tensor(5, 9)})

    async def run() -> Collected:
        async with aclosing(collect(world.backend, CollectionJob(grace_s=0))) as steps:
            *_, done = [step async for step in steps]
        assert isinstance(done, Collected)
        return done

    await run()
    [head] = chunks_of(world, model, "head")
    assert world.store.chunks.find_missing([head]) == []
    assert (await check(world))[0].ok
    await world.backend.lineage.models.remove(model.uid)
    await run()
    assert world.store.chunks.find_missing([head]) == [head]


async def test_statistics_count_it_apart(world: World) -> None:
    await promise(world, "m", {"body": BODY, "head": HEAD}, here=("head",))
    await world.add("whole", {"x": HEAD})
    found = await store_statistics(world.backend)
    assert (found.counts.promised, found.counts.promised_bytes) == (1, BODY.nbytes + HEAD.nbytes)
    assert (found.counts.logical_bytes, found.reclaimable_bytes) == (HEAD.nbytes, 0)
    of_model = await model_statistics(world.backend, "m")
    body, head = of_model.tensors
    assert (body.stored_bytes, dict(body.encodings)) == (0, {})
    assert head.stored_bytes == of_model.stored_bytes > 0


async def test_a_repack_passes_over_it(world: World) -> None:
    await promise(world, "m", {"body": BODY, "head": HEAD}, here=("head",))
    await world.add("whole", {"x": tensor(5, 50, 50)})
    done = await run_repack(world)
    assert (done.damaged_chunks, done.is_complete, done.chunks) == (0, True, 1)


async def test_nothing_is_predicted_from_it(world: World) -> None:
    await promise(world, "base", {"body": BODY, "head": HEAD}, here=("head",))
    header = DraftHeader(name="child", parents=(ParentRequest(reference="base"),))
    assert await relatives_of_draft(world.backend, header) == ()


async def test_its_parents_are_not_inferred_and_it_is_no_candidate(world: World) -> None:
    promised = await promise(world, "base", {"body": BODY, "head": HEAD}, here=("head",))
    await world.add("child", {"body": changed(BODY, 3), "head": HEAD})
    job = InferenceJob()
    with pytest.raises(FailedPreconditionError) as error:
        await infer_parents(world.backend, "base", job)
    assert error.value.reason is ErrorReason.PARAMETERS_PROMISED
    steps = [step async for step in infer_lineage(world.backend, [], job)]
    notes = {step.model.name: step.note for step in steps}
    assert notes["base"] == "Its parameters are in another store."
    assert all(claim.parent.uid != promised.uid for step in steps for claim in step.claims)


async def test_it_gets_no_sketch(world: World) -> None:
    await promise(world, "m", {"body": BODY}, here=())
    assert await world.backend.lineage.sketches.lacking(Page()) == []


async def test_what_is_here_of_it_may_be_read(world: World) -> None:
    model = await promise(world, "m", {"body": BODY, "head": HEAD}, here=("head",))
    await check_here(world.backend, model, chunks_of(world, model, "head"))
    for ask in (
        lambda: check_here(world.backend, model, chunks_of(world, model, "body")),
        lambda: check_here(world.backend, model, [b"d" * 32] * 20_001),
    ):
        with pytest.raises(FailedPreconditionError, match=r"remote 'elsewhere'.*'mgit pull m@1'") as error:
            await ask()
        assert error.value.reason is ErrorReason.PARAMETERS_PROMISED
    with pytest.raises(FailedPreconditionError):
        check_whole(model)
    whole = await world.add("whole", {"x": HEAD})
    check_whole(whole)
    await check_here(world.backend, whole, [b"not asked for"])
