"""The look for what must not be in the graph, over checks that find what they are told to."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.ports.audit import GraphCheckResult, GraphChecks
from mgit_service.use_cases.maintenance.examining import examine_graph
from mgit_storage.lineage.memory import open_memory_graph


class Two(GraphChecks):
    """Two checks that find nothing and remember how much was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    @property
    def count(self) -> int:
        return 2

    async def examine(self, max_problems: int) -> AsyncGenerator[GraphCheckResult]:
        self.asked.append(max_problems)
        for name in ("first", "second"):
            yield GraphCheckResult(name=name, description="It holds.", problems=(), is_truncated=False)


async def test_each_check_is_told_with_how_many_there_are() -> None:
    checks = Two()
    lineage = replace(open_memory_graph(), graph_checks=checks)
    found = [(each.result.name, each.done, each.total) async for each in examine_graph(lineage)]
    assert found == [("first", 1, 2), ("second", 2, 2)]
    assert [each.done async for each in examine_graph(lineage, max_problems=7)] == [1, 2]
    assert checks.asked == [100, 7]


async def test_a_graph_in_memory_has_no_checks() -> None:
    assert [each async for each in examine_graph(open_memory_graph())] == []


@pytest.mark.parametrize("max_problems", [-1, 10_001])
async def test_a_number_that_is_none_is_refused(max_problems: int) -> None:
    with pytest.raises(InvalidArgumentError, match="max_problems") as caught:
        [each async for each in examine_graph(open_memory_graph(), max_problems=max_problems)]
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
