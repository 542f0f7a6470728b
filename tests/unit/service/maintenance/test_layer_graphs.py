"""Layer graphs in collections and checks, and as models are read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.memory_world import ALGORITHM, World, open_world, tensor
from tests.store_damage import damage, keys
from tests.unit.service.maintenance.fsck.test_checking import check
from tests.unit.service.maintenance.gc.test_collection import run

from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.layers.document import layer_graph_to_bytes, pack_layer_graph
from mgit_core.layers.graph import LayerGraphSource
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest
from mgit_service.use_cases.layer_graphs import (
    read_layer_graph,
    read_stored_layer_graph,
    take_layer_graph,
)
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.faults import FaultyObjectStore
from mgit_storage.testing.parameters import make_layer_graph

GRAPH = make_layer_graph(("x",))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world(FaultyObjectStore(MemoryObjectStore())) as opened:
        yield opened


def manifest_of(world: World, model: Model) -> Manifest:
    assert model.parameters is not None
    return world.store.parameters.read_manifest(model.parameters.manifest_key)


async def test_the_layer_graph_of_a_present_model_stays_and_that_of_a_removed_one_goes(world: World) -> None:
    kept = await world.add("kept", {"x": tensor(1, 5)}, layer_graph=GRAPH)
    gone = await world.add("gone", {"x": tensor(1, 5)}, layer_graph=GRAPH)
    await world.backend.lineage.models.remove(gone.uid)
    done = await run(world)
    assert (done.chunks, done.documents) == (0, 2)
    assert keys(world.store, "layers") == [kept.layer_graph_key]
    assert await read_stored_layer_graph(world.backend, kept) == GRAPH


async def test_what_a_staged_model_is_made_of_stays(world: World) -> None:
    staged = await world.add("soon", {"x": tensor(1, 5)}, file=b"text", layer_graph=GRAPH, is_staged=True)
    await world.add("other", {"x": tensor(2, 5)})
    await run(world)
    assert await read_stored_layer_graph(world.backend, staged) == GRAPH
    assert world.store.chunks.find_missing(list(world.manifest(staged)["x"])) == []
    result, problems = await check(world)
    assert (result.ok, result.documents, problems) == (True, 4, [])


async def test_an_abandoned_layer_graph_goes(world: World) -> None:
    await world.add("a", {"x": tensor(1, 5)})
    world.store.parameters.write_layer_graph(GRAPH)
    assert (await run(world)).documents == 1
    assert keys(world.store, "layers") == []


async def test_a_damaged_layer_graph_stops_no_collection(world: World) -> None:
    """It names no chunks, so what is needed is known without it."""
    model = await world.add("a", {"x": tensor(1, 5)}, layer_graph=GRAPH)
    gone = await world.add("b", {"x": tensor(2, 5)})
    await world.backend.lineage.models.remove(gone.uid)
    assert model.layer_graph_key is not None
    damage(world.store, model.layer_graph_key, -1)
    assert (await run(world)).chunks == 1
    assert keys(world.store, "layers") == [model.layer_graph_key]


async def test_a_check_finds_a_damaged_layer_graph_and_repairs_it_from_a_copy(world: World) -> None:
    model = await world.add("a", {"x": tensor(1, 5)}, layer_graph=GRAPH)
    assert model.layer_graph_key is not None
    damage(world.store, model.layer_graph_key, -1)
    result, [problem] = await check(world)
    assert not result.ok
    assert (problem.reason, problem.subject) == (ErrorReason.MANIFEST_CORRUPT, model.layer_graph_key)
    assert problem.models == ("a@1",)
    world.store.parameters.write_layer_graph(GRAPH)
    result, [problem] = await check(world, repair=True)
    assert (result.ok, problem.repaired) == (True, True)
    assert await read_stored_layer_graph(world.backend, model) == GRAPH


async def test_without_a_layer_graph_the_names_tell(world: World) -> None:
    model = await world.add("a", {"block.w": tensor(1, 5), "head.w": tensor(2, 5)})
    graph = await read_layer_graph(world.backend, model, manifest_of(world, model))
    assert (graph.source, [layer.path for layer in graph.layers]) == (
        LayerGraphSource.NAMES,
        ["block", "head"],
    )
    with pytest.raises(NotFoundError) as caught:
        await read_stored_layer_graph(world.backend, model)
    assert caught.value.reason is ErrorReason.LAYER_GRAPH_NOT_FOUND


async def test_a_stored_layer_graph_is_read_and_a_lost_one_named(world: World) -> None:
    model = await world.add("a", {"x": tensor(1, 5)}, layer_graph=GRAPH)
    manifest = manifest_of(world, model)
    assert await read_layer_graph(world.backend, model, manifest) == GRAPH
    assert model.layer_graph_key is not None
    world.store.parameters.maintenance.delete(model.layer_graph_key, lambda: None)
    with pytest.raises(CorruptError, match="layer graph of a@1") as caught:
        await read_layer_graph(world.backend, model, manifest)
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT


async def test_a_sent_layer_graph_names_exactly_the_parameters(world: World) -> None:
    manifest = manifest_of(world, await world.add("a", {"x": tensor(1, 5), "y": tensor(2, 5)}))
    fits = make_layer_graph(("x", "y"))
    assert await take_layer_graph(world.backend, pack_layer_graph(fits), manifest) == fits
    assert await take_layer_graph(world.backend, b"", manifest) is None
    for names, odd in (
        (("x",), "'y' is a parameter of no layer"),
        (("x", "y", "z"), "'z' is in a layer but"),
    ):
        document = pack_layer_graph(make_layer_graph(names))
        with pytest.raises(InvalidArgumentError, match=odd) as caught:
            await take_layer_graph(world.backend, document, manifest)
        assert caught.value.reason is ErrorReason.INVALID_LAYER_GRAPH


@pytest.mark.parametrize("document", [b"x", b"MGITDOC\x02", layer_graph_to_bytes(GRAPH), bytes(600_000)])
async def test_a_hostile_document_is_refused(world: World, document: bytes) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await take_layer_graph(world.backend, document, Manifest(ALGORITHM, ()))
    assert caught.value.reason is ErrorReason.INVALID_LAYER_GRAPH
