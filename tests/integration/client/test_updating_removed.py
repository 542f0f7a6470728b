"""A model that an update has published is removed while later steps of it need it as a parent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.updating_world import UpdatingWorld

import mgit
from mgit.updating import CascadeState, StepState, Update

pytestmark = pytest.mark.neo4j


@pytest.fixture
def world(repo: mgit.Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UpdatingWorld:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return UpdatingWorld(repo, tmp_path, "gone")


def states(world: UpdatingWorld, update: Update) -> dict[str, StepState]:
    return {step.old.name.removeprefix(f"{world.prefix}-"): step.state for step in update.steps}


@pytest.mark.slow
def test_a_step_whose_published_parent_was_removed_fails_and_says_so(world: UpdatingWorld) -> None:
    """Nothing half-done stays, another try changes nothing, and a new update makes what is left."""
    world.base()
    world.made("early", "base")
    world.made("late", "early", function="fails")
    world.made("apart", "base", function="fails")
    world.base(value=10)
    (world.folder / "broken").touch()
    stuck = world.update(publish="each", max_attempts=1)
    assert states(world, stuck) == {
        "early": StepState.DONE,
        "late": StepState.FAILED,
        "apart": StepState.FAILED,
    }

    world.repo.remove(f"{world.name('early')}@2")
    (world.folder / "broken").unlink()
    resumed = world.repo.updates.resume(stuck, progress=None)

    assert resumed.state is CascadeState.FAILED
    assert world.latest(["late", "apart"]) == {"late": 1, "apart": 2}
    [failed] = resumed.failed
    assert f"Model {world.name('early')}@2 was removed" in failed.error
    assert f"mgit update cancel {resumed.id}" in failed.error
    runs = world.runs

    again = world.repo.updates.resume(resumed, progress=None)

    assert states(world, again) == {
        "early": StepState.DONE,
        "late": StepState.FAILED,
        "apart": StepState.DONE,
    }
    assert [step.error for step in again.failed] == [failed.error]
    assert world.runs == runs

    world.repo.updates.cancel(again)
    anew = world.update()

    assert anew.passed
    assert world.latest(["early", "late"]) == {"early": 3, "late": 2}
    assert world.parents_of("late") == ["early@3"]
