"""GetLineage with facts, through generated stubs on the real service and the real Neo4j."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from tests.neo4j_server import TestServer
from tests.running_service import Stubs
from tests.uploads import link, upload

from mgit_core.bugs import Bug, ModelSubject
from mgit_proto.v1 import lineage_pb2 as pb
from mgit_proto.v1 import model_tests_pb2, parameters_pb2, types_pb2
from mgit_storage.lineage import open_neo4j
from mgit_storage.testing.values import fresh_uid

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


@pytest.fixture(scope="module")
def models(stubs: Stubs) -> dict[str, types_pb2.Model]:
    """A base with all that can be known, and a child with nothing but its parent."""
    weight = {"weight": np.arange(6, dtype=np.float32)}
    base = parameters_pb2.ModelHeader(
        name="facts/base",
        type="encoder",
        metadata={
            "license": types_pb2.MetadataValue(text="mit"),
            "epochs": types_pb2.MetadataValue(integer=3),
        },
        datasets=[types_pb2.Dataset(name="glue", version="2")],
    )
    child = parameters_pb2.ModelHeader(name="facts/child", parents=[link("facts/base")])
    found = {"base": upload(stubs, base, weight).model, "child": upload(stubs, child, weight).model}
    stubs.lineage.PutTag(pb.PutTagRequest(model="facts/base", tag="prod"))
    return found


def ask(stubs: Stubs, **question: object) -> dict[str, pb.ModelFacts]:
    request = pb.GetLineageRequest(models=["facts/base"], **question)  # type: ignore[arg-type]
    answers = list(stubs.lineage.GetLineage(request))
    models = [model.uid for answer in answers for model in answer.models]
    facts = [each for answer in answers for each in answer.facts]
    if facts:
        assert [each.uid for each in facts] == models, "in the order of the models"
    return {each.uid: each for each in facts}


def test_facts_are_told_of_every_model(stubs: Stubs, models: dict[str, types_pb2.Model]) -> None:
    facts = ask(stubs, with_facts=True)
    base, child = (facts[models[name].summary.uid] for name in ("base", "child"))
    assert (base.type, list(base.tags), base.size_bytes) == ("encoder", ["prod"], 24)
    assert base.metadata["license"].text == "mit"
    assert base.metadata["epochs"].integer == 3
    assert [(each.name, each.version) for each in base.datasets] == [("glue", "2")]
    assert (child.type, list(child.tags), child.size_bytes, dict(child.metadata)) == ("", [], 24, {})


@pytest.mark.usefixtures("models")
def test_without_the_wish_there_are_none(stubs: Stubs) -> None:
    assert ask(stubs) == {}


def test_results_and_inherited_bugs_are_in_them(
    stubs: Stubs, models: dict[str, types_pb2.Model], neo4j_server: TestServer
) -> None:
    base, child = (models[name].summary.uid for name in ("base", "child"))
    definition = model_tests_pb2.ModelTest(
        name="facts-accuracy",
        kind=model_tests_pb2.TEST_KIND_COMMAND,
        code="true",
        metric="accuracy",
        direction=model_tests_pb2.METRIC_DIRECTION_HIGHER,
        threshold=0.5,
    )
    test = stubs.model_tests.RegisterTest(model_tests_pb2.RegisterTestRequest(test=definition)).test
    for uid, value in ((base, 0.4), (child, 0.6)):
        result = model_tests_pb2.TestResult(
            test_uid=test.uid,
            model=types_pb2.ModelSummary(uid=uid),
            parameters_digest=models["base"].parameters_digest,
            value=value,
        )
        result.run_at.FromNanoseconds(time.time_ns())
        stubs.model_tests.RecordResults(model_tests_pb2.RecordResultsRequest(results=[result]))
    bug_id = asyncio.run(_report(neo4j_server, base))

    facts = ask(stubs, with_facts=True)

    assert list(facts[base].failed_tests) == list(facts[child].passed_tests) == ["facts-accuracy"]
    assert not facts[base].passed_tests
    assert bug_id in facts[base].bug_ids
    assert bug_id in facts[child].bug_ids


async def _report(server: TestServer, uid: str) -> str:
    lineage = open_neo4j(server.uri, server.username, server.password, is_warmed=False)
    now = datetime.now(UTC)
    bug = Bug(id=fresh_uid(), title="wrong", affects=(ModelSubject(uid),), created_at=now, updated_at=now)
    try:
        return (await lineage.bugs.report(bug)).id
    finally:
        await lineage.binding.close()
