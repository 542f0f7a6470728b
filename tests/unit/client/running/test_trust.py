"""Programs that somebody else registered do not run before they are trusted."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mgit.running.trust import check_trusted, trust_command
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.model_tests import ModelTest, ModelTestKind, ModelTestScope


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("MGIT_HOME", str(home))
    return home


def make_test(code: str, kind: ModelTestKind = ModelTestKind.COMMAND) -> ModelTest:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return ModelTest(
        uid="",
        name="measure",
        scope=ModelTestScope.ALL,
        kind=kind,
        code=code,
        metric="m",
        created_at=now,
        updated_at=now,
    )


def test_a_program_is_refused_with_what_it_is_and_what_to_do() -> None:
    with pytest.raises(FailedPreconditionError, match=r"'measure --all'.*mgit test trust measure") as error:
        check_trusted(make_test("measure --all"))
    assert error.value.reason is ErrorReason.TEST_NOT_TRUSTED


def test_a_trusted_program_runs_and_another_one_does_not() -> None:
    trust_command("measure --all")
    trust_command("measure --all")
    check_trusted(make_test("measure --all"))
    with pytest.raises(FailedPreconditionError):
        check_trusted(make_test("measure --all; rm"))


def test_trust_is_of_one_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust_command("measure")
    monkeypatch.setenv("MGIT_HOME", str(home.parent / "another"))
    with pytest.raises(FailedPreconditionError):
        check_trusted(make_test("measure"))


def test_only_its_owner_may_write_what_is_trusted(home: Path) -> None:
    trust_command("measure")
    trust_command("another")
    path = home / "trusted-commands"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text(encoding="ascii").split()) == 2


@pytest.mark.parametrize("kind", [ModelTestKind.ENTRY_POINT, ModelTestKind.BUILTIN])
def test_functions_and_built_in_tests_need_no_trust(kind: ModelTestKind) -> None:
    check_trusted(make_test("module:function", kind))
