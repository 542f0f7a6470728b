"""The contract of the command line: names, options, examples."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from mgit.cli.application import app, global_options_first
from mgit.cli.commands import COMMANDS

CONTRACT = {
    "up": set(),
    "down": set(),
    "status": set(),
    "browser": set(),
    "serve": set(),
    "add": {
        *("--name", "--parent", "--previous", "--recipe", "--auto-parent", "--type", "--meta", "--dataset"),
        *("--created-by", "--arg", "--seed", "--lossy", "--guard"),
    },
    "get": {"--to", "--format", "--tensor"},
    "ls": set(),
    "show": set(),
    "log": set(),
    "tag": {"--delete", "--force"},
    "rm": set(),
    "link": {"--relation"},
    "unlink": {"--relation"},
    "ancestors": {"--relation", "--depth"},
    "descendants": {"--relation", "--depth"},
    "lineage": set(),
    "graph": {"--format"},
    "stats": set(),
    "gc": {"--dry-run", "--grace", "--delete-everything"},
    "repack": {"--for", "--cores"},
    "fsck": {"--repair", "--from"},
    "bisect": {"--test", "--good", "--bad", "--skip", "--rerun"},
    "infer": {"--backfill"},
    "diff": {"--structural", "--contextual", "--format"},
    "merge": {"--base", "--name", "--on-conflict"},
    "rebuild": set(),
    "worker": set(),
    "clone": set(),
    "push": {"--since", "--only", "--rename", "--force"},
    "pull": {"--since", "--only", "--rename", "--force"},
    "remote": set(),
    "cypher": {"--param", "--format"},
    "doctor": set(),
}


@pytest.fixture(scope="module")
def group() -> Any:
    return typer.main.get_group(app)


def command_of(group: Any, name: str) -> Any:
    found = group.get_command(None, name)
    assert found is not None
    return found


def test_every_command_of_the_contract_is_there() -> None:
    assert CONTRACT.keys() <= COMMANDS.keys()


@pytest.mark.parametrize("name", CONTRACT)
def test_a_command_has_the_options_of_the_contract(name: str, group: Any) -> None:
    options = {option for parameter in command_of(group, name).params for option in parameter.opts}

    assert options >= CONTRACT[name]


def test_an_update_has_the_options_of_the_contract(group: Any) -> None:
    update = command_of(group, "update")
    assert {"ls", "resume", "cancel"} <= update.commands.keys()
    options = {option for parameter in update.commands["start"].params for option in parameter.opts}
    assert options >= {
        *("--plan", "--skip", "--stop-at", "--refresh-parents", "--publish", "--executor"),
    }
    assert "--anyway" in {opt for each in update.commands["resume"].params for opt in each.opts}


def test_global_options_are_those_of_the_contract(group: Any) -> None:
    options = {option for parameter in group.params for option in parameter.opts}

    assert options == {"--address", "--output", "--yes", "--no-color", "--version"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_itself_says(name: str, group: Any) -> None:
    assert command_of(group, name).help.splitlines()[0] == COMMANDS[name].line


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_parses(name: str, group: Any) -> None:
    command = command_of(group, name)
    example = re.search(r"^Example: (?:[A-Z_]+=\S+ )*mgit (.+)$", command.help, re.MULTILINE)
    assert example is not None
    words = global_options_first(shlex.split(example[1]))

    with group.make_context("mgit", words) as context:
        assert command.make_context(name, words[words.index(name) + 1 :], parent=context).params is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_of_a_command_takes_the_place_of_a_global_one(name: str, group: Any) -> None:
    options = {option for parameter in command_of(group, name).params for option in parameter.opts}

    assert not options & {"--address", "--output", "--yes", "--no-color"}
