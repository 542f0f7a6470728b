from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mgit.local.process import ProcessRecord, start_detached, tail, write_private

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)",
]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[list[str]], ProcessRecord]]:
    records: list[ProcessRecord] = []

    def start(command: list[str]) -> ProcessRecord:
        records.append(start_detached(command, os.environ, tmp_path / "log"))
        return records[-1]

    yield start
    for record in records:
        record.stop(0.1)


def wait_for_line(path: Path, word: str) -> None:
    end = time.monotonic() + 20
    while word not in path.read_text(encoding="utf-8"):
        assert time.monotonic() < end, f"{word} never came"


def test_a_started_process_runs_until_it_is_stopped(started: Callable[[list[str]], ProcessRecord]) -> None:
    record = started(SLEEPER)

    assert record.is_running()
    record.stop(10)
    assert not record.is_running()


def test_a_process_that_ignores_the_polite_end_is_killed(
    started: Callable[[list[str]], ProcessRecord], tmp_path: Path
) -> None:
    record = started(STUBBORN)
    wait_for_line(tmp_path / "log", "ready")

    record.stop(0.1)

    assert not record.is_running()


def test_a_recycled_id_is_another_process(started: Callable[[list[str]], ProcessRecord]) -> None:
    record = started(SLEEPER)
    older = ProcessRecord(pid=record.pid, started="12 another-boot")

    assert not older.is_running()
    older.stop(1)
    assert record.is_running()


def test_a_record_is_found_again_while_its_process_runs(
    started: Callable[[list[str]], ProcessRecord], tmp_path: Path
) -> None:
    record = started(SLEEPER)
    record.save(tmp_path / "pid")

    assert ProcessRecord.load(tmp_path / "pid") == record
    os.kill(record.pid, signal.SIGKILL)
    record.stop(10)
    assert ProcessRecord.load(tmp_path / "pid") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": "x", "started": ""}', "\0"])
def test_a_record_that_cannot_be_read_is_no_process(content: str, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(content, encoding="utf-8")

    assert ProcessRecord.load(tmp_path / "pid") is None


def test_a_process_that_only_waits_to_be_reaped_does_not_run() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    record = ProcessRecord(pid=child.pid, started="0")
    assert child.stdout is not None
    child.stdout.read()

    assert not record.is_running()
    child.stdout.close()
    child.returncode = 0


def test_a_detached_process_works_in_the_folder_of_its_log(
    started: Callable[[list[str]], ProcessRecord], tmp_path: Path
) -> None:
    started([sys.executable, "-c", "import os; print(os.getcwd() + ' done')"])

    wait_for_line(tmp_path / "log", "done")
    assert (tmp_path / "log").read_text(encoding="utf-8") == f"{tmp_path} done\n"


def test_a_private_file_is_read_by_its_owner_only(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        write_private(tmp_path / "secret", "word")
    finally:
        os.umask(previous)

    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"{number}\n" for number in range(100)), encoding="utf-8")

    assert tail(tmp_path / "log", 2) == "98\n99"
    assert tail(tmp_path / "missing") == ""
