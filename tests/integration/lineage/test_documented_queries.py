"""Every query of docs/graph.md works as written."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.lineage.conftest import RawGraph

from mgit_core.lineage import Dataset, EdgeOrigin, ParentLink, Relation
from mgit_core.ports.graph import Lineage
from mgit_core.similarity import DIMENSIONS
from mgit_storage.testing.lineage.steps import eventually
from mgit_storage.testing.values import make_commit

PAGE = Path(__file__).parents[3] / "docs" / "graph.md"
SECTION = re.compile(r"^### (?P<title>.+?)\n+```cypher\n(?P<query>.+?)```", re.MULTILINE | re.DOTALL)
QUERIES = {match["title"]: match["query"] for match in SECTION.finditer(PAGE.read_text(encoding="utf-8"))}
SOME_MODELS = "UNWIND range(1, 1000) AS n CREATE (:Model {uid: toString(n), name: 'plain', version: n})"
PARAMETERS = {"name": "tuned", "version": 1, "dataset": "glue", "license": "mit"}

# base <- tuned@1 <- merged, with old (removed) and copy (equal to base) as further parents; tuned@2 beside it.
EXPECTED: dict[str, list[list[object]]] = {
    "The latest present version of each name": [["base", 1], ["copy", 1], ["merged", 1], ["tuned", 2]],
    "Everything that a model comes from": [["base", 1], ["old", 1]],
    "Everything that was made from a model, with the hops of the shortest way": [["merged", 1, 1]],
    "The models that everything else comes from": [["base", 1], ["copy", 1], ["tuned", 2]],
    "Parents that were removed, and whose child is still there": [["tuned", "PRUNED_FROM", "old", 1]],
    "Models that share a tensor with a model, and how many": [["merged", 1, 2]],
    "Exact duplicates": [["base@1", "copy@1"], ["merged@1", "tuned@1"]],
    "Tensors that only one model holds": [],
    "Bytes of each data type": [["float32", 6, 192]],
    "Models that were trained on a data set, and what was made from them": [["merged", 1], ["tuned", 1]],
    "Edges that were inferred and never confirmed": [["merged", "MERGED_FROM", "copy", 0.5]],
    "Models by an entry of their metadata": [["base", 1]],
    "What each tag points to": [["tuned", "prod", 1]],
    "Who holds the lease, and for how long after their last word": [["gc", 1]],
    "A collection that is under way, or was cut off": [[2, "condemned/list", True]],
    "Models that are near to a model, whoever declared what": [
        ["merged", 1, 1.0],
        ["base", 1, 0.6],
        ["copy", 1, 0.6],
    ],
    "Models whose sketch is not made yet": [["tuned", 2]],
    "Present models without parameters: there must be none": [],
}


@pytest.fixture
async def family(lineage: Lineage) -> None:
    commit = lineage.models.commit
    base = await commit(replace(make_commit("base", content="base"), metadata={"license": "mit"}))
    copy = await commit(make_commit("copy", content="base"))
    old = await commit(make_commit("old"))
    links = (
        ParentLink(parent_uid=base.model.uid, relation=Relation.FINETUNED),
        ParentLink(parent_uid=old.model.uid, relation=Relation.PRUNED),
    )
    tuned = await commit(
        replace(make_commit("tuned", *links, content="tuned"), datasets=(Dataset(name="glue"),))
    )
    await commit(make_commit("tuned", content="other"))
    inferred = ParentLink(
        parent_uid=copy.model.uid, relation=Relation.MERGED, origin=EdgeOrigin.INFERRED, confidence=0.5
    )
    await commit(make_commit("merged", ParentLink(parent_uid=tuned.model.uid), inferred, content="tuned"))
    await lineage.models.remove(old.model.uid)
    await lineage.tags.put(tuned.model.uid, "prod")
    for model, vector in ((tuned.model, (1.0, 0.0)), (base.model, (0.6, 0.8))):
        assert model.parameters is not None
        await lineage.sketches.put(model.parameters.digest, [*vector, *([0.0] * (DIMENSIONS - 2))])
    nearest = [1.0, *([0.0] * (DIMENSIONS - 1))]
    await eventually(lambda: lineage.sketches.nearest(nearest, 10), lambda found: len(found) == 2)
    await lineage.binding.condemn("condemned/list", await lineage.leases.acquire("gc", 60))


def test_every_documented_query_is_expected_here() -> None:
    assert list(QUERIES) == list(EXPECTED)


@pytest.mark.usefixtures("family")
async def test_documented_queries_answer_as_expected(raw: RawGraph) -> None:
    for title, query in QUERIES.items():
        wanted = {name: value for name, value in PARAMETERS.items() if f"${name}" in query}
        rows = [list(row.values()) for row in await raw.rows(query, **wanted)]
        if title == "Exact duplicates":
            rows = [row[1] for row in rows]
        if title.startswith("Who holds the lease"):
            assert all(free_at > renewed_at for *_, renewed_at, free_at in rows)
            rows = [[work, number] for work, _, number, *_ in rows]
        assert rows == EXPECTED[title], title


async def test_documented_walks_visit_each_model_once(lineage: Lineage, raw: RawGraph) -> None:
    assert await lineage.binding.epoch() == 1
    walks = [query for query in QUERIES.values() if re.search(r"\*\d", query)]
    assert len(walks) == 3
    async with raw.driver.session() as session:
        # Of an empty graph every plan costs nothing, and one that begins elsewhere may be taken.
        await (await session.run(SOME_MODELS)).consume()
        for query in walks:
            explain = f"CYPHER replan=force EXPLAIN {query}"
            summary = await (await session.run(explain, PARAMETERS)).consume()  # type: ignore[arg-type]
            assert "VarLengthExpand(Pruning,BFS,All)" in str(summary.plan)
