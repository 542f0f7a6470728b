"""Updates through the SDK, over the real service: every creation function in a process of its own."""

from __future__ import annotations

import os
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.updating_world import UpdatingWorld

import mgit
from mgit.errors import ConflictError, ErrorReason, FailedPreconditionError, InvalidArgumentError
from mgit.updating import CascadeState, LeaveOutReason, StepState, Update, UpdateProgress

pytestmark = pytest.mark.neo4j


@pytest.fixture
def world(
    repo: mgit.Repository, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[UpdatingWorld]:
    """Names of its own in the service of the module, and the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    prefix = f"u{zlib.crc32(request.node.name.encode())}"
    yield UpdatingWorld(repo, tmp_path, prefix)
    for found in list(repo.updates.list()):
        if not found.is_over:
            repo.updates.cancel(found)


def diamond(world: UpdatingWorld) -> None:
    """``left`` and ``right`` from ``base``, ``tip`` from both and from ``words``, which nothing replaces."""
    world.base()
    world.base("words", 1000)
    world.made("left", "base", amount=1)
    world.made("right", "base", amount=2)
    world.made("tip", "left", "right", "words", amount=4)
    world.base(value=10)


def test_a_diamond_is_made_anew_each_model_once_parents_first(world: UpdatingWorld) -> None:
    diamond(world)

    done = world.update(workers=2)

    assert (done.state, done.passed) == (CascadeState.PUBLISHED, True)
    assert world.runs == {"left": 1, "right": 1, "tip": 1}
    assert (world.first("left@2"), world.first("right@2")) == (11, 12)
    assert world.first("tip@2") == 11 + 12 + 1000 + 4
    assert world.parents_of("left@2") == ["base@2"]
    assert world.parents_of("tip@2") == ["left@2", "right@2", "words@1"]
    assert [model.version for model in done.models] == [2, 2, 2]
    parents = done.steps[-1].parents
    assert [parent.ref for parent in parents] == [
        world.ref(each) for each in ("left@2", "right@2", "words@1")
    ]


def test_a_new_model_is_a_version_of_the_old_one_and_takes_over_what_was_said_of_it(
    world: UpdatingWorld,
) -> None:
    world.base()
    old = world.made("task", "base", function="draw", type="classifier")
    world.base(value=1)

    world.update()

    new = world.repo.get(world.ref("task@2"))
    assert new.previous is not None
    assert new.previous.uid == old.uid
    assert (new.type, new.metadata, new.datasets) == ("classifier", {"task": "task"}, old.datasets)
    assert new.creation is not None
    assert old.creation is not None
    assert (new.creation.entry_point, new.creation.seed) == (old.creation.entry_point, 7)
    assert new.creation.source == old.creation.source != ""
    assert "numpy" in new.creation.environment
    expected = np.ones(4, np.float32) + np.random.default_rng(7).standard_normal(4, np.float32)
    assert np.array_equal(new.load(progress=None)["w"], expected)


def test_a_new_model_comes_back_in_the_form_in_which_the_old_one_was_added(
    world: UpdatingWorld, tmp_path: Path
) -> None:
    world.base()
    folder = tmp_path / "task"
    folder.mkdir()
    world.repo.add(world.name("plain"), {"w": np.full(4, 5, np.float32)}, progress=None).save(
        folder / "model.safetensors", progress=None
    )
    (folder / "config.json").write_text('{"heads": 2}')
    world.repo.add(
        world.name("task"),
        folder,
        parents=[mgit.finetuned(world.ref("base"))],
        created_by=f"{world.module}:add",
        arguments={"name": "task"},
        progress=None,
    )
    world.base(value=10)

    world.update()

    back = world.repo.get(world.ref("task@2")).save(tmp_path / "back", progress=None)
    assert sorted(path.name for path in back.iterdir()) == ["config.json", "model.safetensors"]
    assert (back / "config.json").read_text() == '{"heads": 2}'
    again = world.repo.add(world.name("again"), back, progress=None)
    assert again.digest == world.repo.get(world.ref("task@2")).digest


def test_the_shape_of_g2_gets_the_right_parents(world: UpdatingWorld) -> None:
    """Versions and provenance run together: each version of the task was made from the one before it.

    The released code makes v1 anew under the old v2, and v2 under itself.
    """
    world.base()
    world.made("task", "base", amount=1)
    world.made("task", "task@1", amount=2)
    world.made("task", "task@2", amount=4)
    world.base(value=100)

    done = world.update()

    assert done.passed
    assert world.latest(["task"]) == {"task": 6}
    assert world.parents_of("task@4") == ["base@2"]
    assert world.parents_of("task@5") == ["task@4"]
    assert world.parents_of("task@6") == ["task@5"]
    assert [world.first(f"task@{number}") for number in (4, 5, 6)] == [101, 103, 107]
    assert world.runs == {"task": 3}


def test_a_plan_changes_nothing(world: UpdatingWorld) -> None:
    diamond(world)

    plan = world.update(plan=True)

    assert (plan.id, plan.state) == ("", None)
    assert [step.old.name for step in plan.steps][-1] == world.name("tip")
    assert [parent.is_pinned for parent in plan.steps[-1].parents] == [False, False, True]
    assert world.runs == {}
    assert world.latest(["left", "right", "tip"]) == {"left": 1, "right": 1, "tip": 1}
    assert not [each for each in world.repo.updates.list() if each.old.name == world.name("base")]


def test_what_is_not_made_anew_is_listed_with_its_reason(world: UpdatingWorld) -> None:
    diamond(world)
    world.repo.add(
        world.name("by-hand"),
        {"w": np.zeros(4, np.float32)},
        parents=[mgit.finetuned(world.ref("base@1"))],
        progress=None,
    )

    done = world.update(skip=[world.ref("left@1")], stop_at=[world.ref("right@1")])

    reasons = {each.model.name.removeprefix(f"{world.prefix}-"): each.reason for each in done.left_out}
    assert reasons["by-hand"] is LeaveOutReason.NO_CREATION_FUNCTION
    assert reasons["left"] is LeaveOutReason.SKIPPED
    assert reasons["right"] is LeaveOutReason.STOPPED
    assert (done.steps, done.state, world.runs) == ((), CascadeState.PUBLISHED, {})


def test_models_that_one_call_makes_are_made_anew_by_one_call(world: UpdatingWorld) -> None:
    world.base()
    old = world.repo.create_together(
        f"{world.module}:together",
        {
            world.name("one"): [mgit.finetuned(world.ref("base@1"))],
            world.name("two"): [mgit.finetuned(world.ref("base@1"))],
        },
        arguments={"amount": 1},
        progress=None,
    )
    world.base(value=10)
    before = sum(world.runs.values())

    done = world.update()

    assert (done.passed, done.step_count, len(done.steps)) == (True, 1, 2)
    assert sum(world.runs.values()) == before + 1
    one, two = (world.repo.get(world.ref(f"{name}@2")) for name in ("one", "two"))
    assert one.tensors["w"].digest == two.tensors["w"].digest
    assert (world.first("one@2"), world.first("two@2")) == (11, 11)
    assert one.creation is not None
    assert two.creation is not None
    old_one = old[world.name("one")].creation
    assert old_one is not None
    assert one.creation.group == two.creation.group != old_one.group
    assert one.creation.member == world.name("one")


def test_tests_of_the_old_model_of_its_type_and_of_all_run_on_the_new_one(world: UpdatingWorld) -> None:
    world.base()
    old = world.made("task", "base", type=world.name("type"))
    own, shared = world.name("own"), world.name("shared")
    world.repo.tests.register(own, f"{world.module}:first", model=old)
    world.repo.tests.register(shared, f"{world.module}:first_is_small", type=world.name("type"))
    world.base(value=10)

    done = world.update()

    [step] = done.steps
    assert {(result.test_name, result.value) for result in step.tests} == {(own, 11.0), (shared, 1.0)}
    assert done.passed
    results = list(world.repo.tests.results(model=world.ref("task@2")))
    assert {result.test_name for result in results} == {own, shared}


def with_failing_test(world: UpdatingWorld) -> None:
    """The test of ``task`` fails when the base is 1000; ``small`` was made from ``task``."""
    world.base()
    world.made("task", "base", type=world.name("type"))
    world.made("small", "task")
    world.repo.tests.register(
        world.name("low"), f"{world.module}:first_is_small", type=world.name("type"), threshold=1
    )
    world.base(value=1000)


def test_a_failed_test_is_told_and_stops_nothing_unless_it_is_to(world: UpdatingWorld) -> None:
    with_failing_test(world)

    done = world.update()

    assert (done.state, done.passed) == (CascadeState.PUBLISHED, False)
    assert done.steps[0].failed_tests == (world.name("low"),)
    assert world.latest(["task", "small"]) == {"task": 2, "small": 2}


def test_a_failed_test_stops_what_needs_the_model_if_it_is_to(world: UpdatingWorld) -> None:
    with_failing_test(world)

    done = world.update(stop_at_failed_tests=True)

    assert (done.state, [step.state for step in done.steps]) == (
        CascadeState.FAILED,
        [StepState.FAILED, StepState.BLOCKED],
    )
    assert world.runs == {"task": 1}
    assert world.latest(["task", "small"]) == {"task": 1, "small": 1}


def test_what_fails_blocks_what_needs_it_and_nothing_else_and_is_resumed(world: UpdatingWorld) -> None:
    world.base()
    world.made("weak", "base", function="fails")
    world.made("behind", "weak")
    world.made("apart", "base")
    world.base(value=10)
    (world.folder / "broken").touch()

    failed = world.update(max_attempts=2)

    assert failed.state is CascadeState.FAILED
    states = {step.old.name.removeprefix(f"{world.prefix}-"): step.state for step in failed.steps}
    assert states == {"weak": StepState.FAILED, "behind": StepState.BLOCKED, "apart": StepState.DONE}
    [step] = failed.failed
    assert "ValueError: no luck" in step.error
    assert "about to fail" in step.error
    assert world.runs == {"weak": 2, "apart": 1}
    assert world.latest(["weak", "behind", "apart"]) == {"weak": 1, "behind": 1, "apart": 1}

    (world.folder / "broken").unlink()
    done = world.repo.updates.resume(failed, progress=None)

    assert done.passed
    assert world.runs == {"weak": 3, "apart": 1, "behind": 1}
    assert world.latest(["weak", "behind", "apart"]) == {"weak": 2, "behind": 2, "apart": 2}


def test_what_is_done_is_numbered_if_it_is_to_without_what_failed(world: UpdatingWorld) -> None:
    world.base()
    world.made("weak", "base", function="fails")
    world.made("apart", "base")
    world.base(value=10)
    (world.folder / "broken").touch()
    failed = world.update(max_attempts=1)

    again = world.repo.updates.resume(failed, publish="each", progress=None)

    assert again.state is CascadeState.FAILED
    assert world.latest(["weak", "apart"]) == {"weak": 1, "apart": 2}


def test_models_are_numbered_as_they_come_if_they_are_to(world: UpdatingWorld) -> None:
    world.base()
    world.made("early", "base")
    world.made("late", "early", function="fails")
    world.base(value=10)
    (world.folder / "broken").touch()

    failed = world.update(publish="each", max_attempts=1)

    assert failed.state is CascadeState.FAILED
    assert [model.ref for model in failed.models] == [f"{world.name('early')}@2"]
    assert world.latest(["early", "late"]) == {"early": 2, "late": 1}


@pytest.mark.parametrize(
    ("function", "said", "tries"),
    [
        ("hangs", "It did not end within 2 s and was killed", 1),
        ("dies", "exit code 3", 1),
        ("other_shape", "it lacks", 0),
    ],
)
def test_a_function_that_gives_no_fitting_model_fails_its_step(
    world: UpdatingWorld, function: str, said: str, tries: int
) -> None:
    world.base()
    world.made("task", "base", function=function)
    world.base(value=10)

    failed = world.update(max_attempts=1, timeout_s=2.0 if function == "hangs" else None)

    assert failed.state is CascadeState.FAILED
    if tries:
        assert said in failed.failed[0].error
    else:
        assert "made other parameters than" in failed.failed[0].error
        assert "w (float32 [4] became float32 [7])" in failed.failed[0].error
        assert "it adds extra" in failed.failed[0].error
    assert world.latest(["task"]) == {"task": 1}


def test_other_shapes_follow_other_shapes_of_a_parent(world: UpdatingWorld) -> None:
    world.base()
    world.made("follows", "base", function="follows_shape")
    world.made("refuses", "base", function="refuses_shape")
    world.base(value=10, size=6)

    done = world.update(max_attempts=1)

    states = {step.old.name.removeprefix(f"{world.prefix}-"): step for step in done.steps}
    assert states["follows"].state is StepState.DONE
    assert "a head for 4 numbers does not fit 6" in states["refuses"].error


@pytest.mark.parametrize("kind", ["changed", "gone"])
def test_a_function_that_is_not_here_as_it_was_recorded_fails_at_once(
    world: UpdatingWorld, kind: str
) -> None:
    world.base()
    world.made("task", "base")
    world.base(value=10)
    source = world.path.read_text()
    world.path.unlink()
    if kind == "changed":
        world.path.write_text(f"{source}\n# Another one.\n")

    failed = world.update(max_attempts=3)

    [step] = failed.failed
    assert step.attempt == 1
    assert "recipes_" in step.error
    assert world.runs == {}

    world.path.write_text(source)
    assert world.repo.updates.resume(failed, progress=None).passed


def test_an_update_needs_a_newer_version(world: UpdatingWorld) -> None:
    diamond(world)
    with pytest.raises(FailedPreconditionError) as caught:
        world.update("base@2", "base@1")
    assert caught.value.reason is ErrorReason.NOT_A_REVISION
    assert "mgit link" in caught.value.message


def test_two_updates_over_one_model_are_refused_and_the_other_is_named(world: UpdatingWorld) -> None:
    world.base()
    world.made("weak", "base", function="fails")
    world.base(value=10)
    (world.folder / "broken").touch()
    running = world.update(max_attempts=1)

    with pytest.raises(ConflictError) as caught:
        world.update()

    assert caught.value.reason is ErrorReason.CASCADE_OVERLAP
    assert running.id in caught.value.message
    assert world.repo.updates.cancel(running).state is CascadeState.CANCELLED
    (world.folder / "broken").unlink()
    assert world.update().passed


def test_a_newer_version_that_appeared_meanwhile_blocks_until_it_is_published_anyway(
    world: UpdatingWorld,
) -> None:
    world.base()
    world.made("task", "base")
    world.base(value=10)

    def add_one(progress: UpdateProgress) -> None:
        assert progress.state is StepState.DONE
        world.made("task", "base@1", amount=50)

    blocked = world.update(on_step=add_one)

    assert blocked.state is CascadeState.BLOCKED
    assert [model.ref for model in blocked.blocked_by] == [f"{world.name('task')}@2"]
    assert world.repo.updates.resume(blocked, progress=None).state is CascadeState.BLOCKED
    done = world.repo.updates.resume(blocked, anyway=True, progress=None)
    assert [model.ref for model in done.models] == [f"{world.name('task')}@3"]


def test_a_cancelled_update_leaves_nothing(world: UpdatingWorld) -> None:
    world.base()
    world.made("weak", "base", function="fails")
    world.made("apart", "base")
    world.base(value=10)
    (world.folder / "broken").touch()
    failed = world.update(max_attempts=1)

    world.repo.updates.cancel(failed)

    staged = [step.new_uid for step in failed.steps if step.state is StepState.DONE]
    assert len(staged) == 1
    with pytest.raises(mgit.errors.NotFoundError):
        world.repo.get(f"@{staged[0]}").load(progress=None)
    with pytest.raises(ConflictError) as caught:
        world.repo.updates.resume(failed, progress=None)
    assert caught.value.reason is ErrorReason.CASCADE_ENDED


def test_a_staged_model_is_in_no_list_before_it_is_published(world: UpdatingWorld) -> None:
    diamond(world)
    seen: list[int] = []

    def look(_: UpdateProgress) -> None:
        found = [model for model in world.repo.models(world.prefix) if model.version > 1]
        seen.append(len(found))
        assert world.repo.get(world.ref("left")).version == 1
        assert {each.model.version for each in world.repo.descendants(world.ref("base@2"))} <= {1}

    world.update(on_step=look, workers=1)

    assert seen == [1, 1, 1]  # The new base alone.


def test_the_same_request_finds_the_same_update(world: UpdatingWorld) -> None:
    world.base()
    world.made("task", "base")
    world.base(value=10)
    first = world.update(request_id=f"{world.prefix}-1")
    assert world.update(request_id=f"{world.prefix}-1").id == first.id
    assert world.runs == {"task": 1}


def test_progress_counts_steps(world: UpdatingWorld) -> None:
    diamond(world)
    told: list[tuple[int, int]] = []
    world.repo.update(
        world.ref("base@1"), world.ref("base@2"), progress=lambda done, total: told.append((done, total))
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_others_help_with_an_update(world: UpdatingWorld, repo: mgit.Repository) -> None:
    diamond(world)
    for name in ("left", "right"):
        os.mkfifo(world.folder / f"gate-{name}")
    started = threading.Event()
    done: list[Update] = []

    def drive() -> None:
        done.append(world.update(workers=1, on_start=lambda _: started.set()))

    driver = threading.Thread(target=drive)
    driver.start()
    assert started.wait(60)
    [running] = [each for each in repo.updates.list() if each.old.name == world.name("base")]
    for name in ("left", "right"):
        threading.Thread(target=(world.folder / f"gate-{name}").write_bytes, args=(b"",)).start()

    repo.updates.work([running.id])

    driver.join(120)
    assert done[0].passed
    assert world.runs == {"left": 1, "right": 1, "tip": 1}


def test_a_helper_without_anything_to_do_ends_if_it_works_once(repo: mgit.Repository) -> None:
    assert repo.updates.work(once=True) == 0
    with pytest.raises(mgit.errors.NotFoundError):
        repo.updates.work(["0192f3a1-7c4e-7000-8000-000000000000"])


def test_what_is_wrong_is_refused_before_anything_is_kept(world: UpdatingWorld) -> None:
    diamond(world)
    for said in ({"executor": "threads"}, {"workers": 0}, {"publish": "never"}, {"max_attempts": 1000}):
        with pytest.raises(InvalidArgumentError):
            world.update(**said)
    assert world.runs == {}
