"""Digests of code and inputs: the same for the same, another one for anything that may give another value."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mgit.running.digests import RunnableCode, check_code, check_inputs, code_digest, inputs_digest
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError
from mgit_core.model_tests import ModelTest, ModelTestKind, ModelTestScope

BLAKE3 = DigestAlgorithm.BLAKE3
MODULE = "def check(model):\n    return helper()\n\ndef helper():\n    return 1.0\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    (tmp_path / "checks_here.py").write_text(MODULE)
    return tmp_path


def entry_point(code: str = "checks_here:check", **arguments: object) -> RunnableCode:
    return RunnableCode(kind=ModelTestKind.ENTRY_POINT, code=code, arguments=arguments)  # type: ignore[arg-type]


def command(code: str) -> RunnableCode:
    return RunnableCode(kind=ModelTestKind.COMMAND, code=code, arguments={})


def built_in(name: str, **arguments: str) -> RunnableCode:
    return RunnableCode(kind=ModelTestKind.BUILTIN, code=name, arguments=arguments)


def test_the_same_code_has_the_same_digest_and_each_algorithm_its_own() -> None:
    assert code_digest(entry_point(), BLAKE3) == code_digest(entry_point(), BLAKE3)
    assert code_digest(entry_point(), BLAKE3) != code_digest(entry_point(), DigestAlgorithm.SHA256)


def test_a_change_anywhere_in_the_module_counts(folder: Path) -> None:
    before = code_digest(entry_point(), BLAKE3)
    (folder / "checks_here.py").write_text(MODULE.replace("1.0", "2.0"))
    assert code_digest(entry_point(), BLAKE3) != before


def test_another_function_of_the_module_is_other_code() -> None:
    assert code_digest(entry_point(), BLAKE3) != code_digest(entry_point("checks_here:helper"), BLAKE3)


def test_arguments_are_no_code() -> None:
    assert code_digest(entry_point(scale=2), BLAKE3) == code_digest(entry_point(), BLAKE3)


def test_relative_files_that_a_command_names_count(folder: Path) -> None:
    (folder / "check.sh").write_text("echo 1")
    before = code_digest(command("sh check.sh --fast"), BLAKE3)
    assert code_digest(command("sh check.sh"), BLAKE3) != before
    (folder / "check.sh").write_text("echo 2")
    assert code_digest(command("sh check.sh --fast"), BLAKE3) != before


def test_a_program_of_the_machine_counts_by_its_name(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("1")
    before = code_digest(command(str(program)), BLAKE3)
    program.write_text("2")
    assert code_digest(command(str(program)), BLAKE3) == before


@pytest.mark.parametrize("text", ["", "   ", "echo 'open"])
def test_a_command_is_words(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        code_digest(command(text), BLAKE3)
    assert caught.value.reason is ErrorReason.INVALID_TEST


def test_a_built_in_test_counts_with_the_module_that_it_is_given(folder: Path) -> None:
    drift = built_in("drift", reference="base@1", forward="checks_here:check")
    before = code_digest(drift, BLAKE3)
    assert before != code_digest(built_in("drift", reference="base@1"), BLAKE3)
    (folder / "checks_here.py").write_text(MODULE.replace("1.0", "2.0"))
    assert code_digest(drift, BLAKE3) != before


def test_inputs_are_a_files_bytes(folder: Path) -> None:
    (folder / "inputs.bin").write_bytes(b"x" * 3_000_000)
    assert inputs_digest("inputs.bin", BLAKE3) == digest_of(BLAKE3, b"x" * 3_000_000)
    assert inputs_digest("", BLAKE3) == b""


def test_of_a_folder_names_and_contents_count(folder: Path) -> None:
    (folder / "data" / "deep").mkdir(parents=True)
    found = []
    for name, content in (("a", "1"), ("deep/b", "2"), ("a", "3"), ("deep/c", "2")):
        (folder / "data" / name).write_text(content)
        found.append(inputs_digest("data", BLAKE3))
    assert len(set(found)) == len(found)
    assert inputs_digest("data", BLAKE3) == found[-1]


def test_inputs_that_are_not_there_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="file or folder that can be read here"):
        inputs_digest("no/such", BLAKE3)


def registered(**fields: object) -> ModelTest:
    now = datetime.now(UTC)
    test = ModelTest(
        uid="u",
        name="check",
        scope=ModelTestScope.ALL,
        kind=ModelTestKind.ENTRY_POINT,
        code="checks_here:check",
        metric="m",
        created_at=now,
        updated_at=now,
        code_digest=code_digest(entry_point(), BLAKE3),
    )
    return replace(test, **fields)  # type: ignore[arg-type]


def test_code_that_is_as_it_was_has_its_digest() -> None:
    test = registered()
    assert check_code(test, BLAKE3) == test.code_digest
    assert check_code(replace(test, code_digest=b""), BLAKE3) == test.code_digest


def test_code_that_changed_or_went_away_is_told_with_what_to_do(folder: Path) -> None:
    test = registered()
    (folder / "checks_here.py").write_text("# nothing")
    with pytest.raises(FailedPreconditionError, match="another one than when it was registered") as changed:
        check_code(test, BLAKE3)
    (folder / "checks_here.py").unlink()
    with pytest.raises(FailedPreconditionError, match="not here as it was registered") as moved:
        check_code(test, BLAKE3)
    for caught in (changed, moved):
        assert caught.value.reason is ErrorReason.TEST_CODE_CHANGED
        assert "mgit test register check --replace" in caught.value.message


def test_inputs_that_changed_or_went_away_are_told(folder: Path) -> None:
    (folder / "inputs.txt").write_text("1")
    test = registered(inputs_uri="inputs.txt", inputs_digest=inputs_digest("inputs.txt", BLAKE3))
    assert check_inputs(test, BLAKE3) == test.inputs_digest
    (folder / "inputs.txt").write_text("2")
    with pytest.raises(FailedPreconditionError, match="are others than") as changed:
        check_inputs(test, BLAKE3)
    (folder / "inputs.txt").unlink()
    with pytest.raises(FailedPreconditionError, match="are not here") as gone:
        check_inputs(test, BLAKE3)
    assert changed.value.reason is gone.value.reason is ErrorReason.TEST_INPUTS_CHANGED
