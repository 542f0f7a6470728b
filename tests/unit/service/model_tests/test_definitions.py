"""Registering, finding and deregistering tests, over the graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from mgit_core.errors import AlreadyExistsError, ErrorReason, MGitError, NotFoundError
from mgit_core.lineage import RequestKey
from mgit_core.model_tests import ModelTest, ModelTestScope
from mgit_core.ports.graph import Lineage, Page
from mgit_service.use_cases.model_tests import definitions
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.lineage.steps import add
from mgit_storage.testing.values import UNKNOWN_UID, make_model_test

STORE_ID = "00000000-0000-4000-8000-000000000001"
KEY = RequestKey(id="r", arguments_digest=b"a" * 32)


@pytest.fixture
async def lineage() -> AsyncIterator[Lineage]:
    graph = open_memory_graph()
    await graph.binding.bind(STORE_ID, store_is_empty=True)
    yield graph
    await graph.binding.close()


def draft(name: str = "t", **changed: Any) -> ModelTest:
    return make_model_test(name, **{"uid": "", **changed})


def of_model(reference: str) -> ModelTest:
    return draft(scope=ModelTestScope.MODEL, model_ref=reference)


async def register(lineage: Lineage, test: ModelTest, **options: Any) -> ModelTest:
    return await definitions.register_test(
        lineage, test, **{"is_replaced": False, "request": None, **options}
    )


async def test_the_service_chooses_uid_and_times(lineage: Lineage) -> None:
    first, second = [await register(lineage, draft(name)) for name in ("a", "b")]
    assert (first.uid[14], second.uid[14]) == ("7", "7")
    assert first.uid != second.uid
    assert first.created_at == first.updated_at <= second.created_at
    assert first.created_at > draft().created_at


@pytest.mark.parametrize("reference", ["m", "m@1", "m@latest", "m@prod", "@UID"])
async def test_a_model_is_named_by_any_reference(lineage: Lineage, reference: str) -> None:
    model = await add(lineage, "m")
    await lineage.tags.put(model.uid, "prod")
    test = await register(lineage, of_model(reference.replace("UID", model.uid)))
    assert (test.model_uid, test.model_ref) == (model.uid, "m@1")


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (of_model("none"), ErrorReason.MODEL_NOT_FOUND),
        (of_model(f"@{UNKNOWN_UID}"), ErrorReason.MODEL_NOT_FOUND),
        (of_model("m@prod"), ErrorReason.TAG_NOT_FOUND),
        (of_model("m@0"), ErrorReason.INVALID_REFERENCE),
        (of_model("m m"), ErrorReason.INVALID_NAME),
        (draft("@t"), ErrorReason.INVALID_NAME),
        (draft(code="checks"), ErrorReason.INVALID_TEST),
        (draft(scope=ModelTestScope.MODEL), ErrorReason.INVALID_TEST),
        (draft(model_ref="m"), ErrorReason.INVALID_TEST),
    ],
)
async def test_a_bad_test_is_not_registered(lineage: Lineage, test: ModelTest, reason: ErrorReason) -> None:
    await add(lineage, "m")
    with pytest.raises(MGitError) as error:
        await register(lineage, test)
    assert error.value.reason is reason
    assert await definitions.list_tests(lineage, Page()) == []


async def test_a_taken_name_is_told(lineage: Lineage) -> None:
    await register(lineage, draft("Mine"))
    with pytest.raises(AlreadyExistsError, match="There is a test Mine already"):
        await register(lineage, draft("mine"))
    replaced = await register(lineage, draft("mine", threshold=0.9), is_replaced=True)
    assert (replaced.name, replaced.threshold) == ("mine", 0.9)


async def test_a_repeat_gets_the_first_answer_though_its_model_is_gone(lineage: Lineage) -> None:
    model = await add(lineage, "m")
    first = await register(lineage, of_model("m"), request=KEY)
    await lineage.models.remove(model.uid)
    assert await register(lineage, of_model("m"), request=KEY) == first
    with pytest.raises(NotFoundError):
        await register(lineage, of_model("m"), request=RequestKey(id="s", arguments_digest=b"a" * 32))


async def test_a_test_is_found_by_name_and_by_uid(lineage: Lineage) -> None:
    test = await register(lineage, draft("Sane"))
    for text in ("sane", f"@{test.uid}", f"@{test.uid.upper()}", f"@{test.uid.replace('-', '')}"):
        assert await definitions.find_test(lineage, text) == test


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("none", ErrorReason.TEST_NOT_FOUND),
        (f"@{UNKNOWN_UID}", ErrorReason.TEST_NOT_FOUND),
        ("", ErrorReason.INVALID_NAME),
        ("a b", ErrorReason.INVALID_NAME),
        ("x" * 100_000, ErrorReason.INVALID_NAME),
        ("@", ErrorReason.INVALID_REFERENCE),
        ("@" + "x" * 100_000, ErrorReason.INVALID_REFERENCE),
    ],
)
async def test_a_test_that_cannot_be_found_says_why(lineage: Lineage, text: str, reason: ErrorReason) -> None:
    for call in (definitions.find_test(lineage, text), definitions.remove_test(lineage, text, None)):
        with pytest.raises(MGitError) as error:
            await call
        assert error.value.reason is reason
        assert len(error.value.message) < 500


async def test_a_repeat_of_a_removal_gets_the_first_answer(lineage: Lineage) -> None:
    test = await register(lineage, draft())
    assert await definitions.remove_test(lineage, "t", KEY) == test
    assert await definitions.remove_test(lineage, "t", KEY) == test
    with pytest.raises(NotFoundError):
        await definitions.remove_test(lineage, "t", None)
    assert (await definitions.find_test(lineage, f"@{test.uid}")).is_removed
