"""Bugs in a real Neo4j beside other writers, and as others see them in the graph."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.integration.lineage.conftest import RawGraph

from mgit_core.bugs import BugState, DatasetSubject, ModelSubject, TensorSubject
from mgit_core.errors import MGitError, NotFoundError
from mgit_core.lineage import Dataset, ModelState, Relation
from mgit_core.ports.bugs import ReachQuery
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.lineage.steps import add, find
from mgit_storage.testing.values import make_bug, make_commit

pytestmark = pytest.mark.neo4j

ROUNDS = 8


async def test_a_bug_is_plain_to_see_in_the_graph(lineage: Lineage, raw: RawGraph) -> None:
    commit = make_commit("base")
    base = (await lineage.models.commit(commit)).model
    bug = make_bug(
        "b", ModelSubject(base.uid), TensorSubject(commit.tensors[0].digest), carried_by=(Relation.CAST,)
    )
    await lineage.bugs.report(bug)
    await lineage.bugs.fix(bug.id, base.uid)
    rows = await raw.rows(
        "MATCH (b:Bug)-[e]->(s) RETURN b.id AS id, b.carried_by AS carried_by, type(e) AS type, labels(s)[0] AS label,"
        " properties(e) AS properties, b.locked AS locked ORDER BY type, label"
    )
    same = {"id": bug.id, "carried_by": ["CAST_FROM"], "properties": {}, "locked": None}
    assert rows == [
        {**same, "type": "AFFECTS", "label": "Model"},
        {**same, "type": "AFFECTS", "label": "Tensor"},
        {**same, "type": "FIXED_IN", "label": "Model"},
    ]


async def test_a_model_that_is_removed_meanwhile_is_refused_or_stays(lineage: Lineage, raw: RawGraph) -> None:
    for number in range(ROUNDS):
        model = await add(lineage, f"m-{number}", content=f"content {number}")
        tensor = make_commit("m", content=f"content {number}").tensors[0].digest
        bug = make_bug("b", ModelSubject(model.uid), TensorSubject(tensor))
        reported, removed = await asyncio.gather(
            lineage.bugs.report(bug), lineage.models.remove(model.uid), return_exceptions=True
        )
        assert not isinstance(removed, BaseException), removed
        if isinstance(reported, BaseException):
            assert isinstance(reported, NotFoundError), reported
            assert await lineage.bugs.find(bug.id) == []
        else:
            assert (await find(lineage, model.ref)).state is ModelState.REMOVED
            assert await lineage.bugs.find(bug.id) == [reported]
    loose = await raw.rows("MATCH (t:Tensor) WHERE NOT (t)--() RETURN count(t) AS loose")
    assert loose == [{"loose": 0}]


async def test_fixes_of_several_writers_are_all_kept(lineage: Lineage) -> None:
    models = [await add(lineage, f"m-{number}") for number in range(ROUNDS)]
    bug = await lineage.bugs.report(make_bug("b", *(ModelSubject(model.uid) for model in models)))
    await asyncio.gather(
        *(lineage.bugs.fix(bug.id, model.uid) for model in models),
        *(lineage.bugs.set_state(bug.id, BugState.CLOSED) for _ in range(3)),
    )
    [after] = await lineage.bugs.find(bug.id)
    assert (len(after.fixed_in), after.state) == (ROUNDS, BugState.CLOSED)
    assert await lineage.bugs.count(ReachQuery(bug_id=bug.id)) == 0


async def test_a_reach_while_the_graph_changes_is_that_of_one_moment(lineage: Lineage) -> None:
    base = await add(lineage, "base")
    bug = await lineage.bugs.report(make_bug("b", ModelSubject(base.uid)))

    async def grow() -> None:
        last = base
        for number in range(30):
            last = await add(lineage, f"m-{number}", last)

    async def ask() -> None:
        for _ in range(10):
            found = [each async for part in lineage.bugs.affected(ReachQuery(bug_id=bug.id)) for each in part]
            known = {each.model.uid for each in found}
            assert all(each.next_uid in known for each in found if each.next_uid is not None)

    await asyncio.gather(grow(), ask())


async def test_a_bug_of_a_data_set_names_all_versions_by_a_property(lineage: Lineage, raw: RawGraph) -> None:
    for version in ("1", "2"):
        datasets = (Dataset(name="docs", version=version),)
        await lineage.models.commit(replace(make_commit("m"), datasets=datasets))
    bug = make_bug("b", DatasetSubject(Dataset(name="docs")))
    await lineage.bugs.report(bug)
    rows = await raw.rows("MATCH (b:Bug) RETURN b.every_version_of AS names, COUNT { (b)-->() } AS edges")
    assert rows == [{"names": ["docs"], "edges": 0}]
    assert await lineage.bugs.count(ReachQuery(bug_id=bug.id)) == 2


async def test_bugs_of_one_model_do_not_hinder_each_other(lineage: Lineage) -> None:
    model = await add(lineage, "m")
    results = await asyncio.gather(
        *(
            lineage.bugs.report(make_bug(f"bug {number}", ModelSubject(model.uid)))
            for number in range(ROUNDS)
        ),
        return_exceptions=True,
    )
    assert not [each for each in results if isinstance(each, MGitError)]
    assert len(await lineage.bugs.list_page(Page(), model_uid=model.uid)) == ROUNDS
