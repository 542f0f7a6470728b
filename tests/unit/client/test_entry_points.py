"""Functions that a user names: found, read without being run, and called by their signature."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mgit.entry_points import (
    call_by_signature,
    entry_point_of,
    find_function,
    read_module,
    split_entry_point,
    user_modules,
)
from mgit_core.errors import ErrorReason, InvalidArgumentError

REASON = ErrorReason.INVALID_TEST


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in list(sys.modules):
        if name.partition(".")[0] in {"pack_here", "one_here"}:
            del sys.modules[name]


def top_level(_: object) -> float:
    return 1.0


class Holder:
    @staticmethod
    def inner(_: object) -> float:
        return 2.0


@pytest.mark.parametrize("text", ["", "module", "module:", ":function"])
def test_an_entry_point_has_two_parts(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="written MODULE:FUNCTION") as caught:
        split_entry_point(text, "test", REASON)
    assert caught.value.reason is REASON


def test_the_entry_point_of_a_function_finds_it_again() -> None:
    for function in (top_level, Holder.inner):
        assert find_function(entry_point_of(function, "test", REASON), "test", REASON) is function


@pytest.mark.parametrize("function", [lambda _: 1.0, functools.partial(top_level)])
def test_what_no_other_process_can_import_has_no_entry_point(function: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        entry_point_of(function, "test", REASON)


def test_a_function_of_the_main_module_has_no_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_level, "__module__", "__main__")
    with pytest.raises(InvalidArgumentError, match="put it into a module"):
        entry_point_of(top_level, "test", REASON)


def test_a_module_is_read_and_not_run(folder: Path) -> None:
    (folder / "pack_here").mkdir()
    (folder / "pack_here" / "__init__.py").write_text("raise RuntimeError('was run')")
    (folder / "pack_here" / "inner.py").write_text("raise RuntimeError('was run, too')")
    with user_modules():
        assert read_module("pack_here.inner") == b"raise RuntimeError('was run, too')"
        assert read_module("pack_here") == b"raise RuntimeError('was run')"
        assert read_module("pack_here.none") is None
        assert read_module("pack_here.inner.deeper") is None
    assert not [name for name in sys.modules if name.startswith("pack_here")]


def test_a_module_that_is_in_no_file_is_not_read() -> None:
    assert read_module("sys") is None
    assert read_module("no_such_module") is None


def test_a_module_that_fails_is_told(folder: Path) -> None:
    (folder / "one_here.py").write_text("raise RuntimeError('out of luck')")
    with user_modules(), pytest.raises(InvalidArgumentError, match="RuntimeError: out of luck"):
        find_function("one_here:f", "test", REASON)


def test_arguments_go_where_the_signature_has_a_name_for_them() -> None:
    def plain(model: str) -> tuple[object, ...]:
        return (model,)

    def named(model: str, scale: int, *, inputs: str = "none") -> tuple[object, ...]:
        return (model, scale, inputs)

    def everything(model: str, **rest: object) -> tuple[object, ...]:
        return (model, rest)

    optional = {"inputs": "here"}
    assert call_by_signature(plain, "m", {}, optional) == ("m",)
    assert call_by_signature(named, "m", {"scale": 2}, optional) == ("m", 2, "here")
    assert call_by_signature(named, "m", {"scale": 2}, {}) == ("m", 2, "none")
    assert call_by_signature(everything, "m", {"scale": 2}, optional) == ("m", {"scale": 2, "inputs": "here"})
    assert call_by_signature(len, [1, 2], {}, optional) == 2
    with pytest.raises(TypeError):
        call_by_signature(plain, "m", {"scale": 2}, {})
