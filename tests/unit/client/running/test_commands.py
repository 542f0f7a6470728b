"""Programs as tests: what they print is a value, or an error that says what came."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from mgit.running.commands import describe_exit, read_printed, run_command
from mgit.running.tasks import RawResult


@pytest.mark.parametrize(
    ("printed", "wanted"),
    [
        (b"0.5\n", RawResult(value=0.5)),
        (b"loss\n 12 \n\n  \n", RawResult(value=12.0)),
        (b"1e-3", RawResult(value=0.001)),
        (b"True\n", RawResult(value=1.0, is_truth=True)),
        (b"x\nfalse", RawResult(value=0.0, is_truth=True)),
    ],
)
def test_the_last_line_with_anything_on_it_is_the_value(printed: bytes, wanted: RawResult) -> None:
    assert read_printed(printed) == wanted


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (b"", "it printed nothing"),
        (b" \n \n", "it printed nothing"),
        (b"0.5\nthe end\n", "found 'the end'"),
        (b"nan\n", "a number is finite; found 'nan'"),
        (b"\xff\xfe\n", "found"),
        (b"9" * 100_000, "found"),
    ],
)
def test_anything_else_is_an_error(printed: bytes, told: str) -> None:
    found = read_printed(printed)
    assert found.value is None
    assert told in found.error
    assert len(found.error) < 300


def run(script: str, folder: Path, **said: object) -> RawResult:
    command = f"{sys.executable} -c {shlex.quote(script)}"
    return run_command(command, folder, {"k": 2}, None, **said)  # type: ignore[arg-type]


def test_a_program_is_told_where_the_model_lies(tmp_path: Path) -> None:
    script = (
        "import json, os; e = os.environ; print(e['MGIT_MODEL']); print('MGIT_INPUTS' in e);"
        "print(json.loads(e['MGIT_ARGUMENTS'])['k'])"
    )
    assert run(script, tmp_path) == RawResult(value=2.0)


def test_the_inputs_of_another_test_are_not_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGIT_INPUTS", "elsewhere")
    assert run("import os; print('MGIT_INPUTS' in os.environ)", tmp_path).value == 0.0


def test_no_shell_reads_the_words(tmp_path: Path) -> None:
    words = f"{sys.executable} -c 'import sys; print(len(sys.argv))' '$HOME' ; '>' file"
    assert run_command(words, tmp_path, {}, None).value == 5.0
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("print(1); raise SystemExit(3)", "ended with exit code 3; 0 was wanted"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "ended with signal SIGTERM"),
    ],
)
def test_a_program_that_ends_badly_has_no_value(tmp_path: Path, script: str, told: str) -> None:
    found = run(script, tmp_path)
    assert found.value is None
    assert told in found.error


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "could not be started: No such file" in run_command("no-such-program", tmp_path, {}, None).error


def test_of_megabytes_the_last_line_counts(tmp_path: Path) -> None:
    script = "import sys\nfor _ in range(50): sys.stdout.write('x' * 100_000 + '\\n')\nprint(7)"
    assert run(script, tmp_path).value == 7.0


@pytest.mark.slow
def test_a_program_that_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
        "time.sleep(1000)"
    )
    # The child holds our pipe open: that this returns shows that it is gone, too.
    assert run(script, tmp_path, timeout_s=1.0).error == "Its program did not end within 1 s and was killed."


def test_ends_have_words() -> None:
    assert [describe_exit(code) for code in (0, 3, -9, -200)] == [
        "exit code 0",
        "exit code 3",
        "signal SIGKILL",
        "signal 200",
    ]
