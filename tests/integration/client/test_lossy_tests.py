"""Registered tests of a model's type and of all models guard a lossy model that has no other guard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mgit

pytestmark = pytest.mark.neo4j

MODULE = '''
import numpy as np
from pathlib import Path

ORIGINAL = np.load(Path(__file__).with_name("original.npy"))

def nearness(model, bonus=0.0):
    """How far the weights are from the original at most."""
    return float(np.abs(model.load()["w"] - ORIGINAL).max()) + bonus

def is_exact(model):
    return bool((model.tensors["w"][...] == ORIGINAL).all())

def breaks(model):
    raise RuntimeError("no such machine")
'''
BASE = np.random.default_rng(0).standard_normal((300, 300)).astype(np.float32)
CHILD = BASE + np.random.default_rng(1).standard_normal(BASE.shape).astype(np.float32) * np.float32(1e-2)


@pytest.fixture(scope="module")
def base(repo: mgit.Repository) -> mgit.Model:
    return repo.add("guarded-base", {"w": BASE})


@pytest.fixture(autouse=True)
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    np.save(tmp_path / "original.npy", CHILD)
    path = tmp_path / "guards_of_tests.py"
    path.write_text(MODULE)
    yield path
    sys.modules.pop("guards_of_tests", None)


def add(repo: mgit.Repository, base: mgit.Model, name: str, k: float = 2) -> mgit.Model:
    """A lossy model whose type is its name."""
    lossy = mgit.Lossy(k=k)
    return repo.add(name, {"w": CHILD}, parents=[mgit.finetuned(base)], type=name, lossy=lossy)


def notes_of(model: mgit.Model) -> str:
    assert model.addition is not None
    return " ".join(model.addition.notes)


def register(repo: mgit.Repository, name: str, function: str, model_type: str, **said: object) -> None:
    repo.tests.register(name, f"guards_of_tests:{function}", type=model_type, **said)  # type: ignore[arg-type]


def test_without_a_test_nothing_is_lost(repo: mgit.Repository, base: mgit.Model) -> None:
    register(repo, "other-type", "nearness", "another-type", direction="lower", tolerance=1.0)
    repo.tests.register("other-model", builtin="finite", model=base)
    model = add(repo, base, "alone")
    assert model.loss is None
    assert notes_of(model) == "There is no guard for the loss: stored exactly."


def test_every_test_of_the_type_has_to_hold_and_the_nearest_is_recorded(
    repo: mgit.Repository, base: mgit.Model
) -> None:
    register(repo, "wide", "nearness", "both", direction="lower", tolerance=1.0)
    register(repo, "tight", "nearness", "both", direction="lower", tolerance=0.003, metric="distance")
    repo.tests.register("both-finite", builtin="finite", type="both")
    model = add(repo, base, "both")
    assert model.loss is not None
    assert model.loss.strength == 0.5
    guard = model.loss.guard
    assert (guard.entry_point, guard.metric) == ("guards_of_tests:nearness", "distance")
    assert 0 < guard.after <= 0.003
    assert guard.code_digest == repo.tests.get("tight").code_digest
    assert "Guarded by the registered tests of such models: both-finite, tight, wide." in notes_of(model)


def test_a_test_that_never_holds_means_stored_exactly(repo: mgit.Repository, base: mgit.Model) -> None:
    register(repo, "exact", "is_exact", "never-held")
    model = add(repo, base, "never-held")
    assert model.loss is None
    assert "The guard, test exact, did not hold for k = 2 to 0.03125" in notes_of(model)
    assert np.array_equal(model.load()["w"], CHILD)


def test_a_threshold_is_not_crossed_whatever_the_tolerance(repo: mgit.Repository, base: mgit.Model) -> None:
    register(repo, "bounded", "nearness", "crossed", direction="lower", tolerance=1.0, threshold=0.003)
    crossed = add(repo, base, "crossed")
    assert crossed.loss is not None
    assert crossed.loss.strength == 0.5
    # An original that is beyond the threshold already has nothing to cross.
    register(
        repo,
        "beyond",
        "nearness",
        "was-beyond",
        direction="lower",
        tolerance=1.0,
        threshold=0.003,
        arguments={"bonus": 1.0},
    )
    beyond = add(repo, base, "was-beyond")
    assert beyond.loss is not None
    assert beyond.loss.strength == 2.0


def test_built_in_tests_and_programs_guard_too(
    repo: mgit.Repository, base: mgit.Model, tmp_path: Path
) -> None:
    script = (
        "import os, numpy as np, safetensors.numpy as s\n"
        "w = s.load_file(os.environ['MGIT_MODEL'] + '/model.safetensors')['w']\n"
        "print(np.abs(w - np.load('original.npy')).max())\n"
    )
    (tmp_path / "program.py").write_text(script)
    repo.tests.register(
        "program-guard",
        command=f"{sys.executable} program.py",
        type="by-program",
        direction="lower",
        tolerance=0.0065,
    )
    repo.tests.register(
        "drift-guard",
        builtin="drift",
        type="by-program",
        arguments={"reference": "guarded-base"},
        tolerance=0.5,
    )
    model = add(repo, base, "by-program")
    assert model.loss is not None
    assert model.loss.strength == 1.0
    assert model.loss.guard.entry_point == f"command {sys.executable} program.py"


def test_a_test_that_cannot_be_run_here_means_stored_exactly(
    repo: mgit.Repository, base: mgit.Model, checks: Path
) -> None:
    register(repo, "raising", "breaks", "raised")
    raised = add(repo, base, "raised")
    assert raised.loss is None
    assert "Stored exactly. Guard guards_of_tests:breaks" in notes_of(raised)
    assert "RuntimeError: no such machine" in notes_of(raised)
    register(repo, "moved", "nearness", "gone-code")
    checks.unlink()
    gone = add(repo, base, "gone-code")
    assert gone.loss is None
    assert "cannot be run here: stored exactly. The code of test moved is not here" in notes_of(gone)


def test_a_guard_of_the_users_comes_before_all_tests(repo: mgit.Repository, base: mgit.Model) -> None:
    register(repo, "unasked", "is_exact", "own-guard")
    model = repo.add(
        "own-guard",
        {"w": CHILD},
        parents=[base],
        type="own-guard",
        lossy=mgit.Lossy(k=2),
        guard=lambda _: 1.0,
    )
    assert model.loss is not None
    assert "Guarded by the registered tests" not in notes_of(model)
