"""Updates that reach merges: the service merges again what the update made anew."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.updating_world import UpdatingWorld

import mgit
from mgit.adding import NewModel, add_model
from mgit.creation_records import write_creation
from mgit.errors import ConflictError, ErrorReason
from mgit.merging import MergeOutcome
from mgit.progress import ProgressCounter
from mgit.updating import CascadeState, LeaveOutReason, StepState
from mgit.updating.merging import StepMerging, is_merge_step
from mgit.updating.messages import write_options
from mgit.updating.steps import StepWorker, WorkOptions
from mgit.wire import write_parent
from mgit_core.cascade.values import StepLease
from mgit_core.creation import MERGE_ENTRY_POINT
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_core.tensor import AnyArray
from mgit_proto.v1 import cascade_pb2, parameters_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

# Two heads over one body, so that edits of both heads are independent and one of the body is not.
NAMES = ("body", "head_a", "head_b")
GRAPH = LayerGraph(
    layers=tuple(Layer(path=name, kind="Linear", parameters=(name,)) for name in NAMES),
    edges=((0, 1), (0, 2)),
    source=LayerGraphSource.EXPORT,
)


@dataclass
class Merging:
    """A base with two heads and what is made of it, each test under names of its own."""

    world: UpdatingWorld

    @property
    def repo(self) -> mgit.Repository:
        return self.world.repo

    def base(self, value: float = 0.0, *, heads: float | None = None) -> mgit.Model:
        """The next base; its heads may have other numbers than its body."""
        values = [value] + 2 * [value if heads is None else heads]
        weights = {name: np.full(4, values[at] + at, np.float32) for at, name in enumerate(NAMES)}
        return self.repo.add(self.world.ref("base"), weights, layer_graph=GRAPH, progress=None)

    def edit(self, name: str, parent: str, key: str, *, amount: float = 1.0, more: str = "") -> mgit.Model:
        """What the creation function ``edit`` makes, made here: one tensor is another."""
        weights = self.get(parent).load(progress=None)
        return self.repo.add(
            self.world.ref(name),
            {**weights, key: weights[key] + np.float32(amount)},
            parents=[mgit.finetuned(self.world.ref(parent))],
            created_by=f"{self.world.module}:edit",
            arguments={"name": name, "key": key, "amount": amount, "more": more},
            type=self.world.prefix,
            layer_graph=GRAPH,
            progress=None,
        )

    def merge(self, ours: str, theirs: str, name: str, **said: object) -> mgit.Model:
        made = self.repo.merge(
            self.world.ref(ours),
            self.world.ref(theirs),
            name=self.world.ref(name),
            progress=None,
            **said,  # type: ignore[arg-type]
        )
        assert made.model is not None
        return made.model

    def get(self, name: str) -> mgit.Model:
        return self.repo.get(self.world.ref(name))

    def first(self, name: str) -> list[float]:
        loaded = self.get(name).load(progress=None)
        return [float(loaded[key][0]) for key in NAMES]


@pytest.fixture
def merging(
    repo: mgit.Repository, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Merging]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    prefix = f"m{zlib.crc32(request.node.name.encode())}"
    yield Merging(UpdatingWorld(repo, tmp_path, prefix))
    for found in list(repo.updates.list()):
        if not found.is_over:
            repo.updates.cancel(found)


def test_a_merge_follows_its_base_and_what_was_made_of_it_follows_the_merge(merging: Merging) -> None:
    """Base, two fine-tunes, their merge, a fine-tune of the merge: the same, bit for bit, as merged by hand."""
    merging.base()
    merging.edit("ours", "base", "head_a")
    merging.edit("theirs", "base", "head_b", amount=2)
    old = merging.merge("ours", "theirs", "merged")
    merging.edit("tuned", "merged", "body", amount=4)
    merging.base(100)

    done = merging.world.update()

    assert (done.state, done.passed) == (CascadeState.PUBLISHED, True)
    assert [step.entry_point for step in done.steps].count(MERGE_ENTRY_POINT) == 1
    assert merging.world.parents_of("merged@2") == ["ours@2", "theirs@2"]
    assert merging.world.parents_of("tuned@2") == ["merged@2"]
    assert merging.first("merged@2") == [100, 102, 104]
    assert merging.first("tuned@2") == [104, 102, 104]
    by_hand = merging.merge("ours@2", "theirs@2", "by-hand")
    new = merging.get("merged@2")
    assert by_hand.digest == new.digest
    assert by_hand.creation is not None
    assert by_hand.creation == new.creation
    assert by_hand.creation.arguments["base"] == merging.get("base@2").uid
    assert old.creation is not None
    assert old.creation.arguments["base"] == merging.get("base@1").uid
    assert merging.world.runs == {"ours": 1, "theirs": 1, "tuned": 1}


def test_what_was_computed_is_computed_again_with_the_same_choices(merging: Merging) -> None:
    merging.base()
    merging.edit("ours", "base", "body", amount=2)
    merging.edit("theirs", "base", "body", amount=4)
    said = {"on_conflict": "task-arithmetic", "choices": {"head_*": "theirs"}, "scale": 0.5}
    old = merging.merge("ours", "theirs", "merged", **said)
    merging.base(10)

    assert merging.world.update().passed

    assert merging.first("merged@1") == [3, 1, 2]
    assert merging.first("merged@2") == [13, 11, 12]
    by_hand = merging.merge("ours@2", "theirs@2", "by-hand", **said)
    assert by_hand.digest == merging.get("merged@2").digest
    assert [edge.weight for edge in merging.get("merged@2").parents] == [0.5, 0.5]
    assert merging.repo.rebuild(old).outcome == "identical"


def test_a_merge_of_a_merge_follows_too(merging: Merging) -> None:
    merging.base()
    for name, key in (("a", "head_a"), ("b", "head_b"), ("c", "body")):
        merging.edit(name, "base", key)
    merging.merge("a", "b", "ab")
    merging.merge("ab", "c", "abc", accept=True)
    merging.base(10)

    done = merging.world.update(workers=2)

    assert done.passed
    assert merging.first("abc@2") == [11, 12, 13]
    assert merging.world.parents_of("abc@2") == ["ab@2", "c@2"]
    by_hand = merging.merge("ab@2", "c@2", "by-hand", accept=True)
    assert by_hand.digest == merging.get("abc@2").digest


def test_a_side_that_stays_is_compared_with_the_old_base(merging: Merging) -> None:
    """So the result has the update, from the side that followed, and the edit of the side that did not."""
    merging.base()
    merging.edit("ours", "base", "head_a")
    merging.edit("theirs", "base", "head_b", amount=2)
    merging.merge("ours", "theirs", "merged", accept=True)
    merging.base(100, heads=0)

    done = merging.world.update(skip=[merging.world.ref("theirs")])

    assert done.passed
    assert merging.world.parents_of("merged@2") == ["ours@2", "theirs@1"]
    assert merging.first("merged@2") == [100, 2, 4]
    base = merging.world.ref("base@1")
    by_hand = merging.merge("ours@2", "theirs@1", "by-hand", base=base, accept=True)
    assert by_hand.digest == merging.get("merged@2").digest


def test_new_conflicts_fail_the_step_once_and_say_what_to_do(merging: Merging) -> None:
    merging.base()
    merging.edit("ours", "base", "head_a")
    merging.edit("theirs", "base", "head_b", more="head_a", amount=2)
    merging.merge("ours", "theirs", "merged")
    merging.edit("tuned", "merged", "body")
    Path("head_a").touch()
    merging.base(100)

    done = merging.world.update()

    assert done.state is CascadeState.FAILED
    states = {step.old.name.removeprefix(f"{merging.world.prefix}-"): step for step in done.steps}
    failed = states["merged"]
    assert (failed.state, failed.attempt, states["tuned"].state) == (
        StepState.FAILED,
        1,
        StepState.BLOCKED,
    )
    assert "both sides changed 1 of its parameters or files differently" in failed.error
    for told in ("head_a", f"--skip {merging.world.ref('merged')}@1", "--publish each"):
        assert told in failed.error
    merging.repo.updates.cancel(done)

    again = merging.world.update(skip=[merging.world.ref("merged")])

    assert again.passed
    assert merging.world.latest(["ours", "theirs", "merged", "tuned"]) == {
        "ours": 2,
        "theirs": 2,
        "merged": 1,
        "tuned": 1,
    }
    reasons = {LeaveOutReason.SKIPPED, LeaveOutReason.UNCHANGED}
    assert {each.reason for each in again.left_out} == reasons


def dependent(merging: Merging, **said: object) -> None:
    """A merge whose sides may spoil each other, and the next base."""
    merging.base()
    merging.edit("ours", "base", "body")
    merging.edit("theirs", "base", "head_b")
    merging.merge("ours", "theirs", "merged", **said)
    merging.base(100)


def test_tests_accept_a_merge_whose_sides_may_spoil_each_other(merging: Merging) -> None:
    """They run once: for the merge and for the update."""
    register(merging, "good", "body_is_small")
    dependent(merging)

    done = merging.world.update()

    assert done.passed
    [step] = [each for each in done.steps if each.entry_point == MERGE_ENTRY_POINT]
    assert [result.outcome for result in step.tests] == ["passed"]
    assert merging.first("merged@2") == [101, 101, 103]


def test_tests_refuse_one_and_another_result_accepts_it(merging: Merging) -> None:
    """The model stays staged, so that nothing is merged twice."""
    register(merging, "good", "body_is_small")
    dependent(merging)
    register(merging, "strict", "body_is_tiny")

    done = merging.world.update()

    assert done.state is CascadeState.FAILED
    [step] = [each for each in done.steps if each.entry_point == MERGE_ENTRY_POINT]
    assert (step.state, step.attempt) == (StepState.FAILED, 1)
    assert step.failed_tests == (f"{merging.world.prefix}/strict",)
    assert "The merge was not accepted, since 1 of 2 tests did not pass" in step.error
    staged = step.new_uid
    assert staged not in {each.uid for each in merging.repo.staged_merges()}
    merging.repo.tests.remove(f"{merging.world.prefix}/strict")

    done = merging.repo.updates.resume(done, progress=None)

    assert done.state is CascadeState.PUBLISHED
    assert merging.get("merged@2").uid == staged


def test_without_a_test_only_what_was_accepted_is_accepted_again(merging: Merging) -> None:
    dependent(merging, accept=True)
    assert merging.world.update().passed
    assert merging.first("merged@2") == [101, 101, 103]


def test_what_a_person_published_by_hand_needs_a_test_the_next_time(merging: Merging) -> None:
    """Somebody looked at that one model, which says nothing of another."""
    merging.base()
    merging.edit("ours", "base", "body")
    merging.edit("theirs", "base", "head_b")
    staged = merging.merge("ours", "theirs", "merged", keep=True)
    merging.repo.decide_merge(staged, publish=True)
    merging.base(100)

    done = merging.world.update()

    assert done.state is CascadeState.FAILED
    [step] = [each for each in done.steps if each.entry_point == MERGE_ENTRY_POINT]
    assert "no registered test judges it" in step.error
    register(merging, "late", "body_is_small")
    assert merging.repo.updates.resume(done, progress=None).passed


def test_a_worker_elsewhere_merges_without_any_functions(
    merging: Merging, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sides that stand still are merged with an update of a side itself: no creation function runs at all."""
    start = merging.base()
    side = merging.edit("ours", "base", "head_a")
    merging.edit("theirs", "base", "head_b")
    merging.merge("ours", "theirs", "merged")
    weights = {**side.load(progress=None), "head_a": np.full(4, 9, np.float32)}
    merging.repo.add(
        merging.world.ref("ours"), weights, parents=[mgit.finetuned(start)], layer_graph=GRAPH, progress=None
    )
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    done = merging.world.update("ours@1", "ours@2")

    assert done.passed
    assert merging.world.parents_of("merged@2") == ["ours@2", "theirs@1"]
    assert merging.first("merged@2") == [0, 9, 3]


def test_a_worker_that_dies_behind_the_merge_is_followed_by_another(merging: Merging) -> None:
    """What it had merged is published, and what it still sends is refused."""
    merging.base()
    merging.edit("ours", "base", "body", amount=1)
    merging.edit("theirs", "base", "body", amount=3)
    merging.merge("ours", "theirs", "merged", on_conflict="average")
    merging.base(100)
    connection = merging.repo._connection
    options = write_options(merging.world.ref("base@1"), merging.world.ref("base@2"))
    started = connection.cascades.StartCascade(cascade_pb2.StartCascadeRequest(options=options)).cascade
    worker = StepWorker(connection, "dies", WorkOptions(lease_s=1))
    while not is_merge_step(step := worker.take(started.id).step):
        worker.work(started.id, step)
    lease = StepLease(cascade_id=started.id, step=step.number, attempt=step.attempt)
    dead = StepMerging(connection, lease, step.targets[0])
    assert dead.merge() is False

    done = merging.repo.updates.resume(started.id, progress=None)

    assert done.passed
    [merged] = [each for each in done.steps if each.entry_point == MERGE_ENTRY_POINT]
    assert (merged.attempt, merged.new_uid, merged.new_ref) == (
        2,
        step.targets[0].uid,
        merging.world.ref("merged@2"),
    )
    assert merging.first("merged@2") == [102, 101, 102]
    with pytest.raises(ConflictError) as late:
        dead.merge()
    assert late.value.reason is ErrorReason.STEP_LEASE_LOST


def test_a_rebuild_of_a_merge_runs_nobody_s_code(merging: Merging) -> None:
    merging.base()
    merging.edit("ours", "base", "body", amount=1)
    merging.edit("theirs", "base", "body", amount=3)
    model = merging.merge("ours", "theirs", "merged", on_conflict="average")
    before = merging.world.runs

    found = merging.repo.rebuild(model)

    assert (found.outcome, found.is_same, found.tensor_count, found.model.ref) == (
        "identical",
        True,
        3,
        model.ref,
    )
    assert merging.world.runs == before
    assert model.creation is not None
    other = {
        "body": np.zeros(4, np.float32),
        "head_a": np.ones(5, np.float32),
        "extra": np.ones(1, np.float32),
    }
    claimed = claim(merging, other, model)
    found = merging.repo.rebuild(claimed)
    assert found.outcome == "other-parameters"
    assert (found.missing, found.unexpected, [each.name for each in found.differences]) == (
        ("extra",),
        ("head_b",),
        ["body"],
    )
    assert found.reshaped == {"head_a": ("float32 [5]", "float32 [4]")}


def claim(merging: Merging, tensors: dict[str, AnyArray], like: mgit.Model) -> mgit.Model:
    """A model that says it is the same merge as another one, and is not."""
    assert like.creation is not None
    parents = [mgit.Parent(edge.parent_ref, edge.relation) for edge in like.parents]
    header = parameters_pb2.ModelHeader(
        name=merging.world.ref("claimed"),
        parents=map(write_parent, parents),
        creation=write_creation(like.creation),
    )
    new = NewModel(header=header, source=tensors, request_id="")
    added, _ = add_model(merging.repo._connection, new, ProgressCounter(None))
    return merging.repo.get(f"@{added.summary.uid}")


TESTS = """
def body_is_small(model):
    return bool(model["body"][0] < 1000)


def body_is_tiny(model):
    return bool(model["body"][0] < 10)
"""


def register(merging: Merging, name: str, function: str) -> None:
    module = f"tests_{merging.world.module}"
    (merging.world.folder / f"{module}.py").write_text(TESTS)
    merging.repo.tests.register(
        f"{merging.world.prefix}/{name}", f"{module}:{function}", type=merging.world.prefix
    )


def test_merges_that_wait_are_listed(merging: Merging) -> None:
    merging.base()
    merging.edit("ours", "base", "body")
    merging.edit("theirs", "base", "head_b")
    kept = merging.merge("ours", "theirs", "merged", keep=True)
    [found] = [each for each in merging.repo.staged_merges() if each.name == merging.world.ref("merged")]
    refs = [merging.world.ref(name) for name in ("base@1", "ours@1", "theirs@1")]
    assert (found.uid, [found.base, found.ours, found.theirs]) == (kept.uid, refs)
    assert (found.created_at, found.ref) == (kept.created_at, f"@{kept.uid}")
    assert repr(found) == f"<staged merge @{kept.uid} of {refs[1]} and {refs[2]}>"
    assert merging.repo.decide_merge(found.ref, publish=False) is None
    assert found.uid not in {each.uid for each in merging.repo.staged_merges()}


def test_outcomes_stay_as_they_were(merging: Merging) -> None:
    """A record changes nothing of a merge of its own."""
    merging.base()
    merging.edit("ours", "base", "head_a")
    merging.edit("theirs", "base", "head_b")
    made = merging.repo.merge(
        merging.world.ref("ours"),
        merging.world.ref("theirs"),
        name=merging.world.ref("m"),
        progress=None,
    )
    assert (made.outcome, made.notes) == (MergeOutcome.MERGED, ())
