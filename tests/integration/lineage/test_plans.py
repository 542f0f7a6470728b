"""How the server plans each query: by an index, and each model of a walk once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import neo4j
import pytest
from tests.integration.lineage.conftest import STORE_ID
from tests.neo4j_server import TestServer, empty_graph

from mgit_core.similarity import DIMENSIONS
from mgit_storage.lineage import open_neo4j
from mgit_storage.lineage.cypher import commit, content, graph, leases, models, schema, sketches

PRUNING = "VarLengthExpand(Pruning,BFS,All)"
SCANS = {"AllNodesScan", "NodeByLabelScan", "DirectedAllRelationshipsScan"}
# Whole counts have no key to look up; their comments say so.
WITHOUT_INDEX = {"COUNTS", "COUNT_NODES", "MIGRATION_LEVEL", "SERVER", "FIRST_CONSTRAINT", "NEAREST_SKETCHES"}

PARAMETERS: dict[str, object] = {
    **dict.fromkeys(("uid", "child_uid", "parent_uid", "newer_uid", "older_uid", "from_uid", "to_uid"), "u"),
    **dict.fromkeys(("name", "name_lower", "tag", "digest", "after", "prefix", "below", "type"), "t"),
    **dict.fromkeys(("after_uid", "after_name", "id", "arguments_digest", "answer", "store_id"), "t"),
    **dict.fromkeys(("size", "limit", "depth", "version", "before", "number"), 10),
    **dict.fromkeys(("holder", "work", "condemned"), "t"),
    "seconds": 60.0,
    "vector": [1.0] * DIMENSIONS,
    "uids": ["a", "b"],
    "digests": ["a", "b"],
    "types": ["FINETUNED_FROM", "CAST_FROM"],
    "relation": "CAST_FROM",
    "properties": {"position": 0},
    "epochs": [1],
    "names": [{"name": "n", "name_lower": "n"}],
    "models": [
        {
            "name_lower": "n",
            "properties": {"uid": "u", "version": 1},
            "types": ["t"],
            "datasets": [{"name": "d", "version": ""}],
            "previous": ["p"],
            "links": [{"parent_uid": "p", "relation": "CAST_FROM", "properties": {}}],
        }
    ],
    "sets": [{"uid": "u", "digest": "d", "properties": {}}],
    "tensors": [{"parameters": "d", "digest": "t", "name": "n", "position": 0}],
}


@dataclass(frozen=True)
class Plans:
    """Asks a server with the schema, and nothing in it, for plans."""

    driver: neo4j.Driver

    def operators(self, query: str, **parameters: object) -> list[str]:
        """Operators of the plan of a query, from the last step to the first."""
        with self.driver.session() as session:
            summary = session.run(f"EXPLAIN {query}", parameters).consume()  # type: ignore[arg-type]
        assert summary.plan is not None
        found, left = [], [summary.plan]
        while left:
            step = left.pop()
            found.append(step["operatorType"].partition("@")[0])
            left += step.get("children", [])
        return found


@pytest.fixture(scope="module")
def plans(neo4j_server: TestServer) -> Iterator[Plans]:
    server = neo4j_server
    empty_graph(server)

    async def bind() -> None:
        lineage = open_neo4j(server.uri, server.username, server.password, is_warmed=False)
        await lineage.binding.bind(STORE_ID, store_is_empty=True)
        await lineage.binding.close()

    asyncio.run(bind())
    with neo4j.GraphDatabase.driver(
        server.uri, auth=(server.username, server.password), notifications_min_severity="OFF"
    ) as driver:
        yield Plans(driver)
    empty_graph(server)


def _walks() -> dict[str, str]:
    some = {f"{direction}-of-some": text for direction, text in graph.RELATIVES_OF_SOME.items()}
    walks = {f"{direction}-{form}": text for (direction, form), text in graph.TRAVERSALS.items()}
    near = {
        f"{direction}-{form}-{hops}": text
        for hops, texts in graph.NEAR_TRAVERSALS.items()
        for (direction, form), text in texts.items()
        if hops > 1
    }
    return {**walks, **some, **near, "reaches": graph.REACHES}


def _others() -> dict[str, str]:
    def texts(module: ModuleType) -> dict[str, str]:
        return {name: getattr(module, name) for name in module.__all__ if name not in WITHOUT_INDEX}

    found = {
        name: text
        for module in (models, commit, graph, content, schema, leases, sketches)
        for name, text in texts(module).items()
    }
    return {
        name: text
        for name, text in found.items()
        if isinstance(text, str) and name not in ("TYPES", "REACHES")
    }


@pytest.mark.parametrize("walk", _walks())
def test_a_walk_visits_each_model_once(plans: Plans, walk: str) -> None:
    operators = plans.operators(_walks()[walk], **PARAMETERS)
    assert PRUNING in operators
    assert not {name for name in operators if "Repeat" in name or name == "VarLengthExpand(All)"}
    assert not SCANS.intersection(operators)
    assert "NodeUniqueIndexSeek" in operators


@pytest.mark.parametrize("query", _others())
def test_a_query_begins_at_an_index(plans: Plans, query: str) -> None:
    operators = plans.operators(_others()[query], **PARAMETERS)
    assert not SCANS.intersection(operators), operators
    assert not {name for name in operators if name.startswith(("VarLength", "Repeat"))}
    assert {name for name in operators if "Index" in name}, operators


@pytest.mark.parametrize(
    "query",
    [
        *("FIND_LATEST", "LIST_VERSIONS", "LIST_LATEST", "ALL_UIDS", "PARAMETER_SETS", "DUPLICATES"),
        "LACKING_SKETCHES",
    ],
)
def test_a_list_comes_in_the_order_of_its_index(plans: Plans, query: str) -> None:
    """A page costs what it holds: nothing is sorted before it is cut."""
    operators = plans.operators(_others()[query], **PARAMETERS)
    cut = len(operators) - 1 - operators[::-1].index("Limit")
    assert not {"Sort", "Top", "PartialTop"}.intersection(operators[cut:]), operators


def test_near_vectors_come_from_the_vector_index(plans: Plans) -> None:
    """The procedure reads the index, and the models are found from there."""
    operators = plans.operators(sketches.NEAREST_SKETCHES, **PARAMETERS)
    assert "ProcedureCall" in operators
    assert not SCANS.intersection(operators), operators
    assert not {name for name in operators if name.startswith(("VarLength", "Repeat"))}


def test_counts_of_edges_and_tensors_come_from_the_count_store(plans: Plans) -> None:
    operators = plans.operators(content.COUNTS)
    assert "NodeCountFromCountStore" in operators
    assert "RelationshipCountFromCountStore" in operators
