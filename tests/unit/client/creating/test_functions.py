"""What may be a creation function, and what is recorded of its call."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mgit
from mgit.creating.functions import CreationSaid, check_source, record_creation
from mgit.creation_records import read_creation, write_creation
from mgit_core.creation import MAX_SOURCE_BYTES, CreationRecord
from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError

BLAKE3 = DigestAlgorithm.BLAKE3
MODULE = """
import functools
import mgit
from os.path import join

@mgit.creation_function
def finetune(parents, *, epochs: int, seed: int, rate=0.1):
    return {}

def seedless(parents, epochs=1):
    return {}

def anything(parents, **said):
    return {}

def no_parents():
    return {}

class Maker:
    def make(self, parents):
        return {}
    @staticmethod
    def still(parents):
        return {}

def wrapping(function):
    @functools.wraps(function)
    def wrapped(*given, **said):
        return function(*given, **said)
    return wrapped

@wrapping
def wrapped(parents, *, seed):
    return {}

NUMBER = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module ``makers_here``, imported from the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "makers_here.py").write_text(MODULE)
    importlib.invalidate_caches()
    yield importlib.import_module("makers_here")
    sys.modules.pop("makers_here", None)


def record(function: Any, seed: int | None = None, **arguments: object) -> CreationRecord:
    return record_creation(CreationSaid(function=function, arguments=arguments, seed=seed), BLAKE3)


def refuse(
    function: Any, seed: int | None = None, said: dict[str, object] | None = None, **arguments: object
) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        record_creation(
            CreationSaid(function=function, arguments=arguments | (said or {}), seed=seed), BLAKE3
        )
    assert caught.value.reason is ErrorReason.INVALID_CREATION
    return caught.value.message


def test_a_function_and_its_name_are_recorded_alike(module: Any) -> None:
    given = record(module.finetune, 3, epochs=2)
    named = record("makers_here:finetune", 3, epochs=2)
    assert (given.entry_point, given.seed, given.arguments) == ("makers_here:finetune", 3, {"epochs": 2})
    assert (given.code_digest, given.source) == (named.code_digest, MODULE)
    assert (given.group, given.member) == ("", "")


def test_of_a_function_that_is_here_it_is_known_what_it_ran_with(module: Any) -> None:
    assert record(module.finetune, epochs=2).environment["numpy"] == np.__version__
    assert record("makers_here:finetune", epochs=2).environment == {}


def test_a_function_with_a_seed_gets_one(module: Any) -> None:
    assert record(module.finetune, epochs=1).seed == 0
    assert record(module.wrapped).seed == 0
    assert record(module.seedless).seed is None
    assert record(module.anything).seed is None
    assert record(module.anything, 5, words="any").seed == 5


def test_the_decorator_gives_the_function_back() -> None:
    def outside(parents: Any) -> dict[str, Any]:
        return dict(parents)

    outside.__qualname__ = "outside"
    assert mgit.creation_function(outside) is outside


def test_what_cannot_be_run_elsewhere_is_refused_by_the_decorator() -> None:
    def inner(parents: Any) -> dict[str, Any]:
        return dict(parents)

    async def later(parents: Any) -> dict[str, Any]:
        return dict(parents)

    def yielding(parents: Any) -> Any:
        yield parents

    for function, told in (
        (lambda parents: parents, "found a lambda"),
        (inner, "inside another function"),
        (later, "async or yields"),
        (yielding, "async or yields"),
        (len, "written with def; found one of type builtin_function_or_method"),
        (dict, "found one of type type"),
        ("makers_here:finetune", "found one of type str"),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            mgit.creation_function(function)  # type: ignore[type-var]
        assert caught.value.reason is ErrorReason.INVALID_CREATION
        assert told in caught.value.message


def test_what_no_other_process_can_import_is_refused(module: Any) -> None:
    def main_function(parents: Any) -> Any:
        return parents

    main_function.__module__ = "__main__"
    main_function.__qualname__ = "main_function"
    assert "put it into a module" in refuse(main_function)
    assert "put it into a module" in refuse(lambda parents: parents)
    assert "stands in a class" in refuse(module.Maker.make)
    assert "stands in a class" in refuse(module.Maker.still)
    assert "one of type Maker" in refuse(module.Maker())


@pytest.mark.parametrize(
    ("entry_point", "told"),
    [
        ("nonsense", "MODULE:FUNCTION"),
        ("no_such_module:make", "cannot be imported"),
        ("makers_here:no_such", "has no function 'no_such'"),
        ("makers_here:NUMBER", "is a function; makers_here:NUMBER is of type int"),
        ("makers_here:Maker", "is of type type"),
        ("makers_here:join", "stands in module 'posixpath'"),
        ("makers_here:no_parents", "does not take"),
        ("makers_here:seedless", "does not take: got an unexpected keyword argument 'rate'"),
    ],
)
def test_a_name_of_no_creation_function_is_refused(entry_point: str, told: str) -> None:
    assert told in refuse(entry_point, rate=0.5)


def test_arguments_are_plain_and_fit_the_signature(module: Any) -> None:
    assert "missing a required argument: 'epochs'" in refuse(module.finetune)
    assert "does not take" in refuse(module.seedless, 1)
    assert "The seed is no argument among others" in refuse(module.anything, said={"seed": 1})
    assert "from 0 to 2^63 - 1" in refuse(module.finetune, -1, epochs=1)
    with pytest.raises(InvalidArgumentError) as caught:
        record(module.finetune, epochs=[1, 2])
    assert caught.value.reason is ErrorReason.INVALID_METADATA


def test_a_module_that_is_too_long_or_no_text_is_known_by_its_digest_alone(tmp_path: Path) -> None:
    path = tmp_path / "makers_here.py"
    path.write_text(MODULE + "#" * MAX_SOURCE_BYTES)
    long = record("makers_here:seedless")
    path.write_bytes(b"# coding: latin-1\n" + MODULE.encode() + "# é".encode("latin-1"))
    foreign = record("makers_here:seedless")
    assert long.source == foreign.source == ""
    assert long.code_digest != foreign.code_digest


def test_the_digest_is_of_the_whole_module_and_of_the_name(tmp_path: Path) -> None:
    first = record("makers_here:seedless")
    assert record("makers_here:anything").code_digest != first.code_digest
    check_source(first.entry_point, first.code_digest, BLAKE3)
    (tmp_path / "makers_here.py").write_text(MODULE + "\n# a helper was changed\n")
    with pytest.raises(FailedPreconditionError, match="is another one here than was recorded") as caught:
        check_source(first.entry_point, first.code_digest, BLAKE3)
    assert caught.value.reason is ErrorReason.CREATION_CODE_CHANGED
    (tmp_path / "makers_here.py").unlink()
    with pytest.raises(FailedPreconditionError, match="is not here") as caught:
        check_source(first.entry_point, first.code_digest, BLAKE3)
    assert caught.value.reason is ErrorReason.CREATION_CODE_CHANGED


def test_a_record_goes_over_the_wire_and_back(module: Any) -> None:
    full = record(module.finetune, 2**62, epochs=2, rate=0.5)
    bare = record("makers_here:seedless")
    for each in (full, bare):
        assert read_creation(write_creation(each)) == each
