"""``mgit add --lossy``: what it prints, and what is kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.integration.local.command_line import CommandLine

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]

GUARD = """
import mgit


@mgit.guard(metric="sum", direction="lower", tolerance=1000.0)
def total(model):
    return sum(float(array.sum()) for array in model.load().values())


def broken(model):
    raise LookupError("nothing to measure with")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a guard and two models."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((100, 200), np.float32)
    save_file({"w": base}, tmp_path / "base.safetensors")
    moved = base + rng.standard_normal((100, 200), np.float32) * np.float32(1e-3)
    save_file({"w": moved}, tmp_path / "child.safetensors")
    (tmp_path / "cli_guard.py").write_text(GUARD, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    sys.modules.pop("cli_guard", None)


@pytest.fixture
def base(stack: CommandLine, folder: Path) -> str:
    ref: str = stack.json("add", str(folder / "base.safetensors"), "--name", "loss/base")["ref"]
    return ref


def add(stack: CommandLine, folder: Path, base: str, *options: str) -> Any:
    path = str(folder / "child.safetensors")
    return stack.run("add", path, "--name", "loss/child", "--parent", f"{base}:finetuned", *options)


def test_a_lossy_model_is_added_told_and_shown(stack: CommandLine, folder: Path, base: str) -> None:
    ended = add(stack, folder, base, "--lossy", "k=2", "--guard", "cli_guard:total")
    assert ended.code == 0, ended.err
    [ref] = ended.lines
    assert f"Stored with loss against {base}: k = 2, 1 tensors" in ended.err
    shown = stack.run("show", ref)
    assert "k = 2 against @" in shown.out
    assert "cli_guard:total: sum (lower is better)" in shown.out
    loss = stack.json("show", ref)["loss"]
    assert (loss["method"], loss["strength"]) == ("step", 2.0)
    assert loss["guard"]["tolerance"] == 1000.0
    assert [tensor["name"] for tensor in loss["tensors"]] == ["w"]
    stack.quiet("get", ref, "--to", str(folder / "back.safetensors"))
    error = np.abs(load_file("back.safetensors")["w"] - load_file("child.safetensors")["w"]).max()
    assert 0 < error <= loss["largest_error"]


def test_without_a_guard_the_notes_say_that_nothing_was_lost(
    stack: CommandLine, folder: Path, base: str
) -> None:
    ended = add(stack, folder, base, "--lossy", "eps=1e-4", "--output", "json")
    assert ended.document["notes"] == ["There is no guard for the loss: stored exactly."]
    assert ended.document["loss"] is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--lossy", "much", "--guard", "cli_guard:total"), "INVALID_ARGUMENT"),
        (("--lossy", "k=2", "--guard", "cli_guard:absent"), "INVALID_GUARD"),
        (("--lossy", "k=2", "--guard", "cli_guard:broken"), "INVALID_GUARD"),
        (("--guard", "cli_guard:total"), "INVALID_ARGUMENT"),
    ],
)
def test_wrong_options_are_wrong_usage(
    stack: CommandLine, folder: Path, base: str, options: tuple[str, ...], reason: str
) -> None:
    ended = add(stack, folder, base, *options, "--output", "json")
    assert (ended.code, ended.error["reason"]) == (2, reason)
