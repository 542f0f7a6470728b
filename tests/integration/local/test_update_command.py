"""``mgit update`` and ``mgit worker`` on a real stack."""

from __future__ import annotations

import os
import signal
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.integration.local.command_line import CommandLine, Ended, end_of
from tests.running_service import wait_until
from tests.updating_world import MODULE

pytestmark = pytest.mark.neo4j


class Family:
    """``task`` made from ``base``, which has two versions, and ``small`` from ``task``; names begin with ``prefix``."""

    def __init__(self, mgit: CommandLine, folder: Path, prefix: str) -> None:
        self.mgit, self.folder, self.prefix = mgit, folder, prefix
        self.module = f"made_{prefix}"
        (folder / f"{self.module}.py").write_text(MODULE)
        self.base, self.task, self.small = f"{prefix}-base", f"{prefix}-task", f"{prefix}-small"
        self._add(self.base, 0)
        self._add(self.task, 1, self.base, "fails")
        self._add(self.small, 1, self.task, "add")
        self._add(self.base, 5)

    def _add(self, name: str, value: float, parent: str = "", function: str = "") -> None:
        path = self.folder / f"{name}.safetensors"
        save_file({"w": np.full(4, value, np.float32)}, path)
        made = ["--parent", parent, "--created-by", f"{self.module}:{function}", "--arg", f"name={name}"]
        self.mgit.json("add", str(path), "--name", name, *(made if parent else []))

    def update(self, *options: str) -> Ended:
        return self.mgit.run("update", f"{self.base}@1", f"{self.base}@2", *options)

    def break_(self) -> None:
        (self.folder / "broken").touch()

    def mend(self) -> None:
        (self.folder / "broken").unlink()

    @property
    def runs(self) -> Counter[str]:
        log = self.folder / "runs.log"
        return Counter(log.read_text().split()) if log.exists() else Counter()


@pytest.fixture
def family(
    stack: CommandLine, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Family]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Family(stack, tmp_path, f"c{zlib.crc32(request.node.name.encode())}")
    for each in stack.json("update", "ls")["updates"]:
        if each["state"] not in {"published", "cancelled"}:
            stack.run("update", "cancel", each["id"], "--yes")


def test_a_plan_is_shown_and_nothing_is_done(family: Family) -> None:
    shown = family.update("--plan")
    document = family.update("--plan", "--output", "json").document

    assert shown.code == 0
    assert shown.lines[0].split() == ["STEP", "MODEL", "MADE", "ANEW", "FROM", "BY"]
    assert shown.lines[1].split() == ["0", f"{family.task}@1", f"{family.base}@2", f"{family.module}:fails"]
    assert f"{family.task} (step 0)" in shown.lines[2]
    assert (document["id"], document["state"]) == (None, None)
    assert [step["old"] for step in document["steps"]] == [f"{family.task}@1", f"{family.small}@1"]
    assert family.runs == {}


def test_an_update_makes_all_models_anew(family: Family) -> None:
    done = family.update("--output", "json")

    document = done.document
    assert (done.code, done.err) == (0, "")
    assert document["state"] == "published"
    assert [(step["old"], step["new"], step["state"]) for step in document["steps"]] == [
        (f"{family.task}@1", f"{family.task}@2", "done"),
        (f"{family.small}@1", f"{family.small}@2", "done"),
    ]
    assert family.mgit.json("show", family.small)["parents"][0]["ref"] == f"{family.task}@2"
    shown = family.mgit.run("update", "show", document["id"])
    assert f"Made 2 models anew: {family.task}@2 {family.small}@2." in shown.lines
    assert document["id"] in family.mgit.quiet("update", "ls")


def test_an_update_tells_what_it_does_on_standard_error(family: Family) -> None:
    done = family.update("--yes")
    assert done.lines == [f"Made 2 models anew: {family.task}@2 {family.small}@2."]
    assert "after an interrupt: mgit update resume" in done.err
    assert f"step 0, {family.task}@1: done in" in done.err


def test_nothing_to_do_is_said(family: Family) -> None:
    nothing = family.mgit.run("update", f"{family.base}@1", f"{family.base}@2", "--stop-at", family.task)
    assert nothing.code == 0
    assert nothing.lines[0].startswith("There is nothing to make anew")
    assert any("it lies at or behind a model to stop at" in line for line in nothing.lines)


def test_a_failed_step_is_told_and_the_update_resumed(family: Family) -> None:
    family.break_()
    failed = family.update("--attempts", "1")
    id_ = family.mgit.json("update", "ls")["updates"][0]["id"]

    assert failed.code == 1
    assert f"Step 0, {family.task}@1, failed:" in failed.out
    assert "ValueError: no luck" in failed.out
    assert f"mgit update resume {id_}" in failed.out
    overlapping = family.update("--output", "json")
    assert (overlapping.code, overlapping.error["reason"]) == (4, "CASCADE_OVERLAP")
    assert id_ in overlapping.error["message"]

    family.mend()
    resumed = family.mgit.run("update", "resume", id_, "--output", "quiet")
    assert (resumed.code, resumed.lines) == (0, [f"{family.task}@2", f"{family.small}@2"])


def test_a_cancelled_update_is_over(family: Family) -> None:
    family.break_()
    family.update("--attempts", "1")
    id_ = family.mgit.json("update", "ls")["updates"][0]["id"]
    assert family.mgit.json("update", "cancel", id_)["state"] == "cancelled"
    resumed = family.mgit.run("update", "resume", id_, "--output", "json")
    assert (resumed.code, resumed.error["reason"]) == (4, "CASCADE_ENDED")


def test_models_that_are_no_versions_of_each_other_are_refused_with_what_to_do(family: Family) -> None:
    refused = family.mgit.run("update", f"{family.base}@1", f"{family.small}@1")
    assert refused.code == 4
    assert f"mgit link {family.small}@1 {family.base}@1 --relation revision" in refused.err


def test_an_interrupted_update_gives_its_step_back_and_a_worker_goes_on(family: Family) -> None:
    gate = family.folder / f"gate-{family.small}"
    os.mkfifo(gate)
    client = family.mgit.start("update", f"{family.base}@1", f"{family.base}@2", "--yes", "--workers", "1")
    wait_until(lambda: family.runs[family.small] == 1, "the second function runs")

    client.send_signal(signal.SIGINT)
    ended = end_of(client)
    gate.unlink()

    assert ended.code == 130
    [update] = [each for each in family.mgit.json("update", "ls")["updates"] if each["state"] == "running"]
    step = family.mgit.json("update", "show", update["id"])["steps"][1]
    assert (step["state"], step["error"]) == ("waiting", None)
    helped = family.mgit.json("worker", update["id"], "--once")
    assert [(each["number"], each["state"]) for each in helped["steps"]] == [(1, "done")]
    done = family.mgit.run("update", "resume", update["id"], "--output", "quiet")
    assert (done.code, done.lines) == (0, [f"{family.task}@2", f"{family.small}@2"])
    assert family.runs == {family.task: 1, family.small: 2}


def test_a_worker_without_anything_to_do_says_so(stack: CommandLine) -> None:
    assert stack.run("worker", "--once").lines == ["Left 0 steps."]
    gone = stack.run("worker", "0192f3a1-7c4e-7000-8000-000000000000", "--output", "json")
    assert (gone.code, gone.error["reason"]) == (3, "CASCADE_NOT_FOUND")
