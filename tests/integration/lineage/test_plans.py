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
from mgit_storage.lineage.cypher import (
    bugs,
    cascade_plans,
    cascades,
    commit,
    content,
    creation,
    exchange,
    facts,
    graph,
    leases,
    model_tests,
    models,
    schema,
    sketches,
    staging,
)

PRUNING = "VarLengthExpand(Pruning,BFS,All)"
SCANS = {"AllNodesScan", "NodeByLabelScan", "DirectedAllRelationshipsScan"}
# Whole counts have no key to look up; their comments say so.
WITHOUT_INDEX = {"COUNTS", "COUNT_NODES", "MIGRATION_LEVEL", "SERVER", "FIRST_CONSTRAINT", "NEAREST_SKETCHES"}
WITHOUT_INDEX |= {"CREATE_BUG", "CREATE_CASCADE"}
WITHOUT_INDEX |= {"BUGS_OF_DATASETS"}
# Expressions that are parts of queries.
WITHOUT_INDEX |= {"CREATION", "LISTED_CREATION"}
STEP_WALKS = ("BLOCK_BEHIND", "VERSION_PATH")
BUG_WALKS = {
    "IS_REACHED": bugs.IS_REACHED,
    "NEWER_VERSIONS": bugs.NEWER_VERSIONS,
    **{f"COUNT_REACHED-{form}": text for form, text in bugs.COUNT_REACHED.items()},
    **{f"REACHED_COLUMNS-{form}": text for form, text in bugs.REACHED_COLUMNS.items()},
    **{f"REACHED_UIDS-{form}": text for form, text in bugs.REACHED_UIDS.items()},
}

PARAMETERS: dict[str, object] = {
    **dict.fromkeys(("old_uid", "new_uid", "cascade_id"), "u"),
    "groups": ["a"],
    "now": 10,
    "changes": {"state": "waiting"},
    "steps": [{"cascade_id": "c", "number": 0}],
    "ties": [{"number": 1, "needs": [0], "replaces": ["u"], "takes": ["u"]}],
    "replaced": [{"uid": "u", "name": "n", "last_version": 1}],
    "creations": [{"uid": "u", "key": "k", "function": {}, "call": {}}],
    **dict.fromkeys(("uid", "child_uid", "parent_uid", "newer_uid", "older_uid", "from_uid", "to_uid"), "u"),
    **dict.fromkeys(("name", "name_lower", "tag", "digest", "after", "prefix", "below", "type"), "t"),
    **dict.fromkeys(("after_uid", "after_name", "id", "arguments_digest", "answer", "store_id"), "t"),
    **dict.fromkeys(("size", "limit", "depth", "version", "before", "number"), 10),
    **dict.fromkeys(("holder", "work", "condemned", "group"), "t"),
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
    "ids": ["b"],
    "links": [{"child_uid": "c", "parent_uid": "p", "relation": "CAST_FROM", "properties": {}}],
    "revisions": [{"newer_uid": "n", "older_uid": "o"}],
    "tags": [{"name": "n", "tag": "t", "uid": "u"}],
    "sets": [{"uid": "u", "digest": "d", "properties": {}}],
    "tensors": [{"parameters": "d", "digest": "t", "name": "n", "position": 0}],
    **dict.fromkeys(("test_uid", "model_uid"), "u"),
    "model_uids": ["a"],
    "results": [{"test_uid": "t", "model_uid": "m", "properties": {"uid": "u"}}],
    "fixed": ["u"],
    "touched": ["u"],
    "datasets": [{"name": "d", "version": "1"}],
    "declared_only": False,
    "slice": 10,
    "state": None,
    "updated_at": None,
    "keys": [{"test_uid": "t", "code_digest": "c", "inputs_digest": "i", "parameters_digest": "p"}],
}


@dataclass(frozen=True)
class Plans:
    """Asks a server with the schema, and nothing in it, for plans."""

    driver: neo4j.Driver

    def operators(self, query: str, **parameters: object) -> list[str]:
        """Operators of the plan of a query, from the last step to the first."""
        with self.driver.session() as session:
            summary = session.run(f"CYPHER replan=force EXPLAIN {query}", parameters).consume()  # type: ignore[arg-type]
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
    return {**walks, **some, **near, **BUG_WALKS, "reaches": graph.REACHES}


def _others() -> dict[str, str]:
    def texts(module: ModuleType) -> dict[str, str]:
        return {name: getattr(module, name) for name in module.__all__ if name not in WITHOUT_INDEX}

    found = {
        name: text
        for module in (
            *(models, commit, graph, content, facts, bugs, schema, leases, sketches, model_tests),
            *(creation, staging, cascades, cascade_plans, exchange),
        )
        for name, text in texts(module).items()
    }
    found |= {f"LIST_RESULTS-{form}": text for form, text in model_tests.LIST_RESULTS.items()}
    return {
        name: text
        for name, text in found.items()
        if isinstance(text, str) and name not in ("TYPES", "REACHES", *BUG_WALKS, *STEP_WALKS)
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
        *("LACKING_SKETCHES", "LIST_TESTS", "LIST_RESULTS-all", "LIST_BUGS", "FIND_BUGS"),
        *("LIST_STAGED", "LIST_UNDECIDED", "LIST_CASCADES", "NEXT_STEP"),
    ],
)
def test_a_list_comes_in_the_order_of_its_index(plans: Plans, query: str) -> None:
    """A page costs what it holds: nothing is sorted before it is cut."""
    operators = plans.operators(_others()[query], **PARAMETERS)
    cut = len(operators) - 1 - operators[::-1].index("Limit")
    assert not {"Sort", "Top", "PartialTop"}.intersection(operators[cut:]), operators


def test_a_failed_step_blocks_each_step_behind_it_once(plans: Plans) -> None:
    operators = plans.operators(cascades.BLOCK_BEHIND, **PARAMETERS)
    assert PRUNING in operators
    assert not {name for name in operators if "Repeat" in name or name == "VarLengthExpand(All)"}
    assert not SCANS.intersection(operators)


def test_a_way_between_versions_is_the_shortest(plans: Plans) -> None:
    """It meets each model once, whatever edges a person drew."""
    operators = plans.operators(cascade_plans.VERSION_PATH, **PARAMETERS)
    assert {"ShortestPath", "StatefulShortestPath(Into)"}.intersection(operators), operators
    assert not SCANS.intersection(operators)


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


@pytest.mark.parametrize("walk", [name for name in BUG_WALKS if name != "NEWER_VERSIONS"])
def test_a_fix_stops_the_walk_itself(plans: Plans, walk: str) -> None:
    """Fixes and relations are looked at by the step that walks, not filtered from paths that it chose."""
    with plans.driver.session() as session:
        plan = session.run(f"CYPHER replan=force EXPLAIN {BUG_WALKS[walk]}", PARAMETERS).consume().plan  # type: ignore[arg-type]
    left, walked = [plan], ""
    while left:
        step = left.pop()
        assert step is not None
        left += step.get("children", [])
        if step["operatorType"].startswith(PRUNING):
            walked += step["args"]["Details"]
    text = BUG_WALKS[walk]
    assert "NOT n IN fixed" in walked, walked
    for predicate in ("type(r) IN $types", "r.origin"):
        assert (predicate in walked) == (predicate in text.partition("nodes(p)")[2].partition("RETURN")[0])
