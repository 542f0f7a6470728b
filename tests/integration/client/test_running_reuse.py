"""Known results are reused, and only where code, inputs and parameters are the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mgit
from mgit.errors import ErrorReason, NotFoundError
from mgit.running import ModelTestRun, RunOptions, plan_tests, run_tests
from mgit_core.model_tests import ModelTestOutcome

pytestmark = pytest.mark.neo4j

# Each run leaves a line, so that what ran can be counted.
MODULE = """
from pathlib import Path

def count(name):
    with open("ran.txt", "a") as file:
        file.write(name + "\\n")

def mean(model):
    count(model.ref)
    return float(model.load()["w"].mean())

def reads(model, *, inputs):
    count(model.ref)
    return float(inputs.read_text())

def scaled(model, factor):
    count(model.ref)
    return factor
"""


@pytest.fixture(autouse=True)
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "checks_here.py"
    path.write_text(MODULE)
    yield path
    sys.modules.pop("checks_here", None)


def ran() -> list[str]:
    path = Path("ran.txt")
    return path.read_text().splitlines() if path.exists() else []


def add(repo: mgit.Repository, name: str, value: float, **said: object) -> mgit.Model:
    return repo.add(name, {"w": np.full(10, value, np.float32)}, **said)  # type: ignore[arg-type]


def values(runs: list[ModelTestRun]) -> dict[str, float | None]:
    return {run.model.ref: run.result.value for run in runs}


@pytest.mark.slow
def test_a_second_sweep_over_twenty_models_runs_nothing(repo: mgit.Repository) -> None:
    models = [add(repo, f"sweep-{number}", number, type="swept") for number in range(20)]
    repo.tests.register("sweep-mean", "checks_here:mean", type="swept", threshold=10.0)
    first = list(repo.tests.run("sweep-*", models=models, jobs=2))
    assert sorted(ran()) == sorted(model.ref for model in models)
    assert values(first) == {model.ref: float(number) for number, model in enumerate(models)}
    assert sum(run.outcome is ModelTestOutcome.PASSED for run in first) == 10

    told: list[tuple[int, int]] = []
    again = list(repo.tests.run("sweep-*", models=models, progress=lambda *at: told.append(at)))
    assert len(ran()) == 20
    assert all(run.is_reused for run in again)
    assert values(again) == values(first)
    assert told == [(done, 20) for done in range(21)]

    anew = list(repo.tests.run("sweep-*", models=models[:2], rerun=True))
    assert len(ran()) == 22
    assert not any(run.is_reused for run in anew)


def test_a_stopped_sweep_goes_on_where_it_was(repo: mgit.Repository) -> None:
    models = [add(repo, f"stop-{number}", number, type="stopped") for number in range(6)]
    repo.tests.register("stop-mean", "checks_here:mean", type="stopped")
    running = repo.tests.run("stop-mean", models=models, jobs=1)
    done = [next(running), next(running)]
    running.close()  # type: ignore[attr-defined]
    rest = list(repo.tests.run("stop-mean", models=models, jobs=1))
    assert {run.model.ref for run in done} <= {run.model.ref for run in rest if run.is_reused}
    assert values(rest) == {model.ref: float(number) for number, model in enumerate(models)}


def test_a_model_of_equal_parameters_needs_no_run(repo: mgit.Repository) -> None:
    one, other = add(repo, "equal-one", 7.0), add(repo, "equal-other", 7.0)
    repo.tests.register("equal-mean", "checks_here:mean")
    list(repo.tests.run("equal-mean", models=[one]))
    [run] = repo.tests.run("equal-mean", models=[other])
    assert (run.is_reused, run.model.ref, run.result.value) == (True, "equal-other@1", 7.0)
    assert ran() == ["equal-one@1"]
    # Both have the result now, and keep the one that they have.
    list(repo.tests.run("equal-mean", models=[one, other]))
    assert [each.value for each in repo.tests.results("equal-mean", one)] == [7.0]
    assert [each.value for each in repo.tests.results("equal-mean", other)] == [7.0]
    assert ran() == ["equal-one@1"]


def test_another_threshold_judges_what_is_known_anew(repo: mgit.Repository) -> None:
    model = add(repo, "judged", 5.0)
    repo.tests.register("judged", "checks_here:mean", model=model, threshold=1.0)
    [before] = repo.tests.run("judged", models=[model])
    repo.tests.register("judged", "checks_here:mean", model=model, threshold=9.0, replace=True)
    [after] = repo.tests.run("judged", models=[model])
    assert (before.outcome, after.outcome) == (ModelTestOutcome.PASSED, ModelTestOutcome.FAILED)
    assert after.is_reused


def test_other_arguments_are_another_test(repo: mgit.Repository) -> None:
    model = add(repo, "argued", 5.0)
    repo.tests.register("argued", "checks_here:scaled", model=model, arguments={"factor": 1.0})
    list(repo.tests.run("argued", models=[model]))
    repo.tests.register("argued", "checks_here:scaled", model=model, arguments={"factor": 2.0}, replace=True)
    [run] = repo.tests.run("argued", models=[model])
    assert (run.is_reused, run.result.value) == (False, 2.0)


@pytest.mark.parametrize("change", ["edit", "remove"])
def test_code_that_changed_or_moved_is_told_and_stops_nothing_else(
    repo: mgit.Repository, checks: Path, change: str
) -> None:
    model = add(repo, f"code-{change}", 3.0, type=f"code-{change}")
    repo.tests.register(f"code-{change}", "checks_here:mean", type=f"code-{change}")
    repo.tests.register(f"code-{change}-size", builtin="size", type=f"code-{change}")
    list(repo.tests.run(f"code-{change}", models=[model]))
    if change == "edit":
        checks.write_text(MODULE.replace(".mean()", ".max()"))
    else:
        checks.unlink()
    runs = {run.test.name: run for run in repo.tests.run(f"code-{change}*", models=[model])}
    changed, size = runs[f"code-{change}"], runs[f"code-{change}-size"]
    assert (changed.reason, changed.outcome) == (ErrorReason.TEST_CODE_CHANGED, ModelTestOutcome.ERROR)
    assert f"mgit test register code-{change} --replace" in changed.result.error
    assert size.result.value == 40.0
    # What never ran is no result of the model.
    assert [each.value for each in repo.tests.results(f"code-{change}")] == [3.0]


def test_code_that_is_registered_again_runs_again(repo: mgit.Repository, checks: Path) -> None:
    model = add(repo, "again", 3.0)
    repo.tests.register("again", "checks_here:mean", model=model)
    list(repo.tests.run("again", models=[model]))
    checks.write_text(MODULE.replace("return float(model", "return 2 * float(model"))
    sys.modules.pop("checks_here", None)
    repo.tests.register("again", "checks_here:mean", model=model, replace=True)
    [run] = repo.tests.run("again", models=[model])
    assert (run.is_reused, run.result.value) == (False, 6.0)
    checks.write_text(MODULE)
    sys.modules.pop("checks_here", None)
    repo.tests.register("again", "checks_here:mean", model=model, replace=True)
    [back] = repo.tests.run("again", models=[model])
    assert (back.is_reused, back.result.value) == (True, 3.0)


@pytest.mark.parametrize("change", ["edit", "remove"])
def test_inputs_that_changed_are_told(repo: mgit.Repository, tmp_path: Path, change: str) -> None:
    inputs = tmp_path / "inputs.txt"
    inputs.write_text("1.5")
    model = add(repo, f"inputs-{change}", 3.0)
    repo.tests.register(f"inputs-{change}", "checks_here:reads", model=model, inputs=inputs)
    [run] = repo.tests.run(f"inputs-{change}", models=[model])
    assert run.result.value == 1.5
    if change == "edit":
        inputs.write_text("2.5")
    else:
        inputs.unlink()
    [changed] = repo.tests.run(f"inputs-{change}", models=[model])
    assert (changed.reason, changed.outcome) == (ErrorReason.TEST_INPUTS_CHANGED, ModelTestOutcome.ERROR)
    assert "--inputs" in changed.result.error


def test_a_test_meets_the_models_of_its_type_that_come_later(repo: mgit.Repository) -> None:
    repo.tests.register("later-mean", "checks_here:mean", type="later")
    model = add(repo, "later", 4.0, type="later")
    add(repo, "later-other", 4.0, type="never")
    runs = list(repo.tests.run("later-*"))
    assert values(runs) == {model.ref: 4.0}


def test_a_model_that_is_removed_meanwhile_is_told_and_the_others_are_kept(repo: mgit.Repository) -> None:
    models = [add(repo, f"going-{number}", number, type="going") for number in range(3)]
    repo.tests.register("going-mean", "checks_here:mean", type="going")
    pairs = plan_tests(repo._connection, models, "going-mean")
    repo.remove(models[1])
    runs = {run.model.name: run for run in run_tests(repo._connection, pairs, RunOptions(jobs=1))}
    assert {name: run.outcome for name, run in runs.items()} == {
        "going-0": ModelTestOutcome.MEASURED,
        "going-1": ModelTestOutcome.ERROR,
        "going-2": ModelTestOutcome.MEASURED,
    }
    assert len(list(repo.tests.results("going-mean"))) == 2


def test_what_is_not_there_is_told(repo: mgit.Repository) -> None:
    with pytest.raises(NotFoundError) as caught:
        repo.tests.get("no-such-test")
    assert caught.value.reason is ErrorReason.TEST_NOT_FOUND
    with pytest.raises(NotFoundError) as caught:
        list(repo.tests.run(models=["no-such-model"]))
    assert caught.value.reason is ErrorReason.MODEL_NOT_FOUND
