"""Diffs of stored models: what is read for them, and what is told, over a store and a graph in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from tests.memory_world import World, open_world

from mgit_core.diff.relationship import RelationshipKind
from mgit_core.diff.values import DiffState, ParameterDiff
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, FailedPreconditionError, NotFoundError
from mgit_core.lineage import Model, ParentLink, Promise, Relation
from mgit_core.ports.chunks import ChunkStore
from mgit_core.tensor import AnyArray
from mgit_proto.v1 import diff_pb2
from mgit_service.servicers.diff_messages import diff_job, diff_messages
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.comparison.diffing import DiffJob, DiffOutline, MeasuredParameter, diff_models

Tensors = Mapping[str, AnyArray]


def body(seed: int = 1) -> dict[str, AnyArray]:
    random = np.random.default_rng(seed)
    tensors = {f"body.{at}.weight": random.normal(0, 0.05, (64, 64)).astype(np.float32) for at in range(3)}
    return {**tensors, "head.weight": random.normal(0, 0.05, (4, 64)).astype(np.float32)}


class Diff:
    """All that a diff told."""

    def __init__(self, parts: list[DiffOutline | MeasuredParameter]) -> None:
        first, *rest = parts
        assert isinstance(first, DiffOutline)
        self.outline = first
        self.measured = [part for part in rest if isinstance(part, MeasuredParameter)]

    @property
    def parameters(self) -> dict[str, ParameterDiff]:
        return {each.diff.name: each.diff for each in self.measured}


async def diff(world: World, before: str, after: str, job: DiffJob | None = None) -> Diff:
    return Diff([part async for part in diff_models(world.backend, before, after, job or DiffJob())])


class CountingChunks:
    """Chunks of a store, each read counted; some may be missing or broken."""

    def __init__(self, chunks: ChunkStore, broken: Mapping[Digest, Exception] | None = None) -> None:
        self._chunks = chunks
        self._broken = {} if broken is None else broken
        self.read_digests: list[Digest] = []

    def read(self, digest: Digest) -> bytes:
        self.read_digests.append(digest)
        if digest in self._broken:
            raise self._broken[digest]
        return self._chunks.read(digest)

    def find_missing(self, digests: Sequence[Digest]) -> list[Digest]:
        return [digest for digest in digests if digest in self._broken]

    def __getattr__(self, name: str) -> object:
        return getattr(self._chunks, name)


@asynccontextmanager
async def counted(
    broken: Mapping[Digest, Exception] | None = None,
) -> AsyncGenerator[tuple[World, CountingChunks]]:
    async with open_world() as world:
        counting = CountingChunks(world.backend.chunks, broken)
        yield World(world.store, replace(world.backend, chunks=counting)), counting  # type: ignore[arg-type]


async def test_a_model_does_not_differ_from_itself_and_nothing_is_read() -> None:
    async with counted() as (world, chunks):
        await world.add("one", body())
        await world.add("twin", body())
        for other in ("one", "twin"):
            found = await diff(world, "one", other)
            assert not found.outline.structural
            assert (found.measured, chunks.read_digests) == ([], [])
            assert (found.outline.equal_parameters, found.outline.differing_parameters) == (4, 0)
        assert (await diff(world, "one", "one")).outline.relationship.kind is RelationshipKind.SAME
        assert (await diff(world, "one", "twin")).outline.relationship.kind is RelationshipKind.UNRELATED


async def test_only_tensors_that_differ_are_read_and_only_if_values_are_wanted() -> None:
    async with counted() as (world, chunks):
        one = await world.add("one", body())
        changed = body() | {"body.1.weight": body(2)["body.1.weight"]}
        other = await world.add("other", changed)
        found = await diff(world, "one", "other", DiffJob(with_values=False))
        assert (list(found.parameters), chunks.read_digests) == (["body.1.weight"], [])
        assert found.parameters["body.1.weight"].change is None
        assert found.outline.total_bytes == 0
        found = await diff(world, "one", "other")
        wanted = {*world.manifest(one)["body.1.weight"], *world.manifest(other)["body.1.weight"]}
        assert set(chunks.read_digests) == wanted
        change = found.parameters["body.1.weight"].change
        assert change is not None
        distance = np.linalg.norm(
            changed["body.1.weight"].astype(np.float64) - body()["body.1.weight"].astype(np.float64)
        )
        assert change.change_norm == pytest.approx(distance, rel=1e-12)
        assert found.outline.total_bytes == sum(each.read_bytes for each in found.measured) == 2 * 64 * 64 * 4


async def test_equal_chunks_of_a_tensor_that_differs_are_read_once() -> None:
    """Rows were added and one was changed: all other chunks are the same, and so are their numbers."""
    async with counted() as (world, chunks):
        table = np.random.default_rng(1).standard_normal((1_024, 1_024)).astype(np.float32)
        longer = np.concatenate([table, table[:2]])
        longer[300] += 1
        one = await world.add("one", {"embed.weight": table})
        other = await world.add("other", {"embed.weight": longer})
        digests = world.manifest(one)["embed.weight"], world.manifest(other)["embed.weight"]
        shared = set(digests[0]) & set(digests[1])
        assert (len(digests[0]), len(shared)) == (4, 3)
        change = (await diff(world, "one", "other")).parameters["embed.weight"].change
        assert change is not None
        assert (change.differing, change.rank, change.compared) == (1_024, 1, 1 << 20)
        assert sorted(chunks.read_digests) == sorted([*shared, digests[0][1], digests[1][1]])


async def test_a_cast_is_measured_across_chunks_that_end_elsewhere() -> None:
    async with counted() as (world, chunks):
        table = np.random.default_rng(1).standard_normal((1_500, 512)).astype(np.float32)
        half = table.astype(ml_dtypes.bfloat16)
        await world.add("one", {"embed.weight": table})
        await world.add("other", {"embed.weight": half})
        found = (await diff(world, "one", "other")).parameters["embed.weight"]
        assert found.is_cast
        assert found.change is not None
        wanted = np.linalg.norm(half.astype(np.float64) - table.astype(np.float64))
        assert found.change.change_norm == pytest.approx(wanted, rel=1e-12)
        assert found.change.rank == 0
        assert len(chunks.read_digests) == len(set(chunks.read_digests))


async def test_shapes_that_cannot_be_compared_are_told_without_values() -> None:
    async with counted() as (world, chunks):
        await world.add("one", body())
        await world.add("other", body() | {"head.weight": np.zeros((4, 32), np.float32)})
        found = await diff(world, "one", "other")
        head = found.parameters["head.weight"]
        assert (head.state, head.is_reshaped, head.change) == (DiffState.CHANGED, True, None)
        assert chunks.read_digests == []
        assert [layer.path for layer in found.outline.structural.layers] == ["head"]


async def test_equal_things_are_told_where_they_are_wanted() -> None:
    async with open_world() as world:
        await world.add("one", body())
        found = await diff(world, "one", "one", DiffJob(with_equal=True))
        assert list(found.parameters) == list(body())
        assert len(found.outline.structural.layers) == 4
        assert not any(found.outline.structural.layers)


async def test_models_without_tensors_are_compared() -> None:
    async with open_world() as world:
        await world.add("none", {})
        await world.add("some", body())
        assert (await diff(world, "none", "none")).measured == []
        found = await diff(world, "none", "some")
        assert {each.state for each in found.parameters.values()} == {DiffState.ADDED}
        assert found.outline.structural.items == 4


async def test_how_two_models_stand_to_each_other_is_told() -> None:
    async with open_world() as world:

        def link(model: Model, relation: Relation) -> tuple[ParentLink, ...]:
            return (ParentLink(parent_uid=model.uid, relation=relation),)

        base = await world.add("base", body())
        child = await world.add("child", body(2), parents=link(base, Relation.FINETUNED))
        await world.add("grandchild", body(3), parents=link(child, Relation.PRUNED))
        await world.add("sibling", body(4), parents=link(base, Relation.CAST))
        await world.add("child", body(5))
        kinds = {
            ("base", "child@1"): RelationshipKind.CHILD,
            ("child@1", "base"): RelationshipKind.PARENT,
            ("base", "grandchild"): RelationshipKind.DESCENDANT,
            ("grandchild", "base"): RelationshipKind.ANCESTOR,
            ("sibling", "grandchild"): RelationshipKind.RELATED,
            ("child@1", "child@2"): RelationshipKind.UNRELATED,
        }
        told = {
            pair: (await diff(world, *pair, DiffJob(with_values=False))).outline.relationship
            for pair in kinds
        }
        assert {pair: each.kind for pair, each in told.items()} == kinds
        assert told["base", "child@1"].relation is Relation.FINETUNED
        assert [each.ref for each in told["sibling", "grandchild"].common_ancestors] == ["base@1"]
        assert told["child@1", "child@2"].is_newer_version


async def test_staged_models_stand_as_they_say_themselves() -> None:
    """They are in no traversal: what an update made is a child of its parents, and nobody's descendant."""
    async with open_world() as world:
        base = await world.add("base", body())
        old = await world.add("child", body(2), parents=(ParentLink(parent_uid=base.uid),))
        links = (ParentLink(parent_uid=base.uid, relation=Relation.FINETUNED),)
        staged = await world.add("child", body(3), parents=links, is_staged=True)
        tip = await world.add("tip", body(4), parents=(ParentLink(parent_uid=staged.uid),), is_staged=True)
        for one, other, kind, mirror in (
            (base, staged, RelationshipKind.CHILD, RelationshipKind.PARENT),
            (staged, tip, RelationshipKind.CHILD, RelationshipKind.PARENT),
            (base, tip, RelationshipKind.UNRELATED, RelationshipKind.UNRELATED),
            (old, staged, RelationshipKind.UNRELATED, RelationshipKind.UNRELATED),
            (staged, staged, RelationshipKind.SAME, RelationshipKind.SAME),
        ):
            for pair, wanted in (((one, other), kind), ((other, one), mirror)):
                found = await diff(world, *(f"@{model.uid}" for model in pair))
                assert found.outline.relationship.kind is wanted
                assert bool(found.measured) == (one is not other)


async def test_the_diff_back_measures_the_mirror() -> None:
    async with open_world() as world:
        await world.add("one", body())
        await world.add("other", {**body(2), "extra.weight": np.ones((3, 64), np.float32)})
        there, back = await diff(world, "one", "other"), await diff(world, "other", "one")
        assert {name: each.mirrored() for name, each in there.parameters.items()} == back.parameters
        assert there.outline.total_bytes == back.outline.total_bytes


async def test_a_caller_who_goes_away_leaves_no_work_behind() -> None:
    """What is measured ahead ends with the stream, also where one of it has failed unseen."""
    broken: dict[Digest, Exception] = {}
    async with counted(broken) as (world, chunks):
        one = await world.add("one", body())
        await world.add("other", body(2))
        broken[world.manifest(one)["body.1.weight"][0]] = CorruptError(
            ErrorReason.CHUNK_CORRUPT, "It is broken."
        )
        before = asyncio.all_tasks()
        parts = diff_models(world.backend, "one", "other", DiffJob())
        outline, first = [await anext(parts) for _ in range(2)]
        assert isinstance(outline, DiffOutline)
        assert isinstance(first, MeasuredParameter)
        await parts.aclose()
        assert asyncio.all_tasks() == before
        assert world.manifest(one)["head.weight"][0] not in chunks.read_digests


@pytest.mark.parametrize("place", [0, 1])
async def test_removed_and_unknown_models_are_refused(place: int) -> None:
    async with open_world() as world:
        one = await world.add("one", body())
        gone = await world.add("gone", body())
        await world.add("kept", body(2), parents=(ParentLink(parent_uid=gone.uid),))
        await world.backend.lineage.models.remove(gone.uid, None)
        for reference, error, reason in (
            (f"@{gone.uid}", FailedPreconditionError, ErrorReason.MODEL_REMOVED),
            ("nobody", NotFoundError, ErrorReason.MODEL_NOT_FOUND),
            ("one@nothing", NotFoundError, ErrorReason.TAG_NOT_FOUND),
        ):
            refs = [reference, f"@{one.uid}"]
            with pytest.raises(error) as raised:
                await diff(world, refs[place], refs[1 - place])
            assert raised.value.reason is reason


async def test_a_broken_chunk_names_who_suffers() -> None:
    broken: dict[Digest, Exception] = {}
    async with counted(broken) as (world, _):
        await world.add("one", body())
        other = await world.add("other", body(2))
        digest = world.manifest(other)["body.2.weight"][0]
        broken[digest] = CorruptError(ErrorReason.CHUNK_CORRUPT, "It is broken.", digest=digest.hex())
        with pytest.raises(CorruptError) as raised:
            await diff(world, "one", "other")
        assert raised.value.details["models"] == "other@1"
        assert (await diff(world, "one", "other", DiffJob(with_values=False))).outline.differing_parameters


async def test_promised_values_are_refused_and_digests_are_not() -> None:
    """The manifest of a partial clone is here, its chunks are not."""
    broken: dict[Digest, Exception] = {}
    async with counted(broken) as (world, _):
        await world.add("one", body())
        other = await world.add("other", body(2))
        for digests in world.manifest(other).values():
            for digest in digests:
                broken[digest] = NotFoundError(ErrorReason.CHUNK_NOT_FOUND, "It is elsewhere.")
        with pytest.raises(NotFoundError):
            await diff(world, "one", "other")
        promising = Promising(world.backend, other)
        with pytest.raises(FailedPreconditionError, match="'origin'") as raised:
            await diff(World(world.store, promising.backend), "one", "other")
        assert raised.value.reason is ErrorReason.PARAMETERS_PROMISED
        found = await diff(World(world.store, promising.backend), "one", "other", DiffJob(with_values=False))
        assert len(found.parameters) == 4


class Promising:
    """A backend whose graph says that a model's chunks are elsewhere."""

    def __init__(self, backend: Backend, model: Model) -> None:
        models = backend.lineage.models

        class Models:
            @staticmethod
            async def get(reference: object) -> Model:
                found = await models.get(reference)  # type: ignore[arg-type]
                if found.uid != model.uid or found.parameters is None:
                    return found
                promise = Promise(store_id="s", remote="origin")
                return replace(found, parameters=replace(found.parameters, promised_by=promise))

        lineage = replace(backend.lineage, models=Models())  # type: ignore[arg-type]
        self.backend = replace(backend, lineage=lineage)


async def messages_of(world: World, request: diff_pb2.DiffModelsRequest) -> list[diff_pb2.DiffModelsResponse]:
    parts = diff_models(world.backend, request.before, request.after, diff_job(request))
    return [message async for message in diff_messages(parts)]


async def test_a_diff_of_many_layers_comes_in_small_messages() -> None:
    async with open_world() as world:
        many = {f"{'long.' * 40}{at:05}.weight": np.zeros((1, 1), np.float32) for at in range(3_000)}
        await world.add("none", {})
        await world.add("many", many)
        request = diff_pb2.DiffModelsRequest(before="none", after="many", with_values=True)
        messages = await messages_of(world, request)
        assert messages[0].HasField("outline")
        assert not any(message.HasField("outline") for message in messages[1:])
        assert all(message.ByteSize() <= 1 << 20 for message in messages)
        assert sum(len(message.layers) for message in messages) == 3_000
        assert [each.after.name for message in messages for each in message.parameters] == list(many)


async def test_one_layer_of_very_many_parameters_fits_a_message() -> None:
    async with open_world() as world:
        await world.add("none", {})
        await world.add("flat", {f"{at:04}" + "x" * 500: np.zeros(1, np.float32) for at in range(3_000)})
        request = diff_pb2.DiffModelsRequest(before="none", after="flat")
        messages = await messages_of(world, request)
        assert all(message.ByteSize() <= 1 << 20 for message in messages)
        (layer,) = [layer for message in messages for layer in message.layers]
        assert 0 < len(layer.after.parameters) < 3_000


async def test_progress_reaches_what_was_announced() -> None:
    async with open_world() as world:
        large = {f"{at}.weight": np.full((2_048, 1_024), 9 * at, np.float32) for at in range(4)}
        await world.add("one", large)
        await world.add("other", {name: array + 1 for name, array in large.items()})
        request = diff_pb2.DiffModelsRequest(before="one", after="other", with_values=True)
        messages = await messages_of(world, request)
        done = [message.done_bytes for message in messages]
        assert done == sorted(done)
        assert len(set(done)) >= 4
        assert done[-1] == messages[0].outline.total_bytes == 8 * (8 << 20)
        assert all(each.change.rank == 1 for message in messages for each in message.parameters)
