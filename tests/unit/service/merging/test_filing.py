"""Files of merged models: weight files that can be rebuilt, whatever the sides added, and files beside them."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from tests.unit.service.merging.merge_world import World, changed, tensors

from mgit_core.files import FileEntry
from mgit_core.lineage import Model
from mgit_core.merge.values import ConflictChoice
from mgit_service.use_cases.merging.request import MergeOutcome
from mgit_service.use_cases.transfer.reading import chunks_of_file, read_content


async def folder(
    world: World, name: str, change: str = "", *, config: str = "{}", parent: Model | None = None
) -> Model:
    """A model that came as a folder with a configuration."""
    content = changed(tensors(), change, seed=len(name)) if change else tensors()
    parents = [] if parent is None else [parent]
    return await world.add(
        name, content, parents=parents, notes={"config.json": config}, has_weights_file=True
    )


async def listed(world: World, model: Model) -> dict[str, FileEntry]:
    content = await read_content(world.backend, f"@{model.uid}")
    return {} if content.files is None else {entry.path: entry for entry in content.files.files}


async def bytes_of(world: World, model: Model, path: str) -> bytes:
    """A file as a download gives it."""
    content = await read_content(world.backend, f"@{model.uid}")
    entry = (await listed(world, model))[path]
    return b"".join(map(world.backend.chunks.read, chunks_of_file(world.backend.chunks, content, entry)))


def opened(raw: bytes) -> dict[str, np.ndarray]:
    """A safetensors file, read by hand."""
    [length] = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    body = raw[8 + length :]
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
        for name, entry in header.items()
    }


async def test_the_weight_file_of_ours_holds_the_merged_tensors(world: World) -> None:
    base = await folder(world, "base")
    ours = await folder(world, "ours", "head_a.weight", config='{"of": "ours"}', parent=base)
    theirs = await folder(world, "theirs", "head_b.weight", parent=base)
    merge = await world.merge(ours, theirs)
    assert merge.end.outcome is MergeOutcome.MERGED
    found = opened(await bytes_of(world, merge.model, "model.safetensors"))
    for name, array in world.read(merge.model).items():
        np.testing.assert_array_equal(array, found[name])
    assert await bytes_of(world, merge.model, "config.json") == b'{"of": "ours"}'


async def test_what_only_theirs_changed_is_byte_for_byte_the_file_of_theirs(world: World) -> None:
    """merge(base, base, x) is x, with the header that x was added with."""
    base = await folder(world, "base")
    theirs = await folder(world, "theirs", "head_b.weight", parent=base)
    merge = await world.merge(base, theirs)
    wanted = await bytes_of(world, theirs, "model.safetensors")
    assert wanted == await bytes_of(world, merge.model, "model.safetensors")
    assert theirs.files == merge.model.files


async def test_heads_that_both_sides_added_come_in_one_file(world: World) -> None:
    base = await folder(world, "base")
    extra = {name: tensors(seed)["body.bias"] for seed, name in ((5, "head_c.weight"), (6, "head_d.weight"))}
    ours, theirs = [
        await world.add(
            who,
            {**tensors(), name: extra[name]},
            parents=[base],
            notes={"config.json": "{}", "model.safetensors.index.json": "{}"},
            has_weights_file=True,
        )
        for who, name in (("ours", "head_c.weight"), ("theirs", "head_d.weight"))
    ]
    merge = await world.merge(ours, theirs, accept=True)
    found = opened(await bytes_of(world, merge.model, "model.safetensors"))
    assert {*tensors(), *extra} == found.keys()
    for name, array in extra.items():
        np.testing.assert_array_equal(array, found[name])
    assert "model.safetensors.index.json" not in await listed(world, merge.model)


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [(None, None), (ConflictChoice.THEIRS, b"3"), (ConflictChoice.OURS, b"2"), (ConflictChoice.TIES, b"2")],
)
async def test_a_configuration_that_both_changed_is_a_conflict(
    world: World, choice: ConflictChoice | None, wanted: bytes | None
) -> None:
    base = await folder(world, "base", config="1")
    ours = await folder(world, "ours", "head_a.weight", config="2", parent=base)
    theirs = await folder(world, "theirs", "head_b.weight", config="3", parent=base)
    merge = await world.merge(ours, theirs, choice)
    [conflict] = merge.findings.conflicts
    assert (conflict.names, conflict.is_file) == (("config.json",), True)
    if wanted is None:
        assert merge.end.outcome is MergeOutcome.CONFLICTED
    else:
        assert wanted == await bytes_of(world, merge.model, "config.json")


async def test_ties_that_still_hold_are_kept(world: World) -> None:
    content = tensors()
    content["head_b.weight"] = content["head_a.weight"]
    tie = (("head_a.weight", "head_b.weight"),)
    base = await world.add("base", content, ties=tie)
    body = changed(content, "body.weight")
    ours = await world.add("ours", body, parents=[base], ties=tie)
    theirs = await world.add("theirs", changed(content, "body.bias"), parents=[base], ties=tie)
    model = (await world.merge(ours, theirs, accept=True)).model
    files = (await read_content(world.backend, f"@{model.uid}")).files
    assert files is not None
    assert files.ties == tie
