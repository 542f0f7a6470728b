"""Model tests through the SDK, over the real service: every test in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.running_service import wait_until

import mgit
from mgit.errors import ErrorReason, InvalidArgumentError
from mgit.running import ModelTestRun
from mgit_core.model_tests import ModelTestKind, ModelTestOutcome, ModelTestScope

pytestmark = pytest.mark.neo4j

MODULE = """
import os, signal, subprocess, sys, time
import numpy as np

def mean(model, scale=1.0):
    return float(np.mean(model.load()["w"])) * scale

def is_positive(model):
    return bool((model["w"] > 0).all())

def raises(model):
    raise RuntimeError("out of luck")

def hangs(model):
    print("about to hang")
    while True:
        time.sleep(0.01)

def prints_forever(model):
    while True:
        print("x" * 1000)

def is_nan(model):
    return float("nan")

def text(model):
    return "0.5"

def nothing(model):
    pass

def prints_megabytes(model):
    for _ in range(50):
        print("y" * 100_000)
    print("the end")
    return 1.0

def exits(model):
    sys.exit(3)

def exits_hard(model):
    print("last words", flush=True)
    os._exit(4)

def dies(model):
    os.kill(os.getpid(), signal.SIGKILL)

def writes_loaded(model):
    model.load()["w"][0] = 0
    return 1.0

def writes_lazy(model):
    model.tensors["w"][...][0] = 0
    return 1.0

def copies(model):
    array = np.array(model.tensors["w"])
    array[:] = 1
    return float(array.sum())

def writes_the_answer(model):
    os.write(int(sys.argv[1]), b"no answer\\n")
    return 1.0

def closes_the_answer(model):
    os.close(int(sys.argv[1]))
    return 1.0

def reads_keyboard(model):
    return float(len(sys.stdin.read()))

def leaves_a_child(model):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    print("child", child.pid, flush=True)
    time.sleep(1000)

def knows_what_it_got(model):
    return model.type == "tested" and model.metadata["epochs"] == 3 and list(model) == ["w"] and len(model) == 1
"""


@pytest.fixture(autouse=True)
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module ``checks_here`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "checks_here.py"
    path.write_text(MODULE)
    yield path
    sys.modules.pop("checks_here", None)


@pytest.fixture(scope="module")
def model(repo: mgit.Repository) -> mgit.Model:
    arrays = {"w": np.arange(1, 5, dtype=np.float32)}
    return repo.add("tested", arrays, type="tested", metadata={"epochs": 3})


def run_function(repo: mgit.Repository, model: mgit.Model, function: str, **said: object) -> ModelTestRun:
    name = function.replace("_", "-")
    repo.tests.register(name, f"checks_here:{function}", model=model, **said)  # type: ignore[arg-type]
    [run] = repo.tests.run(name, models=[model])
    return run


def test_a_function_gives_a_value_that_is_judged_and_kept(repo: mgit.Repository, model: mgit.Model) -> None:
    run = run_function(repo, model, "mean", arguments={"scale": 2.0}, threshold=5.0)
    assert run.result.error == ""
    assert (run.result.value, run.outcome, run.is_reused) == (5.0, ModelTestOutcome.PASSED, False)
    [again] = repo.tests.run("mean", models=[model])
    assert (again.result.value, again.outcome, again.is_reused) == (5.0, ModelTestOutcome.PASSED, True)
    [kept] = repo.tests.results("mean")
    assert kept.model is not None
    assert (kept.value, kept.model.ref) == (5.0, model.ref)


def test_a_truth_value_is_judged_without_a_threshold(repo: mgit.Repository, model: mgit.Model) -> None:
    run = run_function(repo, model, "is_positive")
    assert (run.result.value, run.result.is_truth, run.outcome) == (1.0, True, ModelTestOutcome.PASSED)


def test_a_test_gets_the_model_as_the_repository_gives_it(repo: mgit.Repository, model: mgit.Model) -> None:
    assert run_function(repo, model, "knows_what_it_got").outcome is ModelTestOutcome.PASSED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("raises", "raised RuntimeError: out of luck (in raises, checks_here.py, line"),
        ("is_nan", "finite number; it gave nan"),
        ("text", "a number or a truth value; it gave '0.5' of type str"),
        ("nothing", "it gave None of type NoneType"),
        ("exits", "asked for the end of the process: exit code 3"),
        ("exits_hard", "ended before it had a value, with exit code 4"),
        ("dies", "ended before it had a value, with signal SIGKILL"),
        ("writes_the_answer", "the answer was lost"),
        ("closes_the_answer", "ended before it had a value, with exit code 1"),
        ("writes_loaded", "raised ValueError: assignment destination is read-only"),
        ("writes_lazy", "raised ValueError: assignment destination is read-only"),
    ],
)
def test_what_goes_wrong_is_an_error_that_is_kept(
    repo: mgit.Repository, model: mgit.Model, function: str, told: str
) -> None:
    run = run_function(repo, model, function)
    assert told in run.result.error
    assert (run.outcome, run.result.value, run.is_bad) == (ModelTestOutcome.ERROR, None, True)
    name = function.replace("_", "-")
    [kept] = repo.tests.results(name)
    assert kept.error == run.result.error
    [again] = repo.tests.run(name, models=[model])
    assert not again.is_reused


@pytest.mark.slow
@pytest.mark.parametrize("function", ["hangs", "prints_forever"])
def test_a_test_that_does_not_end_is_killed(repo: mgit.Repository, model: mgit.Model, function: str) -> None:
    run = run_function(repo, model, function, timeout_s=3.0)
    assert run.result.error == "It did not end within 3 s and was killed."
    assert run.output.startswith("about to hang" if function == "hangs" else "x")
    assert run.result.seconds >= 3.0


@pytest.mark.slow
def test_what_a_killed_test_had_started_is_gone(repo: mgit.Repository, model: mgit.Model) -> None:
    run = run_function(repo, model, "leaves_a_child", timeout_s=5.0)
    assert "was killed" in run.result.error
    child = int(run.output.split()[1])
    wait_until(lambda: is_gone(child), "the program is gone")


def is_gone(pid: int) -> bool:
    """Whether it ended, though perhaps nobody reaped it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_of_what_a_test_prints_the_end_is_kept(repo: mgit.Repository, model: mgit.Model) -> None:
    run = run_function(repo, model, "prints_megabytes")
    assert run.outcome is ModelTestOutcome.MEASURED
    assert run.output_bytes > 5_000_000
    assert len(run.output) <= 4096
    assert run.output.endswith("the end\n")


def test_last_words_of_a_process_are_kept(repo: mgit.Repository, model: mgit.Model) -> None:
    repo.tests.register("last-words", "checks_here:exits_hard", model=model)
    [run] = repo.tests.run("last-words", models=[model])
    assert run.output == "last words\n"


def test_a_copy_may_be_changed(repo: mgit.Repository, model: mgit.Model) -> None:
    assert run_function(repo, model, "copies").result.value == 4.0


def test_a_test_has_no_keyboard(repo: mgit.Repository, model: mgit.Model) -> None:
    assert run_function(repo, model, "reads_keyboard").result.value == 0.0


@pytest.mark.slow
def test_one_bad_test_hurts_no_other(repo: mgit.Repository) -> None:
    model = repo.add("hurt", {"w": np.ones(3, np.float32)}, type="hurt")
    for function in ("mean", "dies", "raises", "is_positive", "exits_hard"):
        repo.tests.register(f"hurt-{function.replace('_', '-')}", f"checks_here:{function}", type="hurt")
    runs = {run.test.name: run.outcome for run in repo.tests.run("hurt-*", models=[model], jobs=2)}
    bad = {name for name, outcome in runs.items() if outcome is ModelTestOutcome.ERROR}
    assert len(runs) == 5
    assert bad == {"hurt-dies", "hurt-raises", "hurt-exits-hard"}


PROGRAM = """
import json, os, pathlib, sys
import safetensors.numpy
folder = pathlib.Path(os.environ["MGIT_MODEL"])
# One write, which what goes to standard error cannot come between.
os.write(1, f"looking at {sorted(path.name for path in folder.iterdir())}\\n".encode())
weights = safetensors.numpy.load_file(folder / "model.safetensors")
scale = json.loads(os.environ["MGIT_ARGUMENTS"]).get("scale", 1)
bonus = float(pathlib.Path(os.environ["MGIT_INPUTS"]).read_text()) if "MGIT_INPUTS" in os.environ else 0
print("to standard error", file=sys.stderr)
print(weights["w"].sum() * scale + bonus)
print()
"""


def test_a_program_measures_a_model_in_a_folder(
    repo: mgit.Repository, model: mgit.Model, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "bonus.txt").write_text("0.5")
    test = repo.tests.register(
        "program",
        command=f"{sys.executable} program.py",
        model=model,
        arguments={"scale": 3},
        inputs="bonus.txt",
        metric="sum",
    )
    assert (test.kind, test.metric, test.inputs_uri) == (
        ModelTestKind.COMMAND,
        "sum",
        str(tmp_path / "bonus.txt"),
    )
    [run] = repo.tests.run("program", models=[model])
    assert (run.result.error, run.result.value) == ("", 30.5)
    assert "looking at ['model.safetensors']" in run.output
    assert "to standard error" in run.output


def test_a_program_gets_a_folder_as_it_was_added(repo: mgit.Repository, tmp_path: Path) -> None:
    folder = tmp_path / "with-config"
    folder.mkdir()
    repo.add("half-way", {"w": np.ones(2, np.float32)}).save(folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    added = repo.add("with-config", folder)
    (tmp_path / "count.py").write_text("import os; print(len(os.listdir(os.environ['MGIT_MODEL'])))")
    repo.tests.register("count-files", command=f"{sys.executable} count.py", model=added)
    [run] = repo.tests.run("count-files", models=[added])
    assert (run.result.error, run.result.value) == ("", 2.0)


def test_a_test_that_is_registered_says_what_it_is(repo: mgit.Repository) -> None:
    test = repo.tests.register(
        "described", "checks_here:mean", type="tested", direction="lower", tolerance=0.25, dataset="glue@2"
    )
    assert (test.scope, test.type, test.direction, test.tolerance) == (
        ModelTestScope.TYPE,
        "tested",
        "lower",
        0.25,
    )
    assert test.dataset == mgit.Dataset(name="glue", version="2")
    assert repo.tests.get("described") == repo.tests.get(f"@{test.uid}") == test
    assert test in list(repo.tests.list())
    assert repo.tests.remove("described").uid == test.uid
    assert "described" not in [each.name for each in repo.tests.list()]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"entry_point": "nonsense"}, "MODULE:FUNCTION"),
        ({"entry_point": "no_such_module:f"}, "cannot be imported"),
        ({"entry_point": "checks_here:no_such"}, "has no function"),
        ({"entry_point": "checks_here:np"}, "A test is a function"),
        ({"entry_point": "checks_here:time.sleep"}, "stands in module 'time'"),
        ({"entry_point": "checks_here:mean", "arguments": {"scales": 1}}, "does not take"),
        ({"entry_point": "checks_here:mean", "command": "true"}, "entry-point and command"),
        ({}, "none of them"),
        ({"builtin": "no-such"}, "one of finite, finite-in-half"),
        ({"builtin": "size", "arguments": {"dtype": "x"}}, "takes no argument"),
        ({"builtin": "equals"}, "needs argument reference"),
        ({"command": "echo 'unbalanced"}, "split into words"),
        ({"builtin": "finite", "inputs": "no/such/file"}, "inputs of a test are a file or folder"),
        ({"builtin": "finite", "direction": "sideways"}, "higher or lower"),
        ({"builtin": "finite", "threshold": float("nan")}, "threshold"),
        ({"builtin": "finite", "type": "t", "model": "m"}, "found two of them"),
    ],
)
def test_a_test_that_cannot_be_run_is_not_registered(
    repo: mgit.Repository, said: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        repo.tests.register("refused", **said)  # type: ignore[arg-type]
    assert told in caught.value.message
    assert caught.value.reason is ErrorReason.INVALID_TEST


def test_no_process_is_left_behind(repo: mgit.Repository, model: mgit.Model) -> None:
    before = {child.pid for child in psutil.Process(os.getpid()).children()}
    run_function(repo, model, "mean", replace=True)
    assert {child.pid for child in psutil.Process(os.getpid()).children()} <= before


def test_a_program_that_was_registered_elsewhere_runs_only_once_it_is_trusted(
    repo: mgit.Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = repo.add("untrusting", {"w": np.zeros(3, np.float32)})
    repo.tests.register("stranger", command=f"{sys.executable} -c 'print(7)'", model=added)
    monkeypatch.setenv("MGIT_HOME", str(tmp_path / "another"))

    [refused] = repo.tests.run("stranger", models=[added])
    repo.tests.trust("stranger")
    [trusted] = repo.tests.run("stranger", models=[added])

    assert refused.reason is ErrorReason.TEST_NOT_TRUSTED
    assert "mgit test trust stranger" in refused.result.error
    assert (trusted.result.value, trusted.reason) == (7.0, None)
