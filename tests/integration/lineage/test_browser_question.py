"""The question that ``mgit browser REF`` puts into the editor, in a real Neo4j."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lineage.conftest import RawGraph

from mgit.browser import lineage_query
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.lineage.steps import add

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]


def names(row: dict[str, Any]) -> tuple[Any, ...]:
    model, parent = row["model"]["name"], row["parent"]
    return (model, None if parent is None else parent["name"])


async def test_it_gives_what_came_before_and_after_with_all_edges(lineage: Lineage, raw: RawGraph) -> None:
    base, other = await add(lineage, "base"), await add(lineage, "other")
    left = await add(lineage, "left", base)
    right = await add(lineage, "right", base)
    await add(lineage, "merged", left, right, other)

    rows = await raw.rows(lineage_query(left.uid, left.ref))

    assert {names(row) for row in rows} == {("base", None), ("left", "base"), ("merged", "left")}
    await add(lineage, "leaf", left)
    assert ("leaf", "left") in {names(row) for row in await raw.rows(lineage_query(left.uid, left.ref))}


async def test_it_visits_each_model_once(lineage: Lineage, raw: RawGraph) -> None:
    model = await add(lineage, "alone")
    async with raw.driver.session() as session:
        query = f"EXPLAIN {lineage_query(model.uid, model.ref)}"
        summary = await (await session.run(query)).consume()  # type: ignore[arg-type]
    assert "VarLengthExpand(Pruning,BFS,All)" in str(summary.plan)
    assert "VarLengthExpand(All)" not in str(summary.plan)
    assert [names(row) for row in await raw.rows(lineage_query(model.uid, model.ref))] == [("alone", None)]
