from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from mgit.cli import main
from mgit.cli.application import global_options_first
from mgit.cli.commands import COMMANDS
from mgit.cli.settings import may_color


def run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture(autouse=True)
def _no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MGIT_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()

    for entry in COMMANDS.values():
        assert any(line.split() == [entry.name, *entry.line.split()] for line in lines), entry.name


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"{version('mgit-lineage')}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["show"],
        ["show", "a", "b"],
        ["ls", "--nonsense"],
        ["ls", "--output", "xml"],
        ["ancestors", "a", "--depth", "0"],
        ["tag", "a", "--delete"],
        ["graph", "--format", "png"],
        ["add", "file", "--name"],
    ],
)
def test_wrong_usage_is_exit_code_2_and_goes_to_standard_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()

    assert out == ""
    assert err.startswith("error: ")


def test_a_mistyped_command_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    run(["ancestor", "a"])

    assert "Did you mean" in capsys.readouterr().err


def test_bad_input_is_found_before_a_service_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "file", "--name", "a", "--parent", "b:cloned"]) == 2
    assert "A relation is one of finetuned" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["ls", "--output", "json"], ["--output=json", "ls"]])
def test_an_error_is_a_document_where_documents_are_wanted(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 5
    out, err = capsys.readouterr()

    assert out == ""
    assert json.loads(err)["error"]["reason"] == "SERVICE_UNAVAILABLE"
    assert json.loads(err)["error"]["exit_code"] == 5


def test_without_a_stack_a_person_is_told_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ls"]) == 5
    assert "'mgit up' starts one" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["status"], ["browser"]])
def test_a_home_without_a_stack_is_not_found(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 3
    assert "mgit up" in capsys.readouterr().err


def test_to_stop_what_does_not_run_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["down"]) == 0
    assert capsys.readouterr().out == "No stack was running.\n"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["ls", "--output", "json"], ["--output", "json", "ls"]),
        (["--yes", "rm", "a"], ["--yes", "rm", "a"]),
        (["rm", "a", "--yes", "--address=h:1"], ["--yes", "--address=h:1", "rm", "a"]),
        (["ls", "--output"], ["--output", "ls"]),
        (["show", "--", "--yes"], ["show", "--", "--yes"]),
        (["get", "a", "--to", "b", "--no-color"], ["--no-color", "get", "a", "--to", "b"]),
    ],
)
def test_global_options_are_taken_on_either_side_of_the_command(given: list[str], wanted: list[str]) -> None:
    assert global_options_first(given) == wanted


def test_no_color_has_any_value() -> None:
    assert not may_color({"NO_COLOR": "1"})
    assert not may_color({"NO_COLOR": "false"})
    assert may_color({"NO_COLOR": ""})
    assert may_color({})


@pytest.mark.slow
def test_help_imports_nothing_that_is_slow() -> None:
    script = (
        "import sys\nfrom mgit.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "slow = {'grpc', 'numpy', 'zarr', 'torch', 'pydantic', 'google', 'neo4j', 'tqdm', 'rich'}\n"
        "sys.stderr.write(' '.join(sorted(slow & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_the_catalog_is_asked_without_numpy() -> None:
    script = (
        "import sys\nimport mgit, mgit.repository, mgit.cli.catalog, mgit.cli.walks, mgit.cli.documents\n"
        "sys.stderr.write(' '.join(sorted({'numpy', 'zarr', 'torch', 'pydantic', 'neo4j'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
