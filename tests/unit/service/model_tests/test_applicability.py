"""Which tests apply, over the graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mgit_core.errors import ErrorReason, MGitError
from mgit_core.ports.graph import Lineage
from mgit_service.use_cases.model_tests.applicability import list_applicable
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.lineage.steps import add
from mgit_storage.testing.values import fresh_uid, make_model_test


@pytest.fixture
async def lineage() -> AsyncIterator[Lineage]:
    """Models a and b with the tests Quick/One, quick/two and slow[1]; the last is a's alone."""
    graph = open_memory_graph()
    await graph.binding.bind("00000000-0000-4000-8000-000000000001", store_is_empty=True)
    model = await add(graph, "a")
    await add(graph, "b")
    await graph.model_tests.register(make_model_test("slow-1", model=model))
    for name in ("quick/two", "Quick/One"):
        await graph.model_tests.register(make_model_test(name))
    yield graph
    await graph.binding.close()


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("", ["Quick/One", "quick/two", "slow-1"]),
        ("*", ["Quick/One", "quick/two", "slow-1"]),
        ("quick/*", ["Quick/One", "quick/two"]),
        ("QUICK/O*", ["Quick/One"]),
        ("*o*-[0-9]", ["slow-1"]),
        ("quick/t?o", ["quick/two"]),
        ("[!q]*", ["slow-1"]),
        ("quick", []),
        ("[", []),
    ],
)
async def test_a_pattern_is_a_shell_pattern_over_whole_names(
    lineage: Lineage, pattern: str, wanted: list[str]
) -> None:
    [found] = await list_applicable(lineage, ["a"], pattern)
    assert [test.name for test in found.tests] == wanted


async def test_models_come_once_and_in_order(lineage: Lineage) -> None:
    found = await list_applicable(lineage, ["b", "a@1", "b@latest", "a"], "slow*")
    assert [(each.model.ref, len(each.tests)) for each in found] == [("b@1", 0), ("a@1", 1)]


async def test_a_removed_model_is_left_out(lineage: Lineage) -> None:
    [found] = await list_applicable(lineage, ["a"], "")
    await lineage.models.remove(found.model.uid)
    assert await list_applicable(lineage, ["a@1"], "") == []
    assert await list_applicable(lineage, [f"@{found.model.uid}"], "") == []


@pytest.mark.parametrize(
    ("references", "pattern", "reason"),
    [
        (["none"], "", ErrorReason.MODEL_NOT_FOUND),
        ([f"@{fresh_uid()}"], "", ErrorReason.MODEL_NOT_FOUND),
        (["a@prod"], "", ErrorReason.TAG_NOT_FOUND),
        (["a b"], "", ErrorReason.INVALID_NAME),
        (["a@0"], "", ErrorReason.INVALID_REFERENCE),
        (["a"] * 10_001, "", ErrorReason.INVALID_ARGUMENT),
        (["a"], "?" * 1_001, ErrorReason.INVALID_ARGUMENT),
    ],
)
async def test_a_bad_question_is_refused(
    lineage: Lineage, references: list[str], pattern: str, reason: ErrorReason
) -> None:
    with pytest.raises(MGitError) as error:
        await list_applicable(lineage, references, pattern)
    assert error.value.reason is reason


async def test_a_pattern_that_asks_for_much_backtracking_is_answered(lineage: Lineage) -> None:
    """A translation that tries every split of the name would not come back."""
    await lineage.model_tests.register(make_model_test("a" * 200))
    [found] = await list_applicable(lineage, ["b"], "*a" * 60 + "b")
    assert found.tests == ()
