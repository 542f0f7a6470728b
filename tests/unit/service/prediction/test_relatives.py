"""Which models a draft or a model may be predicted from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from tests.unit.service.stored_models import opened, store_tensors

from mgit_core.errors import ErrorReason, NotFoundError
from mgit_core.lineage import Model, Relation
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.prediction.relatives import relatives_of_draft, relatives_of_model
from mgit_service.use_cases.references import ParentRequest
from mgit_service.use_cases.transfer.commit import CommitRequest, commit_draft
from mgit_service.use_cases.transfer.drafting import Draft


@pytest.fixture
def backend() -> Iterator[Backend]:
    with opened() as found:
        asyncio.run(found.lineage.binding.bind(found.store_id, store_is_empty=True))
        yield found


async def add(backend: Backend, name: str, *parents: str) -> Model:
    """A model whose only parameter is its name."""
    tensors = {"weight": np.frombuffer(name.encode().ljust(64), np.float32)}
    epoch = await EpochWatch(backend).read()
    header = DraftHeader(name=name.split("@", maxsplit=1)[0], parents=requests(*parents))
    draft = Draft(header=header, manifest=store_tensors(backend, tensors), files=None)
    return (
        await commit_draft(backend, draft, CommitRequest(epoch=epoch, request_id=None, arguments=b""))
    ).model


def requests(*parents: str) -> tuple[ParentRequest, ...]:
    return tuple(ParentRequest(reference=parent, relation=Relation.FINETUNED) for parent in parents)


async def names(
    backend: Backend, models: list[Model], header: DraftHeader | Model, *similar: str
) -> list[tuple[str, Relation | None, int]]:
    """Relatives by the names of the models that they are."""
    if isinstance(header, Model):
        found = await relatives_of_model(backend, header, similar)
    else:
        found = await relatives_of_draft(backend, header)
    by_digest = {model.parameters.digest: model.ref for model in models if model.parameters}
    return [(by_digest[each.parameters.digest], each.relation, each.hops) for each in found]


def test_parents_come_first_then_the_version_before_then_ancestors(backend: Backend) -> None:
    async def run() -> list[tuple[str, Relation | None, int]]:
        models = [await add(backend, "base")]
        models.append(await add(backend, "parent", "base"))
        models.append(await add(backend, "child", "parent"))
        models.append(await add(backend, "other"))
        header = DraftHeader(name="child", parents=requests("other", "parent"))
        return await names(backend, models, header)

    assert asyncio.run(run()) == [
        ("other@1", Relation.FINETUNED, 1),
        ("parent@1", Relation.FINETUNED, 1),
        ("child@1", None, 1),
        ("base@1", None, 2),
    ]


def test_a_version_before_that_is_not_wanted_is_none(backend: Backend) -> None:
    async def run() -> list[tuple[str, Relation | None, int]]:
        models = [await add(backend, "model")]
        return await names(backend, models, DraftHeader(name="model", automatic_previous=False))

    assert asyncio.run(run()) == []


def test_a_version_before_may_be_named(backend: Backend) -> None:
    async def run() -> list[tuple[str, Relation | None, int]]:
        models = [await add(backend, "model"), await add(backend, "model@2")]
        return await names(backend, models, DraftHeader(name="other", previous="model@1"))

    assert asyncio.run(run()) == [("model@1", None, 1)]


def test_ancestors_of_a_removed_parent_still_count(backend: Backend) -> None:
    async def run() -> list[tuple[str, Relation | None, int]]:
        models = [await add(backend, "base")]
        parent = await add(backend, "parent", "base")
        await add(backend, "child", "parent")
        await backend.lineage.models.remove(parent.uid)
        return await names(backend, models, DraftHeader(name="new", parents=requests(f"@{parent.uid}")))

    assert asyncio.run(run()) == [("base@1", None, 2)]


def test_a_parent_that_is_not_there_is_told(backend: Backend) -> None:
    with pytest.raises(NotFoundError) as caught:
        asyncio.run(relatives_of_draft(backend, DraftHeader(name="new", parents=requests("nobody"))))
    assert caught.value.reason is ErrorReason.MODEL_NOT_FOUND


def test_far_ancestors_and_many_are_left_out(backend: Backend) -> None:
    async def run() -> int:
        models = [await add(backend, "generation-0")]
        for at in range(1, 8):
            models += [await add(backend, f"generation-{at}", f"generation-{at - 1}")]
        found = await names(backend, models, DraftHeader(name="new", parents=requests("generation-7")))
        return max(hops for _, _, hops in found)

    assert asyncio.run(run()) == 4


def test_older_siblings_and_similar_models_come_last(backend: Backend) -> None:
    async def run() -> list[tuple[str, Relation | None, int]]:
        models = [await add(backend, "base"), await add(backend, "stranger")]
        models.append(await add(backend, "older", "base"))
        model = await add(backend, "model", "base")
        models += [model, await add(backend, "younger", "base"), await add(backend, "late")]
        similar = [models[1].uid, models[-1].uid, model.uid]
        return await names(backend, models, model, *similar)

    assert asyncio.run(run()) == [
        ("base@1", Relation.FINETUNED, 1),
        ("older@1", None, 100),
        ("stranger@1", None, 100),
    ]


def test_a_model_with_the_same_parameters_tells_nothing(backend: Backend) -> None:
    async def run() -> list[tuple[str, Relation | None, int]]:
        twin = await add(backend, "twin")
        epoch = await EpochWatch(backend).read()
        manifest = store_tensors(backend, {"weight": np.frombuffer(b"twin".ljust(64), np.float32)})
        header = DraftHeader(name="model", parents=requests("twin"))
        request = CommitRequest(epoch=epoch, request_id=None, arguments=b"")
        draft = Draft(header=header, manifest=manifest, files=None)
        model = (await commit_draft(backend, draft, request)).model
        return await names(backend, [twin], model)

    assert asyncio.run(run()) == []
