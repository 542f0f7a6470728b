"""``mgit test`` against a real service."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.integration.local.command_line import CommandLine, end_of
from tests.running_service import RunningService, wait_until

import mgit

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


@pytest.fixture
def mgit_command(service: RunningService, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home", {"MGIT_ADDRESS": service.address})


@pytest.fixture(scope="module")
def family(repo: mgit.Repository) -> None:
    base = repo.add("cli-base", {"w": np.ones(4, np.float32)})
    bad = repo.add("cli-bad", {"w": np.array([1, np.nan], np.float32)}, parents=[mgit.finetuned(base)])
    repo.add("cli-worse", {"w": np.array([np.inf, np.nan], np.float32)}, parents=[mgit.finetuned(bad)])


@pytest.mark.usefixtures("family")
def test_tests_are_registered_run_looked_at_and_removed(mgit_command: CommandLine) -> None:
    registered = mgit_command.json("test", "register", "cli-finite", "--builtin", "finite", "--for-all")
    assert (registered["name"], registered["scope"], registered["threshold"]) == ("cli-finite", "all", 0.0)
    taken = mgit_command.run("test", "register", "cli-finite", "--builtin", "size", "--for-all")
    assert taken.code == 4

    first = mgit_command.run("test", "run", "cli-finite")
    assert first.code == 1
    table = first.out.splitlines()
    assert [line.split()[:4] for line in table[1:4]] == [
        ["FAILED", "cli-finite", "cli-bad@1", "1"],
        ["FAILED", "cli-finite", "cli-worse@1", "2"],
        ["passed", "cli-finite", "cli-base@1", "0"],
    ]
    assert table[-1] == "1 test on 3 models: 1 passed, 2 failed."

    good = mgit_command.json("test", "run", "cli-*", "--over", "cli-base")
    [result] = good["results"]
    assert (result["ref"], result["test"], result["value"]) == ("cli-base@1", "cli-finite", 0.0)
    assert (result["passed"], result["reused"]) == (True, True)

    below = mgit_command.run("test", "run", "--descendants-of", "cli-base", "--output", "quiet")
    assert (below.code, below.out.split()) == (1, ["cli-bad@1", "cli-worse@1"])

    kept = mgit_command.json("test", "results", "cli-finite", "--limit", "2")
    assert (len(kept["results"]), kept["truncated"]) == (2, True)
    assert mgit_command.quiet("test", "results", "cli-finite", "--of", "cli-bad") == ["cli-bad@1"]

    assert mgit_command.quiet("test", "ls") == ["cli-finite"]
    assert mgit_command.quiet("test", "rm", "cli-finite", "--yes") == ["cli-finite"]
    assert mgit_command.json("test", "ls") == {"tests": []}


@pytest.mark.usefixtures("family")
def test_an_error_is_shown_with_what_was_printed(mgit_command: CommandLine) -> None:
    command = "sh -c 'echo working; echo no number'"
    mgit_command.json("test", "register", "cli-odd", "--command", command, "--for", "cli-base")
    found = mgit_command.run("test", "run", "cli-odd", "--over", "cli-base")
    assert found.code == 1
    assert "cli-odd on cli-base@1: The last line that a test's program prints is a number" in found.out
    assert "  | working" in found.out
    assert found.out.splitlines()[-1] == "1 test on 1 model: 1 could not be run."


@pytest.mark.usefixtures("family")
def test_a_pattern_that_fits_nothing_is_no_success(mgit_command: CommandLine) -> None:
    missing = mgit_command.run("test", "run", "no-such-*", "--output", "json")
    assert (missing.code, missing.error["reason"]) == (3, "TEST_NOT_FOUND")


@pytest.mark.parametrize(
    "arguments",
    [
        ("register", "x", "--builtin", "finite"),
        ("register", "x", "--builtin", "finite", "--for-all", "--for-type", "t"),
        ("register", "x", "--for-all"),
        ("register", "x", "--builtin", "finite", "--command", "true", "--for-all"),
        ("register", "x", "--builtin", "finite", "--for-all", "--timeout", "soon"),
        ("register", "x", "--builtin", "sparsity", "--for-all", "--arg", "claim"),
        ("run", "--jobs", "0"),
    ],
)
def test_wrong_values_are_wrong_usage(mgit_command: CommandLine, arguments: tuple[str, ...]) -> None:
    assert mgit_command.run("test", *arguments).code == 2


HANGING = """
import os, time
from pathlib import Path

def hangs(model):
    Path("begun.new").write_text(str(os.getpid()))
    os.rename("begun.new", "begun.txt")
    time.sleep(1000)
"""


def is_gone(process: psutil.Process) -> bool:
    """Whether it ended, though perhaps nobody reaped it yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_test_outlives_the_command_that_runs_it(
    mgit_command: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hanging_here.py").write_text(HANGING)
    name = f"cli-hangs-{number.name.lower()}"
    mgit_command.json("test", "register", name, "--entry-point", "hanging_here:hangs", "--for", "cli-base")
    process = mgit_command.start("test", "run", name)
    begun = tmp_path / "begun.txt"
    wait_until(lambda: begun.exists() or process.poll() is not None, "the test begins")
    worker = psutil.Process(int(begun.read_text()))
    process.send_signal(number)
    ended = end_of(process)
    assert ended.code == (130 if number is signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in ended.err
    wait_until(lambda: is_gone(worker), "its process is gone")
    assert mgit_command.json("test", "results", name) == {"results": [], "truncated": False}
