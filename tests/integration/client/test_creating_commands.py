"""``mgit create``, ``mgit rebuild`` and what ``mgit add`` and ``mgit show`` say of creation functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.integration.local.command_line import CommandLine
from tests.running_service import RunningService

import mgit

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

MODULE = """
import time

def scale(parents, *, factor=0.5, label="", seed=0):
    print("scaling", label)
    return {name: array * factor for name, array in parents[0].load(progress=None).items()}

def hangs(parents):
    print("about to hang", flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def mgit_command(service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes_there.py").write_text(MODULE)
    return CommandLine(tmp_path / "home", {"MGIT_ADDRESS": service.address})


@pytest.fixture(scope="module")
def base(repo: mgit.Repository) -> mgit.Model:
    return repo.add("making/base", {"w": np.arange(4, dtype=np.float64)})


@pytest.mark.usefixtures("base")
def test_a_model_is_made_shown_and_made_again(mgit_command: CommandLine) -> None:
    words = ["recipes_there:scale", "--name", "making/half", "--parent", "making/base:pruned"]
    made = mgit_command.run("create", *words, "--arg", "factor=0.25", "--arg", "label=a b", "--seed", "3")
    assert (made.code, made.out) == (0, "making/half@1\n")
    assert made.err.startswith("scaling a b\n32 B of tensors")

    shown = mgit_command.json("show", "making/half")
    assert shown["creation"]["function"] == "recipes_there:scale"
    assert shown["creation"]["arguments"] == {"factor": 0.25, "label": "a b"}
    assert (shown["creation"]["seed"], shown["creation"]["group"]) == (3, None)
    told = mgit_command.run("show", "making/half").out
    for line in ("created by", "argument    factor=0.25", "seed        3", "made with"):
        assert line in told

    again = mgit_command.run("rebuild", "making/half")
    assert (again.code, again.out.splitlines()[0]) == (
        0,
        "making/half@1: identical, bit for bit, in 1 tensors",
    )
    document = mgit_command.json("rebuild", "making/half@1")
    assert (document["outcome"], document["is_same"], document["others"]) == ("identical", True, [])


@pytest.mark.usefixtures("base")
def test_a_model_that_is_made_otherwise_ends_with_code_1(mgit_command: CommandLine, tmp_path: Path) -> None:
    save_file({"w": np.array([0, 0.5, 1, 1.25])}, tmp_path / "m.safetensors")
    words = ["m.safetensors", "--name", "making/claimed", "--parent", "making/base"]
    assert mgit_command.run("add", *words, "--created-by", "recipes_there:scale").code == 0

    different = mgit_command.run("rebuild", "making/claimed")
    assert different.code == 1
    assert "making/claimed@1: different in 1 of 1 tensors" in different.out
    assert "w          0.25       0.2" in different.out
    near = mgit_command.run("rebuild", "making/claimed", "--tolerance", "0.25", "--output", "quiet")
    assert (near.code, near.out) == (0, "within-tolerance\n")

    (tmp_path / "recipes_there.py").write_text(MODULE.replace("0.5", "0.75"))
    changed = mgit_command.run("rebuild", "making/claimed")
    assert changed.code == 4
    assert "is another one here than was recorded" in changed.err
    assert mgit_command.run("rebuild", "making/claimed", "--any-source").code == 1


@pytest.mark.usefixtures("base")
def test_a_function_that_hangs_is_given_up(mgit_command: CommandLine) -> None:
    words = ["recipes_there:hangs", "--name", "making/never", "--parent", "making/base", "--timeout", "1s"]
    done = mgit_command.run("create", *words)
    assert done.code == 4
    assert "about to hang\n" in done.err
    assert "did not end within 1 s and was killed" in done.err
    assert mgit_command.run("show", "making/never").code == 3


def test_wrong_words_are_told(mgit_command: CommandLine, base: mgit.Model) -> None:
    assert mgit_command.run("create", "nonsense", "--name", "m").code == 2
    assert mgit_command.run("create", "recipes_there:no_such", "--name", "m").code == 2
    assert mgit_command.run("rebuild", base.ref).code == 4
    assert mgit_command.run("rebuild", "making/nobody").code == 3
    assert mgit_command.run("rebuild", base.ref, "--tolerance", "-1").code == 2


def test_files_of_a_parent_are_taken_over_unless_they_are_not_wanted(
    mgit_command: CommandLine, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    save_file({"w": np.ones(3, np.float32)}, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("a b\n")
    base = mgit_command.json("add", str(folder), "--name", "making/folder")
    words = ["create", "recipes_there:scale", "--parent", "making/folder:pruned", "--name"]
    like = mgit_command.run(*words, "making/like")
    assert "It has the same parameters as making/folder@1 and takes over its files." in like.err
    assert mgit_command.json("show", "making/like")["files_digest"] == base["files_digest"]
    alone = mgit_command.json(*words, "making/alone", "--no-files")
    assert (alone["notes"], alone["files_digest"] == base["files_digest"]) == ([], False)
