"""Merges through a real service: classes, tests that decide, and what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

import mgit
from mgit.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, NotFoundError
from mgit.merging import MergeOutcome
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_core.tensor import AnyArray

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

NAMES = ("body.weight", "head_a.weight", "head_b.weight")
GRAPH = LayerGraph(
    layers=tuple(
        Layer(path=name.removesuffix(".weight"), kind="Linear", parameters=(name,)) for name in NAMES
    ),
    edges=((0, 1), (0, 2)),
    source=LayerGraphSource.EXPORT,
)
START = {
    name: np.random.default_rng(at).normal(0, 0.02, (256, 400)).astype(np.float32)
    for at, name in enumerate(NAMES)
}


def tuned(*names: str, seed: int = 9) -> dict[str, AnyArray]:
    """The start with some tensors trained further."""
    random = np.random.default_rng(seed)
    return {
        name: (array + random.normal(0, 1e-3, array.shape)).astype(np.float32) if name in names else array
        for name, array in START.items()
    }


@dataclass
class Family:
    """Models over one base, each test with names of its own."""

    repo: mgit.Repository
    name: str
    base: mgit.Model

    def add(self, who: str, content: Mapping[str, AnyArray], **said: object) -> mgit.Model:
        parents = [mgit.finetuned(self.base)]
        return self.repo.add(f"{self.name}/{who}", content, parents=parents, layer_graph=GRAPH, **said)  # type: ignore[arg-type]

    def pair(
        self, ours: tuple[str, ...], theirs: tuple[str, ...], **said: object
    ) -> tuple[mgit.Model, mgit.Model]:
        return self.add("ours", tuned(*ours, seed=1), **said), self.add(
            "theirs", tuned(*theirs, seed=2), **said
        )


@pytest.fixture
def family(repo: mgit.Repository, request: pytest.FixtureRequest) -> Family:
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")
    return Family(repo, name, repo.add(f"{name}/base", START, layer_graph=GRAPH))


def test_independent_heads_become_one_model_at_once(family: Family) -> None:
    ours, theirs = family.pair(("head_a.weight",), ("head_b.weight",))
    before = family.repo.statistics().stored_bytes
    merge = family.repo.merge(ours, theirs, name=f"{family.name}/merged")
    assert merge.outcome is MergeOutcome.MERGED
    assert merge.model is not None
    assert merge.model.ref == f"{family.name}/merged@1"
    assert (merge.base.ref if merge.base else "") == family.base.ref
    assert [edge.parent_ref for edge in merge.model.parents] == [ours.ref, theirs.ref]
    assert {edge.relation for edge in merge.model.parents} == {mgit.Relation.MERGED}
    assert (merge.conflicts, merge.possible, merge.counts["unchanged"]) == ((), (), 1)
    loaded = merge.model.load()
    np.testing.assert_array_equal(ours.load()["head_a.weight"], loaded["head_a.weight"])
    np.testing.assert_array_equal(theirs.load()["head_b.weight"], loaded["head_b.weight"])
    # A manifest and the graph are all that is new.
    assert family.repo.statistics().stored_bytes - before < 8_192
    assert repr(merge) == f"<merge of {ours.ref} and {theirs.ref} merged as {merge.model.ref}>"


def test_a_conflict_is_named_and_makes_nothing(family: Family) -> None:
    ours, theirs = family.pair(("body.weight", "head_a.weight"), ("body.weight",))
    merge = family.repo.merge(ours, theirs, name=f"{family.name}/merged")
    assert merge.outcome is MergeOutcome.CONFLICTED
    assert not merge.is_made
    [conflict] = merge.unresolved
    assert (conflict.names, conflict.layers, conflict.ours) == (("body.weight",), ("body",), "changed")
    assert conflict.choices == ("ours", "theirs", "average", "task-arithmetic", "ties")
    with pytest.raises(NotFoundError):
        family.repo.get(f"{family.name}/merged")


@pytest.mark.parametrize("choice", ["average", "task-arithmetic"])
def test_a_computed_merge_costs_next_to_nothing(family: Family, choice: str) -> None:
    """The sides are differences to the base themselves here, so that a chunk of the mean rests on several others."""
    ours, theirs = family.pair(NAMES, NAMES)
    told: list[tuple[int, int]] = []
    merge = family.repo.merge(
        ours,
        theirs,
        name=f"{family.name}/merged",
        on_conflict=choice,
        progress=lambda *at: told.append(at),
    )
    assert merge.outcome is MergeOutcome.MERGED
    assert merge.model is not None
    assert 0 < merge.stored_bytes < 0.02 * merge.model.size_bytes
    assert told[-1] == (merge.model.size_bytes, merge.model.size_bytes)
    mine, other, found = ours.load(), theirs.load(), merge.model.load()
    for name in NAMES:
        mean = (mine[name] + other[name]) / np.float32(2)
        tasks = START[name] + ((mine[name] - START[name]) + (other[name] - START[name]))
        np.testing.assert_array_equal(mean if choice == "average" else tasks, found[name])


def test_a_merge_by_ties_costs_next_to_nothing_before_and_after_a_repack(family: Family) -> None:
    ours, theirs = family.pair(NAMES, NAMES)
    merge = family.repo.merge(ours, theirs, name=f"{family.name}/merged", on_conflict="ties")
    assert merge.model is not None
    assert 0 < merge.stored_bytes < 0.02 * merge.model.size_bytes
    before = merge.model.load()
    family.repo.repack(progress=None)
    storage = family.repo.model_statistics(merge.model)
    assert {name for tensor in storage.tensors for name in tensor.predictors} == {"ties"}
    np.testing.assert_equal(merge.model.load(), before)


def test_passing_tests_accept_a_possible_conflict(family: Family) -> None:
    """They run on the staged model, by its uid, and their results stay with the published one."""
    ours, theirs = family.pair(("body.weight",), ("head_b.weight",), type="accepted")
    family.repo.tests.register(f"{family.name}/finite", builtin="finite", type="accepted")
    merge = family.repo.merge(ours, theirs, name=f"{family.name}/merged", jobs=1)
    assert merge.outcome is MergeOutcome.ACCEPTED
    [possible] = merge.possible
    assert (possible.ours, possible.theirs, possible.dependence) == ("body", "head_b", "ours-feeds-theirs")
    assert [run.outcome.value for run in merge.tests] == ["passed"]
    assert merge.model is not None
    found = family.repo.get(f"{family.name}/merged")
    assert (found.uid, found.version) == (merge.model.uid, 1)
    [result] = family.repo.tests.results(f"{family.name}/finite", found)
    assert result.outcome.value == "passed"


def test_a_failing_test_rejects_a_possible_conflict(family: Family) -> None:
    ours, theirs = family.pair(("body.weight",), ("head_b.weight",), type="rejected")
    family.repo.tests.register(f"{family.name}/size", builtin="size", type="rejected", threshold=1.0)
    merge = family.repo.merge(ours, theirs, name=f"{family.name}/merged", jobs=1)
    assert merge.outcome is MergeOutcome.REJECTED
    assert merge.model is None
    assert f"{family.name}/size" in merge.notes[-1]
    with pytest.raises(NotFoundError):
        family.repo.get(f"{family.name}/merged")


def test_without_a_test_a_possible_conflict_may_be_kept_and_decided_later(family: Family) -> None:
    ours, theirs = family.pair(("body.weight",), ("head_b.weight",))
    name = f"{family.name}/merged"
    refused = family.repo.merge(ours, theirs, name=name)
    assert (refused.outcome, refused.model) == (MergeOutcome.REJECTED, None)
    assert "no registered test judges it" in refused.notes[-1]
    kept = [family.repo.merge(ours, theirs, name=name, keep=True) for _ in range(2)]
    assert [merge.outcome for merge in kept] == [MergeOutcome.STAGED] * 2
    first, second = (merge.model for merge in kept)
    assert first is not None
    assert second is not None
    assert first.ref == f"@{first.uid}"
    np.testing.assert_array_equal(ours.load()["body.weight"], first.load()["body.weight"])
    assert family.repo.decide_merge(first, publish=False) is None
    published = family.repo.decide_merge(f"@{second.uid}", publish=True)
    assert published is not None
    assert (published.uid, published.ref) == (second.uid, f"{name}@1")
    with pytest.raises(NotFoundError):
        family.repo.decide_merge(first, publish=True)


def test_a_staged_merge_outlives_a_collection(family: Family) -> None:
    """What was computed for it is in no model yet; it is a root all the same, and so is its manifest."""
    ours, theirs = family.pair(("body.weight",), ("body.weight", "head_b.weight"))
    merge = family.repo.merge(ours, theirs, name=f"{family.name}/merged", on_conflict="average", keep=True)
    assert merge.outcome is MergeOutcome.STAGED
    assert merge.model is not None
    family.repo.gc(grace=timedelta(0), progress=None)
    mean = (ours.load()["body.weight"] + theirs.load()["body.weight"]) / np.float32(2)
    np.testing.assert_array_equal(mean, merge.model.load()["body.weight"])
    published = family.repo.decide_merge(merge.model, publish=True)
    assert published is not None
    np.testing.assert_array_equal(mean, published.load()["body.weight"])


def test_a_possible_conflict_may_be_accepted_without_tests(family: Family) -> None:
    ours, theirs = family.pair(("body.weight",), ("head_b.weight",))
    merge = family.repo.merge(ours, theirs, name=f"{family.name}/merged", accept=True)
    assert merge.outcome is MergeOutcome.MERGED
    assert len(merge.possible) == 1


def test_an_interrupt_while_tests_run_leaves_nothing(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = family.pair(("body.weight",), ("head_b.weight",), type="stopped")
    staged: list[str] = []

    def stop(model: mgit.Model, jobs: int | None, progress: object) -> object:
        del jobs, progress
        staged.append(model.uid)
        raise KeyboardInterrupt

    monkeypatch.setattr(family.repo, "_run_tests", stop)
    with pytest.raises(KeyboardInterrupt):
        family.repo.merge(ours, theirs, name=f"{family.name}/merged")
    with pytest.raises(NotFoundError):
        family.repo.decide_merge(f"@{staged[0]}", publish=True)


def test_the_same_request_id_gives_the_first_answer_again(family: Family) -> None:
    ours, theirs = family.pair(("head_a.weight",), ("head_b.weight",))
    first, again = (
        family.repo.merge(ours, theirs, name=f"{family.name}/merged", request_id=f"{family.name}-1")
        for _ in range(2)
    )
    assert first.model is not None
    assert again.model is not None
    assert (first.model.uid, first.counts, first.outcome) == (again.model.uid, again.counts, again.outcome)


def test_what_cannot_be_merged_is_refused(family: Family) -> None:
    ours, _ = family.pair(("head_a.weight",), ("head_b.weight",))
    stranger = family.repo.add(f"{family.name}/stranger", START)
    name = f"{family.name}/merged"
    refusals = {
        ErrorReason.NO_MERGE_BASE: (ours, stranger),
        ErrorReason.INVALID_ARGUMENT: (ours, ours.ref),
        ErrorReason.MODEL_NOT_FOUND: (ours, f"{family.name}/nobody"),
    }
    for reason, models in refusals.items():
        with pytest.raises((FailedPreconditionError, InvalidArgumentError, NotFoundError)) as caught:
            family.repo.merge(*models, name=name)
        assert caught.value.reason is reason
    with pytest.raises(InvalidArgumentError, match="one of fail, ours"):
        family.repo.merge(ours, stranger, name=name, on_conflict="mine")
    with pytest.raises(InvalidArgumentError, match="scale"):
        family.repo.merge(ours, stranger, name=name, scale=0)
