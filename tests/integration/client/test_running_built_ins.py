"""Built-in tests over the real service: what they measure on stored models."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mgit
from mgit.running import ModelTestRun
from mgit_core.model_tests import ModelTestOutcome

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

RNG = np.random.default_rng(3)
BASE = {
    "large": RNG.standard_normal((2500, 2000)).astype(np.float32),  # 20 MB: chunks in two windows.
    "small": np.array([1.0, 0.0, 2.0, 0.0], np.float32),
}
MODULE = """
import numpy as np

def project(model, *, inputs):
    return np.load(inputs) @ model.tensors["large"][:2, :3]
"""


@pytest.fixture(scope="module")
def base(repo: mgit.Repository) -> mgit.Model:
    return repo.add("built-base", BASE)


@pytest.fixture(scope="module")
def broken(repo: mgit.Repository, base: mgit.Model) -> mgit.Model:
    """The last weight overflows in half precision; its metadata claims more zeros than there are."""
    large = BASE["large"].copy()
    large[-1, -1] = 1e6
    arrays = {**BASE, "large": large}
    return repo.add("built-broken", arrays, parents=[mgit.finetuned(base)], metadata={"zeros": 0.9})


@pytest.fixture(autouse=True)
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "project_here.py").write_text(MODULE)
    np.save(tmp_path / "inputs.npy", np.eye(2))
    yield tmp_path
    sys.modules.pop("project_here", None)


def run(repo: mgit.Repository, name: str, model: mgit.Model, **said: object) -> ModelTestRun:
    repo.tests.register(name, model=model, **said)  # type: ignore[arg-type]
    [found] = repo.tests.run(name, models=[model], jobs=1)
    assert found.result.error == ""
    return found


def test_weights_that_overflow_in_half_precision_are_found(
    repo: mgit.Repository, base: mgit.Model, broken: mgit.Model
) -> None:
    repo.tests.register("in-half", builtin="finite-in-half")
    runs = {found.model.name: found for found in repo.tests.run("in-half", models=[base, broken])}
    assert runs["built-base"].outcome is ModelTestOutcome.PASSED
    assert (runs["built-broken"].result.value, runs["built-broken"].outcome) == (
        1.0,
        ModelTestOutcome.FAILED,
    )
    brain = run(repo, "in-brain", broken, builtin="finite-in-half", arguments={"dtype": "bfloat16"})
    assert brain.outcome is ModelTestOutcome.PASSED


def test_a_claimed_sparsity_is_checked(repo: mgit.Repository, broken: mgit.Model) -> None:
    said = {"tensors": "small", "claim": "zeros"}
    found = run(repo, "claimed", broken, builtin="sparsity", arguments=said)
    assert found.result.value == pytest.approx(0.5 - 0.9)
    assert found.outcome is ModelTestOutcome.FAILED


def test_size_is_judged_by_a_threshold(repo: mgit.Repository, base: mgit.Model) -> None:
    found = run(repo, "small-enough", base, builtin="size", threshold=30e6)
    assert (found.result.value, found.outcome) == (base.size_bytes, ModelTestOutcome.PASSED)


def test_a_reference_is_the_version_that_it_was(
    repo: mgit.Repository, base: mgit.Model, broken: mgit.Model
) -> None:
    test = repo.tests.register("same-as", builtin="equals", arguments={"reference": "built-base"})
    assert test.arguments == {"reference": "built-base@1"}
    repo.add("built-base", {"other": np.ones(1)})
    runs = {each.model.name: each.outcome for each in repo.tests.run("same-as", models=[base, broken])}
    assert runs == {"built-base": ModelTestOutcome.PASSED, "built-broken": ModelTestOutcome.FAILED}


def test_drift_of_outputs_and_of_weights(repo: mgit.Repository, broken: mgit.Model, tmp_path: Path) -> None:
    reference = {"reference": "built-base@1"}
    forward = run(
        repo,
        "outputs",
        broken,
        builtin="drift",
        arguments=reference | {"forward": "project_here:project"},
        inputs=tmp_path / "inputs.npy",
        threshold=0.01,
    )
    assert (forward.result.value, forward.outcome) == (0.0, ModelTestOutcome.PASSED)
    weights = run(repo, "weights", broken, builtin="drift", arguments=reference, threshold=0.01)
    wanted = abs(1e6 - BASE["large"][-1, -1]) / np.linalg.norm(BASE["large"].astype(float))
    assert weights.result.value == pytest.approx(wanted, rel=1e-6)
    assert weights.outcome is ModelTestOutcome.FAILED
