"""Every recipe of the cookbook runs in a real Neo4j, and finds in the demonstration's family what it should."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import neo4j
import neo4j.time
import pytest
from tests.demo_family import build_family
from tests.integration.lineage.conftest import STORE_ID
from tests.neo4j_server import TestServer, empty_graph

from mgit_storage.lineage import open_neo4j
from mgit_storage.lineage.audit_rules import check_plan, check_words

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]

PAGE = Path(__file__).parents[3] / "docs" / "cookbook.md"
RECIPE = re.compile(r"^### (?P<title>.+?)\n.*?^```cypher\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
RECIPES = {found["title"]: found["text"] for found in RECIPE.finditer(PAGE.read_text(encoding="utf-8"))}
NETWORK = "topic-network@2"
LEAK, SWAP = "test split leaked", "labels 3 and 4 are swapped"

EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "What was this model made from, and how far away is it?": [
        *((NETWORK, 1), ("topic-runtime@1", 1), ("minilm@1", 2), ("topic-network@1", 2)),
    ],
    "Which models descend from a base that must not be used any more?": [
        *(("minilm-bf16@1",), ("topic-network-bf16@1",), ("topic-network-pruned@1",)),
        *(("topic-network-recovered@1",), ("topic-network@1",), (NETWORK,), ("topic-runtime-fp16@1",)),
        *(("topic-runtime@1",), ("topic-soup@1",), ("topic-tools-lora@1",), ("topic-tools@1",)),
        ("topic-values-head@1",),
    ],
    "Which models have no known origin, and how many were made from each?": [
        *(("minilm@1", 12), ("topic-runtime-copy@1", 0)),
    ],
    "How were models made, and how often in each way?": [
        *(
            ("FINETUNED_FROM", 5),
            ("ADAPTED_FROM", 3),
            ("CAST_FROM", 3),
            ("MERGED_FROM", 3),
            ("PRUNED_FROM", 1),
        ),
    ],
    "What was merged or averaged, with which weights?": [
        ("topic-soup@1", "MERGED_FROM", NETWORK, 0.5),
        ("topic-soup@1", "MERGED_FROM", "topic-runtime@1", 0.5),
        ("topic-tools@1", "MERGED_FROM", "topic-tools-lora@1", None),
    ],
    "Which adapters have lost their base?": [("orphan-lora@1", "old-base@1")],
    "Which adapters were trained on another revision of their base?": [
        ("topic-tools-lora@1", "c5f93f7", "minilm@1", "8b3219a"),
    ],
    "Which deployed models were never tested?": [("topic-soup@1",)],
    "Which deployed models fail a test?": [
        (NETWORK, "accuracy", 0.62, 0.7, ""),
        ("topic-tools@1", "finite", None, 1.0, "RuntimeError: no such device"),
    ],
    "Which results are out of date?": [("topic-runtime@1", "accuracy", "2026-03-01T12:04:00+00:00")],
    "Which descendants of a model did nobody test?": [
        *(("topic-network-bf16@1",), ("topic-network-pruned@1",), ("topic-soup@1",)),
    ],
    "How did the values of a test go along the versions of a name?": [(1, 0.81), (2, 0.62)],
    "Which models have a bug, inherited or not?": [
        *((NETWORK, 0), ("topic-network-bf16@1", 1), ("topic-network-pruned@1", 1), ("topic-soup@1", 1)),
    ],
    "Which open bugs reach what is deployed?": [
        *((SWAP, "high", NETWORK), (SWAP, "high", "topic-soup@1")),
        *((LEAK, "medium", NETWORK), (LEAK, "medium", "topic-soup@1")),
    ],
    "Which tags must move when a bug is fixed?": [("topic-network", "prod", 2), ("topic-soup", "prod", 1)],
    "Which models hold a tensor of a model that has a bug, without coming from it?": [
        ("topic-runtime-copy@1", 3),
    ],
    "Which models come from something that may not be sold?": [
        ("topic-runtime-fp16@1", None),
        ("topic-runtime@1", "cc-by-nc-4.0"),
        ("topic-soup@1", "apache-2.0"),
    ],
    "Which licences lie along the ancestry of a model?": [
        ("apache-2.0", ["minilm@1", "topic-network@1", NETWORK, "topic-soup@1"]),
        ("cc-by-nc-4.0", ["topic-runtime@1"]),
    ],
    "Which models were trained on a data set, or made from one that was?": [
        *(("topic-network-bf16@1", False), ("topic-network-pruned@1", False)),
        *(("topic-network-recovered@1", False), ("topic-network@1", True), (NETWORK, False)),
        *(("topic-runtime-fp16@1", False), ("topic-runtime@1", True), ("topic-soup@1", False)),
    ],
    "What changed between two versions, tensor by tensor?": [("layer.0", "changed"), ("head", "changed")],
    "Which tensors do two models share?": [("embeddings", "embeddings", 32)],
    "Which models have exactly equal parameters?": [(["topic-runtime@1", "topic-runtime-copy@1"],)],
    "Which models lost something when they were added?": [("topic-runtime-fp16@1",)],
    "Where did a recorded number fall from one version to the next?": [("topic-network", 1, 2, 0.81, 0.74)],
    "Which tags point to a version that is not the latest?": [("topic-network", "stable", 1, 2)],
    "A family: everything that was made from a model": [
        (NETWORK, None, None),
        ("topic-network-bf16@1", "CAST_FROM", NETWORK),
        ("topic-network-pruned@1", "PRUNED_FROM", NETWORK),
        ("topic-network-recovered@1", "FINETUNED_FROM", "topic-network-pruned@1"),
        ("topic-soup@1", "MERGED_FROM", NETWORK),
    ],
    "A bug with what it affects, where it is fixed, and what was made from there": [
        (SWAP, "AFFECTS", NETWORK, "CAST_FROM", "topic-network-bf16@1"),
        (SWAP, "AFFECTS", NETWORK, "PRUNED_FROM", "topic-network-pruned@1"),
        (SWAP, "AFFECTS", NETWORK, "MERGED_FROM", "topic-soup@1"),
        (SWAP, "FIXED_IN", "topic-network-recovered@1", None, None),
    ],
    "A model with its tags, data sets and results": [
        (
            *("topic-network@1", "POINTS_TO", "stable", "TRAINED_ON", "docstrings@3.11"),
            *("ON", 0.81, "OF", "accuracy"),
        ),
    ],
}


@pytest.fixture(scope="module")
def graph(neo4j_server: TestServer) -> Iterator[neo4j.Driver]:
    """The server with the family in it."""
    server = neo4j_server
    empty_graph(server)

    async def build() -> None:
        lineage = open_neo4j(server.uri, server.username, server.password, is_warmed=False)
        await lineage.binding.bind(STORE_ID, store_is_empty=True)
        await build_family(lineage)
        await lineage.binding.close()

    asyncio.run(build())
    with neo4j.GraphDatabase.driver(
        server.uri, auth=(server.username, server.password), notifications_min_severity="OFF"
    ) as driver:
        yield driver
    empty_graph(server)


def told(value: Any) -> Any:
    """A node by what a person calls it, an edge by its type, a time as text."""
    if isinstance(value, neo4j.graph.Relationship):
        return value.type
    if isinstance(value, neo4j.graph.Node):
        if "version" in value:
            return f"{value['name']}@{value['version']}"
        return value.get("name") or value.get("title") or value.get("value")
    return value.to_native().isoformat() if isinstance(value, neo4j.time.DateTime) else value


def operators(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["operatorType"].partition("@")[0]
    for below in plan.get("children", []):
        yield from operators(below)


def test_every_recipe_of_the_page_is_expected_here() -> None:
    assert list(RECIPES) == list(EXPECTED)
    assert PAGE.read_text(encoding="utf-8").count("```cypher") == len(RECIPES)
    assert len(RECIPES) >= 15


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_finds_what_is_there_and_nothing_else(title: str, graph: neo4j.Driver) -> None:
    rows = graph.execute_query(RECIPES[title]).records  # type: ignore[arg-type]
    assert [tuple(map(told, row.values())) for row in rows] == EXPECTED[title]


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_passes_the_door_of_auditors(title: str, graph: neo4j.Driver) -> None:
    check_words(RECIPES[title])
    summary = graph.execute_query(f"EXPLAIN {RECIPES[title]}").summary  # type: ignore[arg-type]
    check_plan(summary.query_type, summary.plan)


@pytest.mark.parametrize("title", [title for title, text in RECIPES.items() if "*" in text])
def test_a_walk_of_a_recipe_visits_each_model_once(title: str, graph: neo4j.Driver) -> None:
    summary = graph.execute_query(f"EXPLAIN {RECIPES[title]}").summary  # type: ignore[arg-type]
    assert summary.plan is not None
    walks = {name for name in operators(summary.plan) if name.startswith(("VarLength", "Repeat"))}
    assert walks == {"VarLengthExpand(Pruning,BFS,All)"}
