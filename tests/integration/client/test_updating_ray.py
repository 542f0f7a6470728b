"""Updates as tasks of a real Ray, which is started once for all of these."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.updating_world import UpdatingWorld

import mgit
from mgit.errors import ErrorReason, FailedPreconditionError
from mgit.running.ray import RayTasks
from mgit.updating import CascadeState, StepState

pytestmark = [
    pytest.mark.neo4j,
    pytest.mark.slow,
    # A start of Ray's that takes too long, and is tried again, leaves it with processes that it does not wait for.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <function Popen:pytest.PytestUnraisableExceptionWarning"
    ),
]

WAIT_S = 60.0


def double(number: int) -> int:
    return 2 * number


def refuse() -> None:
    raise FailedPreconditionError(ErrorReason.CREATION_FAILED, "out of luck")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def tasks() -> Iterator[RayTasks]:
    with RayTasks(None, 2) as started:
        yield started


@pytest.fixture
def world(
    repo: mgit.Repository,
    tasks: RayTasks,  # noqa: ARG001 - started before the current folder is another one
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> UpdatingWorld:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return UpdatingWorld(repo, tmp_path, f"ray{len(list(repo.models('ray')))}")


def test_a_task_gives_what_its_function_gives(tasks: RayTasks) -> None:
    assert tasks.slot_count == 2
    tasks.start(double, 21)
    assert tasks.running_count == 1
    assert tasks.take(WAIT_S) == [42]
    assert (tasks.running_count, tasks.take(WAIT_S)) == (0, [])


def test_an_error_of_ours_stays_what_it_is(tasks: RayTasks) -> None:
    tasks.start(refuse)
    with pytest.raises(FailedPreconditionError) as caught:
        tasks.take(WAIT_S)
    assert (caught.value.reason, caught.value.message) == (ErrorReason.CREATION_FAILED, "out of luck")


def test_a_task_that_dies_gives_nothing_and_others_go_on(tasks: RayTasks) -> None:
    tasks.start(die)
    assert tasks.take(WAIT_S) == [None]
    tasks.start(double, 4)
    assert tasks.take(WAIT_S) == [8]


def test_an_update_is_made_by_tasks(world: UpdatingWorld) -> None:
    world.base()
    world.made("left", "base", amount=1)
    world.made("right", "base", amount=2)
    world.made("tip", "left", "right")
    world.base(value=10)

    done = world.update(executor="ray", workers=2)

    assert (done.passed, world.runs) == (True, {"left": 1, "right": 1, "tip": 1})
    assert world.first("tip@2") == 11 + 12 + 1
    assert world.parents_of("tip@2") == ["left@2", "right@2"]
    assert all(f":{os.getpid()}:" not in step.worker for step in done.steps)


def test_a_merge_is_made_again_by_a_task(world: UpdatingWorld) -> None:
    world.base()
    world.made("left", "base", amount=1)
    world.made("right", "base", amount=3)
    sides = world.ref("left"), world.ref("right")
    world.repo.merge(*sides, name=world.ref("tip"), on_conflict="average", accept=True, progress=None)
    world.base(value=10)

    done = world.update(executor="ray", workers=2)

    assert (done.passed, world.runs) == (True, {"left": 1, "right": 1})
    assert world.first("tip@2") == (11 + 13) / 2
    assert world.parents_of("tip@2") == ["left@2", "right@2"]


def test_what_fails_at_ray_is_told(world: UpdatingWorld) -> None:
    world.base()
    world.made("weak", "base", function="fails")
    world.base(value=10)
    (world.folder / "broken").touch()

    failed = world.update(executor="ray", max_attempts=1)

    assert failed.state is CascadeState.FAILED
    assert "ValueError: no luck" in failed.failed[0].error


def test_an_interrupt_gives_back_the_steps_at_ray(world: UpdatingWorld, repo: mgit.Repository) -> None:
    world.base()
    world.made("task", "base")
    world.base(value=10)
    gate = world.folder / "gate-task"
    os.mkfifo(gate)

    def interrupt() -> None:
        with gate.open("wb"):  # Opens when the function stands there.
            os.kill(os.getpid(), signal.SIGINT)
            gone.wait(WAIT_S)

    gone = threading.Event()
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        world.update(executor="ray")
    gone.set()
    thread.join(WAIT_S)
    gate.unlink()

    running = next(repo.updates.list())
    assert repo.updates.get(running).steps[0].state is StepState.WAITING
    assert repo.updates.resume(running, progress=None).passed
    assert world.runs == {"task": 2}


def test_who_lacks_ray_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FailedPreconditionError) as caught:
        RayTasks(None, 1)
    assert caught.value.reason is ErrorReason.FRAMEWORK_MISSING
    assert "pip install mgit-lineage[ray]" in caught.value.message
