"""The demonstration's family as a graph, with what auditors ask for: tests, bugs, licences, data sets, tags.

Names, versions and edges are the demonstration's own. Besides it there is an adapter whose base was removed, and a
copy of a model that nobody declared.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from examples.minilm.catalog import DEMO
from examples.minilm.recipe import Member

from mgit_core.bugs import Bug, BugSeverity, BugState, DatasetSubject, ModelSubject
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.lineage import Dataset, Model, ModelCommit, ParentLink, Previous, Relation, TensorRecord
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import (
    ModelTest,
    ModelTestKind,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
    judge,
    make_result_uid,
)
from mgit_core.names import make_uid
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.values import fresh_uid, make_commit, make_loss

__all__ = ["CLOSED_BUG", "DATASET_BUG", "HEAD_BUG", "Family", "build_family"]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD_BUG = make_uid(1, b"head".ljust(10, b"\0"))
DATASET_BUG = make_uid(2, b"data".ljust(10, b"\0"))
CLOSED_BUG = make_uid(3, b"done".ljust(10, b"\0"))

# Which content each member has: a word for each tensor; members that share a word share the tensor.
_TENSORS = {
    "minilm@1": {"embeddings": "base", "layer.0": "base", "layer.1": "base"},
    "topic-network@1": {"embeddings": "base", "layer.0": "n1", "layer.1": "n1", "head": "n1"},
    "topic-network@2": {"embeddings": "base", "layer.0": "n2", "layer.1": "n1", "head": "n2"},
    "topic-runtime@1": {"embeddings": "base", "layer.0": "r", "layer.1": "r", "head": "r"},
    "topic-values-head@1": {"embeddings": "base", "layer.0": "base", "layer.1": "base", "head": "v"},
    "topic-tools-lora@1": {"lora.a": "t", "lora.b": "t"},
    "topic-tools@1": {"embeddings": "base", "layer.0": "merged", "layer.1": "base"},
    "topic-runtime-copy@1": {"embeddings": "base", "layer.0": "r", "layer.1": "r", "head": "r"},
}
_EXTRA: dict[str, dict[str, Any]] = {
    "minilm@1": {"metadata": {"license": "apache-2.0", "revision": "8b3219a", "card": "made by hand"}},
    "topic-network@1": {
        "datasets": (Dataset(name="docstrings", version="3.11"),),
        "metadata": {"license": "apache-2.0", "accuracy": 0.81},
    },
    "topic-network@2": {
        "datasets": (Dataset(name="docstrings", version="3.12"),),
        "metadata": {"license": "apache-2.0", "accuracy": 0.74},
    },
    "topic-runtime@1": {
        "datasets": (Dataset(name="docstrings", version="3.11"),),
        "metadata": {"license": "cc-by-nc-4.0", "accuracy": 0.83},
    },
    "topic-tools-lora@1": {"type": "adapter", "metadata": {"license": "mit", "base_revision": "c5f93f7"}},
    "topic-soup@1": {"metadata": {"license": "apache-2.0"}},
}
_WEIGHTS = {"topic-soup@1": 0.5}
_TAGS = {
    "topic-network@1": "stable",
    "topic-network@2": "prod",
    "topic-soup@1": "prod",
    "topic-tools@1": "prod",
    "topic-network-recovered@1": "candidate",
}
# Values of the test "accuracy", older ones first; each ran with the code that its letter stands for.
_ACCURACY = {
    "topic-network@1": ((0.81, "new"),),
    "topic-network@2": ((0.80, "old"), (0.62, "new")),
    "topic-runtime@1": ((0.83, "old"),),
    "topic-network-recovered@1": ((0.79, "new"),),
}


@dataclass
class Family:
    """Its members by reference, as they come to be."""

    lineage: Lineage
    models: dict[str, Model] = field(default_factory=dict[str, Model])
    results: int = 0

    async def add(self, ref: str, *links: ParentLink, previous: str | None = None, **extra: Any) -> Model:
        name = ref.partition("@")[0]
        older = Previous(uid=None if previous is None else self.models[previous].uid)
        commit = replace(make_commit(name, *links, content=ref, previous=older), **extra)
        if ref in _TENSORS:
            commit = _with_tensors(commit, _TENSORS[ref])
        model = (await self.lineage.models.commit(commit)).model
        assert model.ref == ref
        self.models[ref] = model
        return model


async def build_family(lineage: Lineage) -> Family:
    """Adds the family to an empty graph."""
    family = Family(lineage)
    for member in DEMO:
        await _add_member(family, member)
    await _add_strays(family)
    for ref, tag in _TAGS.items():
        await lineage.tags.put(family.models[ref].uid, tag)
    await _test(family)
    await _report_bugs(family)
    return family


async def _add_member(family: Family, member: Member) -> None:
    ref = f"{member.name}@{member.version}"
    links = [
        ParentLink(
            parent_uid=family.models[parent].uid, relation=Relation(relation), weight=_WEIGHTS.get(ref)
        )
        for parent, relation in member.parents
    ]
    extra = {"type": "encoder", **_EXTRA.get(ref, {})}
    if ref == "topic-runtime-fp16@1":
        extra["loss"] = make_loss(family.models["topic-runtime@1"].uid)
    await family.add(ref, *links, previous=member.previous, **extra)


async def _add_strays(family: Family) -> None:
    base = await family.add("old-base@1", type="encoder")
    link = ParentLink(parent_uid=base.uid, relation=Relation.ADAPTED)
    await family.add("orphan-lora@1", link, type="adapter")
    await family.lineage.models.remove(base.uid)
    await family.add("topic-runtime-copy@1", type="encoder")


async def _test(family: Family) -> None:
    accuracy = _model_test("accuracy", threshold=0.7, type="encoder", code_digest=_digest("new"))
    finite = _model_test("finite", kind=ModelTestKind.BUILTIN, code="finite")
    register, record = family.lineage.model_tests.register, family.lineage.model_tests.record
    accuracy, finite = await register(accuracy), await register(finite)
    for ref, runs in _ACCURACY.items():
        for value, code in runs:
            await record([_result(family, accuracy, ref, value, _digest(code))])
    await record([_result(family, finite, ref, 1.0) for ref in ("minilm@1", "topic-network@2")])
    await record([_result(family, finite, "topic-tools@1", None)])


def _model_test(name: str, **definition: Any) -> ModelTest:
    scope = ModelTestScope.TYPE if "type" in definition else ModelTestScope.ALL
    usual: dict[str, Any] = {
        "kind": ModelTestKind.ENTRY_POINT,
        "code": "checks:accuracy",
        "metric": name,
        "direction": MetricDirection.HIGHER,
        "created_at": START,
        "updated_at": START,
    }
    return ModelTest(uid=fresh_uid(), name=name, scope=scope, **{**usual, **definition})


def _result(
    family: Family, test: ModelTest, ref: str, value: float | None, code: Digest = b""
) -> ModelTestResult:
    model = family.models[ref]
    assert model.parameters is not None
    family.results += 1
    run_at = START + timedelta(minutes=family.results)
    is_truth = test.name == "finite"
    return ModelTestResult(
        key=ResultKey(
            test_uid=test.uid,
            code_digest=code,
            inputs_digest=b"",
            parameters_digest=model.parameters.digest,
        ),
        model_uid=model.uid,
        value=value,
        is_truth=is_truth,
        outcome=judge(test, value, is_truth=is_truth),
        error="" if value is not None else "RuntimeError: no such device",
        run_at=run_at,
        seconds=1.5,
        uid=make_result_uid(run_at, os.urandom(8)),
    )


async def _report_bugs(family: Family) -> None:
    bugs = family.lineage.bugs
    network = ModelSubject(family.models["topic-network@2"].uid)
    wrong = Bug(
        id=HEAD_BUG,
        title="labels 3 and 4 are swapped",
        affects=(network,),
        created_at=START,
        updated_at=START,
        severity=BugSeverity.HIGH,
    )
    await bugs.report(wrong)
    await bugs.fix(HEAD_BUG, family.models["topic-network-recovered@1"].uid)
    leak = DatasetSubject(Dataset(name="docstrings", version="3.11"))
    await bugs.report(
        replace(
            wrong, id=DATASET_BUG, title="test split leaked", affects=(leak,), severity=BugSeverity.MEDIUM
        )
    )
    base = ModelSubject(family.models["minilm@1"].uid)
    await bugs.report(replace(wrong, id=CLOSED_BUG, title="no licence file", affects=(base,)))
    await bugs.set_state(CLOSED_BUG, BugState.CLOSED)


def _digest(text: str) -> Digest:
    return digest_of(DigestAlgorithm.BLAKE3, text.encode())


def _with_tensors(commit: ModelCommit, contents: dict[str, str]) -> ModelCommit:
    tensors = tuple(
        TensorRecord(
            name=name, digest=_digest(f"{name} {content}"), dtype="float32", shape=(4, 2), size_bytes=32
        )
        for name, content in contents.items()
    )
    digest = _digest(str(contents))
    parameters = replace(
        commit.parameters, digest=digest, size_bytes=32 * len(tensors), tensor_count=len(tensors)
    )
    return replace(commit, parameters=parameters, tensors=tensors)
