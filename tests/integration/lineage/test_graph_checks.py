"""The look for what must not be in a graph: a fault of each kind is found, and a graph that has none is in order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from tests.integration.lineage.conftest import RawGraph

from mgit_core.bugs import DatasetSubject, ModelSubject, TensorSubject
from mgit_core.lineage import Dataset, EdgeOrigin, ParentLink, Relation
from mgit_core.ports.audit import GraphCheckResult
from mgit_core.ports.graph import Lineage
from mgit_core.similarity import DIMENSIONS
from mgit_storage.lineage.cypher import cascade_checks
from mgit_storage.lineage.cypher import checks as cypher
from mgit_storage.lineage.cypher.property_checks import (
    CREATION_PROPERTIES,
    EDGE_PROPERTIES,
    NODE_PROPERTIES,
)
from mgit_storage.testing.lineage.cascade_moves import start_and_stage
from mgit_storage.testing.values import make_bug, make_commit, make_creation, make_model_test, make_result

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


ONCE_OVER = (
    *(cypher.NAMES_BEHIND, cypher.NUMBERS_OFF, cypher.REVISIONS_OFF, cypher.REPEATED_PARENTS, cypher.HOLDERS),
    *(
        cypher.UNHELD_SETS,
        cypher.UNHELD_TENSORS,
        cypher.WRONG_COUNTS,
        cypher.SKETCHES_OFF,
        cypher.DANGLING_TAGS,
    ),
    *(cypher.MISPLACED_TESTS, cypher.MISPLACED_RESULTS, cypher.BUGS_OF_NOTHING, cypher.STORES),
    *(getattr(cascade_checks, name) for name in cascade_checks.__all__),
)


@dataclass(frozen=True)
class Fault:
    """A statement that makes a graph wrong, and what is said of it."""

    check: str
    plant: str
    says: str


FAULTS = (
    Fault("node-properties", "MATCH (m:Model {name: 'base'}) REMOVE m.created_at", "Model base@1 lacks"),
    Fault("node-properties", "MATCH (m:Model {name: 'base'}) REMOVE m.uid", "uid"),
    Fault("node-properties", "MATCH (m:Model {name: 'base'}) SET m.version = '1'", "version"),
    Fault("node-properties", "MATCH (m:Model {name: 'base'}) SET m.state = 'lost'", "state"),
    Fault("node-properties", "MATCH (n:ModelName {name: 'base'}) SET n.name_lower = 'Base'", "name_lower"),
    Fault(
        "node-properties",
        "MATCH (p:ParameterSet) WITH p LIMIT 1 SET p.digest = 'short'",
        "ParameterSet short",
    ),
    Fault("node-properties", "MATCH (p:ParameterSet) REMOVE p.manifest_key", "manifest_key"),
    Fault("node-properties", "MATCH (t:Tensor) SET t.shape = 'x'", "shape"),
    Fault("node-properties", "MATCH (t:Tensor) SET t.size_bytes = 1.5", "size_bytes"),
    Fault("node-properties", "MATCH (d:Dataset) REMOVE d.version", "Dataset"),
    Fault("node-properties", "MATCH (g:Tag) REMOVE g.model_name", "Tag"),
    Fault("node-properties", "MATCH (t:Test) SET t.scope = 'some'", "scope"),
    Fault("node-properties", "MATCH (t:Test) REMOVE t.name_lower", "name_lower"),
    Fault("node-properties", "MATCH (r:TestResult) SET r.value = 'high'", "value"),
    Fault("node-properties", "MATCH (b:Bug) SET b.severity = 'odd'", "severity"),
    Fault("node-properties", "CREATE (:ModelType)", "ModelType"),
    Fault("node-properties", "MATCH (s:Store) REMOVE s.epoch", "epoch"),
    Fault("edge-properties", "MATCH (:Model)-[e:FINETUNED_FROM]->() REMOVE e.position", "child@1"),
    Fault("edge-properties", "MATCH (:Model)-[e:FINETUNED_FROM]->() SET e.confidence = 0.5", "confidence"),
    Fault("edge-properties", "MATCH (:Model)-[e:CAST_FROM]->() SET e.confidence = 1.5", "confidence"),
    Fault("edge-properties", "MATCH (:Model)-[e:CAST_FROM]->() SET e.origin = 'guessed'", "origin"),
    Fault(
        "edge-kinds",
        "MATCH (m:Model {name: 'base'}), (p:ParameterSet) CREATE (m)-[:HAS_TENSOR]->(p)",
        "HAS_TENSOR leads from ParameterSet to Tensor; one leads from Model to ParameterSet",
    ),
    Fault(
        "edge-kinds", "MATCH (m:Model {name: 'base'}), (t:Tag) CREATE (m)-[:FIXED_IN]->(t)", "Model to Tag"
    ),
    Fault("edge-kinds", "MATCH (m:Model {name: 'base'}) CREATE (m)-[:LIKES]->(m)", "LIKES"),
    Fault(
        "cycles",
        "MATCH (c:Model {name: 'child', version: 1}), (b:Model {name: 'base'}) CREATE (b)-[:REVISION_OF]->(c)",
        "of 2 models close a cycle",
    ),
    Fault("cycles", "MATCH (m:Model {name: 'base'}) CREATE (m)-[:REVISION_OF]->(m)", "of 1 models"),
    Fault("versions", "MATCH (n:ModelName {name: 'child'}) SET n.last_version = 1", "child@2"),
    Fault("versions", "MATCH (m:Model {name: 'base'}) SET m.name = 'Base'", "Base@1"),
    Fault("versions", "MATCH (m:Model {name: 'base'})-[e:OF_NAME]->() DELETE e", "0 names"),
    Fault("versions", "MATCH (m:Model {name: 'base'}) SET m.version = 0", "base@0"),
    Fault(
        "versions",
        "MATCH (a:Model {name: 'child', version: 2}), (b:Model {name: 'base'}) CREATE (a)-[:REVISION_OF]->(b)",
        "2 version edges",
    ),
    Fault(
        "versions",
        "MATCH (a:Model {name: 'child', version: 2})-[e:REVISION_OF]->(b) DELETE e CREATE (b)-[:REVISION_OF]->(a)",
        "child@1 is told to be newer than child@2",
    ),
    Fault(
        "parents",
        "MATCH (:Model {name: 'child', version: 2})-[e:CAST_FROM]->() SET e.position = 0",
        "child@2",
    ),
    Fault(
        "parents",
        "MATCH (c:Model {name: 'child', version: 1})-[e:FINETUNED_FROM]->(q) CREATE (c)-[o:FINETUNED_FROM]->(q) "
        "SET o = properties(e), o.position = 5",
        "2 edges to 1 parents",
    ),
    Fault(
        "parameters", "MATCH (:Model {name: 'base'})-[e:HAS_PARAMETERS]->() DELETE e", "base@1 is present, 0"
    ),
    Fault("parameters", "MATCH (m:Model {name: 'base'}) SET m.state = 'removed'", "base@1 is removed, 1"),
    Fault(
        "parameters",
        "CREATE (:ParameterSet {digest: $digest, manifest_key: 'k', state: 'present', size_bytes: 0, tensor_count: 0, "
        "unsketched: true})",
        "no model has parameter set",
    ),
    Fault(
        "parameters",
        "CREATE (:Tensor {digest: $digest, dtype: 'float32', shape: [1], size_bytes: 4})",
        "no parameter set has tensor",
    ),
    Fault("parameters", "MATCH (p:ParameterSet) SET p.tensor_count = 7", "are 7, and has"),
    Fault("sketches", "MATCH (p:ParameterSet) SET p.sketch = [1.0, 0.0]", "length 2"),
    Fault("sketches", "MATCH (p:ParameterSet) REMOVE p.unsketched", "not marked for one"),
    Fault("tags", "MATCH (:Tag)-[e:POINTS_TO]->() DELETE e", "Tag base@prod points to 0 models"),
    Fault("tags", "MATCH (:Tag)-[:POINTS_TO]->(m) SET m.state = 'removed'", "base@1, removed"),
    Fault(
        "tags",
        "MATCH (g:Tag)-[e:POINTS_TO]->() DELETE e WITH g MATCH (m:Model {name: 'child'}) WITH g, m LIMIT 1 "
        "CREATE (g)-[:POINTS_TO]->(m)",
        "points to child@",
    ),
    Fault("model-tests", "MATCH (:Test)-[e:APPLIES_TO]->() DELETE e", "0 models"),
    Fault("model-tests", "MATCH (:TestResult)-[e:ON]->() DELETE e", "0 models"),
    Fault("bugs", "MATCH (b:Bug)-[e:AFFECTS]->() SET b.every_version_of = [] DELETE e", "affects nothing"),
    Fault("node-properties", "MATCH (m:StagedModel) SET m.version = 3", "StagedModel"),
    Fault("node-properties", "MATCH (c:Cascade) SET c.is_open = 'yes'", "is_open"),
    Fault(
        "cascades", "MATCH (c:Cascade) SET c.state = 'published'", "state published, and is marked otherwise"
    ),
    Fault("node-properties", "MATCH (s:CascadeStep) REMOVE s.waits_for", "waits_for"),
    Fault("creations", "MATCH (m:Model)-[e:CREATED_BY]->() DELETE e", "created no model"),
    Fault("creations", "MATCH (m:Model)-[:CREATED_BY]->(f) CREATE (m)-[:CREATED_BY]->(f)", "created 2 times"),
    Fault(
        "creations",
        "MATCH (m:StagedModel), (f:CreationFunction) CREATE (m)-[:CREATED_BY]->(f), (m)-[:CREATED_BY]->(f)",
        "times",
    ),
    Fault(
        "creations",
        "MATCH (:Model)-[e:CREATED_BY]->() REMOVE e.arguments",
        "made@1 has a wrong or no arguments",
    ),
    Fault("creations", "MATCH (:Model)-[e:CREATED_BY]->() SET e.environment = 7", "no environment"),
    Fault("creations", "MATCH (:Model)-[e:CREATED_BY]->() SET e.seed = 'lucky'", "no seed"),
    Fault("creations", "MATCH (:Model)-[e:CREATED_BY]->() SET e.group = 'g' REMOVE e.member", "no member"),
    Fault(
        "creations",
        "MATCH (:StagedModel)-[e:CREATED_BY]->() SET e.group = 7",
        "made@0 has a wrong or no group",
    ),
    Fault("node-properties", "MATCH (f:CreationFunction) SET f.digest = 7", "in another kind: digest"),
    Fault("node-properties", "MATCH (f:CreationFunction) REMOVE f.source", "in another kind: source"),
    Fault(
        "node-properties",
        "MATCH (m:Model {name: 'base'}) SET m.layer_graph = $digest",
        "base@1 lacks, or has in another kind: layer_graph_key",
    ),
    Fault(
        "node-properties",
        "MATCH (m:Model {name: 'base'}) SET m.layer_graph = 'short', m.layer_graph_key = 'key'",
        "base@1 lacks, or has in another kind: layer_graph",
    ),
    Fault(
        "node-properties",
        "MATCH (m:Model {name: 'base'}) SET m.layer_graph = $digest, m.layer_graph_key = [1]",
        "base@1 lacks, or has in another kind: layer_graph_key",
    ),
    Fault(
        "node-properties",
        "MATCH (m:Model {name: 'gone'}) SET m.layer_graph = $digest, m.layer_graph_key = 'key'",
        "gone@1 lacks, or has in another kind: layer_graph",
    ),
    Fault(
        "node-properties",
        "MATCH (m:StagedModel) SET m.layer_graph_key = 'key'",
        "in another kind: layer_graph_key",
    ),
    Fault("staged-models", "MATCH (:StagedModel)-[e:HAS_PARAMETERS]->() DELETE e", "0 parameter sets"),
    Fault(
        "staged-models",
        "MATCH (s:StagedModel), (m:Model {name: 'base'}) SET s.uid = m.uid",
        "was published as base@1 too",
    ),
    Fault("cascades", "MATCH (c:Cascade) SET c.open_steps = 7", "1 steps, 0 done and 1 open"),
    Fault(
        "cascades", "MATCH (c:Cascade) SET c.state = 'cancelled' REMOVE c.is_open", "is over and holds made@1"
    ),
    Fault("store", "MATCH (s:Store) DELETE s", "0 stores"),
)


async def plant_family(lineage: Lineage) -> None:
    """A graph that has something of every kind, made as the service makes it."""
    base_commit = replace(make_commit("base"), datasets=(Dataset(name="glue", version="1"),), type="encoder")
    base = (await lineage.models.commit(base_commit)).model
    tuned = (ParentLink(parent_uid=base.uid, relation=Relation.FINETUNED),)
    child = (await lineage.models.commit(replace(make_commit("child"), parents=tuned))).model
    cast = ParentLink(
        parent_uid=child.uid, relation=Relation.CAST, origin=EdgeOrigin.INFERRED, confidence=0.5, weight=0.25
    )
    await lineage.models.commit(replace(make_commit("child"), parents=(*tuned, cast)))
    gone = (await lineage.models.commit(make_commit("gone"))).model
    await lineage.edges.link(base.uid, ParentLink(parent_uid=gone.uid))
    await lineage.models.remove(gone.uid)
    await lineage.tags.put(base.uid, "prod")
    test = await lineage.model_tests.register(make_model_test("accuracy", model=base))
    await lineage.model_tests.register(make_model_test("size"))
    await lineage.model_tests.remove((await lineage.model_tests.register(make_model_test("old"))).uid)
    await lineage.model_tests.record([make_result(test, base, 1.0)])
    lost = make_commit("lost")
    held = (await lineage.models.commit(lost)).model
    bug = make_bug(
        "bad",
        ModelSubject(base.uid),
        TensorSubject(lost.tensors[0].digest),
        DatasetSubject(Dataset(name="glue")),
    )
    await lineage.bugs.report(bug)
    await lineage.bugs.fix(bug.id, child.uid)
    await lineage.models.remove(held.uid)
    await plant_cascade(lineage)


async def plant_cascade(lineage: Lineage) -> None:
    """A model that can be made anew, a cascade that does so, and what its step staged."""
    old = (await lineage.models.commit(make_commit("root"))).model
    made = replace(make_commit("made", ParentLink(parent_uid=old.uid)), creation=make_creation())
    await lineage.models.commit(made)
    await start_and_stage(lineage, old, (await lineage.models.commit(make_commit("root"))).model)


async def examine(lineage: Lineage, max_problems: int = 100) -> dict[str, GraphCheckResult]:
    assert lineage.graph_checks is not None
    return {result.name: result async for result in lineage.graph_checks.examine(max_problems)}


def messages(found: dict[str, GraphCheckResult]) -> dict[str, list[str]]:
    return {
        name: [problem.message for problem in result.problems]
        for name, result in found.items()
        if result.problems
    }


async def test_a_graph_that_the_service_made_is_in_order(lineage: Lineage) -> None:
    await plant_family(lineage)
    found = await examine(lineage)
    assert messages(found) == {}
    assert lineage.graph_checks is not None
    assert len(found) == lineage.graph_checks.count


async def test_an_empty_graph_is_in_order(lineage: Lineage) -> None:
    assert messages(await examine(lineage)) == {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.plant[:60]}")
async def test_a_fault_is_found_and_named(lineage: Lineage, raw: RawGraph, fault: Fault) -> None:
    await plant_family(lineage)
    await raw.rows(fault.plant, digest="f" * 64)
    found = messages(await examine(lineage))
    assert any(fault.says in message for message in found.get(fault.check, [])), found


@pytest.mark.parametrize("label", NODE_PROPERTIES)
async def test_a_node_without_any_property_is_found(lineage: Lineage, raw: RawGraph, label: str) -> None:
    """Also where the server has an index on the property, in which such a node is not."""
    await raw.rows(f"CREATE (:{label})")
    found = messages(await examine(lineage))["node-properties"]
    assert [message for message in found if message.startswith(f"{label} ")]


@pytest.mark.parametrize("query", cypher.EDGE_COUNTS.values(), ids=cypher.EDGE_COUNTS)
async def test_edges_are_counted_without_reading_them(lineage: Lineage, raw: RawGraph, query: str) -> None:
    assert lineage.graph_checks is not None
    operators = await planned(raw, query)
    assert operators <= {"ProduceResults", "Projection", "Apply", "RelationshipCountFromCountStore"}


@pytest.mark.parametrize(
    "query", [*ONCE_OVER, *NODE_PROPERTIES.values(), EDGE_PROPERTIES, CREATION_PROPERTIES]
)
async def test_a_check_goes_once_over_what_it_is_about(lineage: Lineage, raw: RawGraph, query: str) -> None:
    assert lineage.graph_checks is not None
    operators = await planned(raw, query)
    assert not {
        name for name in operators if name.startswith(("VarLength", "Repeat", "CartesianProduct", "AllNodes"))
    }


async def test_edges_come_in_the_order_of_an_index(lineage: Lineage, raw: RawGraph) -> None:
    assert lineage.graph_checks is not None
    operators = await planned(raw, cypher.EDGES_FOR_CYCLES)
    assert not {"Sort", "Top", "NodeByLabelScan"} & operators
    assert {name for name in operators if "Index" in name}


async def planned(raw: RawGraph, query: str) -> set[str]:
    """Operators of the plan of a query."""
    parameters = {"limit": 1, "dimensions": DIMENSIONS, "known": [], "after": "", "size": 1, "ids": [1]}
    async with raw.driver.session() as session:
        result = await session.run(f"CYPHER replan=force EXPLAIN {query}", parameters)  # type: ignore[arg-type]
        plan = (await result.consume()).plan
    found, left = set(), [plan]
    while left:
        step = left.pop()
        assert step is not None
        found.add(str(step["operatorType"]).partition("@")[0])
        left += step.get("children", [])
    return found


async def test_many_problems_are_cut_and_said_to_be(lineage: Lineage, raw: RawGraph) -> None:
    await plant_family(lineage)
    await raw.rows("MATCH (t:Tensor) REMOVE t.dtype")
    result = (await examine(lineage, 2))["node-properties"]
    assert (len(result.problems), result.is_truncated) == (2, True)


async def test_a_long_cycle_is_told_by_its_first_models(lineage: Lineage, raw: RawGraph) -> None:
    await plant_family(lineage)
    await raw.rows(
        "UNWIND range(1, 50) AS x CREATE (:Model {uid: 'ring' + toString(x), name: 'ring', version: x}) WITH count(*) AS n "
        "UNWIND range(1, 50) AS x MATCH (a:Model {name: 'ring', version: x}), (b:Model {name: 'ring', version: x % 50 + 1}) "
        "CREATE (a)-[:DERIVED_FROM]->(b)"
    )
    [problem] = (await examine(lineage))["cycles"].problems
    assert problem.message.startswith("Edges of 50 models close a cycle")
    assert len(problem.subjects) == 20


async def test_the_look_changes_nothing(lineage: Lineage, raw: RawGraph) -> None:
    await plant_family(lineage)
    await raw.rows("MATCH (p:ParameterSet) SET p.sketch = $sketch", sketch=[1.0] * (DIMENSIONS + 1))
    everything = "MATCH (n) OPTIONAL MATCH (n)-[e]->(o) RETURN elementId(n) AS id, properties(n) AS p, type(e) AS t, elementId(o) AS o ORDER BY id, t, o"
    before = await raw.rows(everything)
    assert (await examine(lineage))["sketches"].problems
    assert await raw.rows(everything) == before
