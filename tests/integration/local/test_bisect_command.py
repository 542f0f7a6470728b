"""``mgit bisect``: what it prints, its keys, its exit codes, and the offer at its end."""

from __future__ import annotations

import math
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from tests.integration.local.command_line import CommandLine, Ended
from tests.running_service import RunningService

import mgit
from mgit.cli.commands import COMMANDS

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]

_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def repo(service: RunningService) -> Iterator[mgit.Repository]:
    with mgit.connect(service.address) as opened:
        opened.tests.register("finite", builtin="finite")
        yield opened


@pytest.fixture(scope="module")
def command(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    home = tmp_path_factory.mktemp("home")
    return CommandLine(home, {"MGIT_ADDRESS": service.address})


def add_chain(repo: mgit.Repository, name: str, qualities: Sequence[float]) -> None:
    older: list[mgit.Model] = []
    for place, quality in enumerate(qualities):
        # The name tells it apart from models of other tests, whose results would be reused.
        weights = {"weight": np.array([quality, place, *name.encode()], "f4")}
        older = [repo.add(name, weights, parents=older, progress=None)]


def run_on_terminal(command: CommandLine, typed: str, *arguments: str) -> Ended:
    """A command whose standard input and error are a terminal; what it writes to both is in ``err``."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", "from mgit.cli import main; main()", *arguments],
        env=command.environment({}),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        out, _ = process.communicate(timeout=_TIMEOUT_S)
    shown = bytearray()
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # How Linux says that nobody holds the other end any more.
        pass
    os.close(ours)
    return Ended(process.returncode, out, shown.decode())


def test_steps_answer_and_offer_are_told_to_a_person(repo: mgit.Repository, command: CommandLine) -> None:
    add_chain(repo, "told", [0.0, 0.0, 0.0, 0.0, math.nan, math.nan])
    ended = command.run("bisect", "told", "--test", "finite")

    assert ended.code == 0, ended.err
    steps = [line for line in ended.err.splitlines() if line.startswith("testing ")]
    assert steps[0] == "testing told@4: then 3 to 4 left, about 2 more tests"
    assert steps[-1].endswith("then 1 left, the last test")
    assert "The first bad model is told@5." in ended.lines
    assert "told@5 is bad, and its parent told@4 is good." in ended.lines
    assert ended.lines[-1] == f"{len(steps)} tests ran; 6 models to search."
    assert any(line.split()[:4] == ["told@5", "bad", "1", "tested"] for line in ended.lines)


def test_printed_command_records_the_bug(repo: mgit.Repository, command: CommandLine) -> None:
    add_chain(repo, "offered", [0.0, math.nan])
    ended = command.run("bisect", "offered", "--test", "finite")
    [offer] = [line for line in ended.err.splitlines() if line.startswith("To record it: ")]
    words = shlex.split(offer.removeprefix("To record it: "))
    assert words[:3] == ["mgit", "bug", "report"]
    assert "bug" in COMMANDS
    [bug] = command.quiet(*words[1:])

    assert [model.model.ref for model in repo.bugs.affected(bug).models] == ["offered@2"]
    assert repo.bugs.get(bug).title == "finite fails since offered@2"


@pytest.mark.parametrize(("typed", "count"), [("y\n", 1), ("n\n", 0)])
def test_a_person_on_a_terminal_is_asked(
    repo: mgit.Repository, command: CommandLine, typed: str, count: int
) -> None:
    name = f"asked-{count}"
    add_chain(repo, name, [0.0, math.nan])
    ended = run_on_terminal(command, typed, "bisect", name, "--test", "finite")

    assert ended.code == 0, ended.err
    assert f"Record a bug of {name}@2" in ended.err
    assert ("Recorded as bug" in ended.err) == bool(count)
    assert sum(f"since {name}@2" in bug.title for bug in repo.bugs.list()) == count


def test_document_has_the_documented_keys(repo: mgit.Repository, command: CommandLine) -> None:
    add_chain(repo, "keys", [0.0, 0.0, math.nan])
    document = command.json("bisect", "keys", "--test", "finite")

    assert (document["first_bad"], document["outcome"]) == ("keys@3", "found")
    assert document["tests_run"] == len(document["tested"]) <= 2
    assert set(document) == {
        *("first_bad", "outcome", "reason", "tests_run", "searched", "unexplored", "tested", "suspects"),
        "contradiction",
    }
    assert {"ref", "uid", "verdict", "source", "value", "error"} == set(document["tested"][0])
    again = command.json("bisect", "keys", "--test", "finite")
    assert (again["tests_run"], {each["source"] for each in again["tested"]}) == (0, {"known"})
    anew = command.json("bisect", "keys", "--test", "finite", "--rerun")
    assert anew["tests_run"] == document["tests_run"]


def test_all_pass_is_no_failure_and_offers_nothing(repo: mgit.Repository, command: CommandLine) -> None:
    add_chain(repo, "fine", [0.0, 0.0, 0.0])
    ended = command.run("bisect", "fine", "--test", "finite")

    assert ended.code == 0
    assert "To record it" not in ended.err
    assert command.json("bisect", "fine", "--test", "finite")["first_bad"] is None


def test_quiet_prints_the_model_alone(repo: mgit.Repository, command: CommandLine) -> None:
    add_chain(repo, "quiet", [math.nan, math.nan])

    assert command.quiet("bisect", "--test", "finite", "--bad", "quiet@2") == ["quiet@1"]


def test_no_answer_is_exit_code_1(repo: mgit.Repository, command: CommandLine) -> None:
    add_chain(repo, "vague", [0.0, 0.0, math.nan])
    skipped = ("--skip", "vague@2", "--skip", "vague@3")
    ended = command.run("bisect", "vague", "--test", "finite", *skipped, "--output", "json")

    assert (ended.code, ended.document["outcome"]) == (1, "ambiguous")
    assert [each["ref"] for each in ended.document["suspects"]] == ["vague@2", "vague@3"]
    assert "Suspects: vague@2 vague@3" in command.run("bisect", "vague", "--test", "finite", *skipped).lines


def test_contradiction_says_how_to_go_on(repo: mgit.Repository, command: CommandLine) -> None:
    add_chain(repo, "mended", [0.0, math.nan, 0.0, math.nan])
    list(repo.tests.run("finite", models=[f"mended@{number}" for number in range(1, 5)], progress=None))
    ended = command.run("bisect", "mended", "--test", "finite")

    assert ended.code == 1
    assert any("--good mended@3" in line and "--bad mended@2" in line for line in ended.lines)
    assert (
        command.json("bisect", "mended", "--test", "finite", "--good", "mended@3")["first_bad"] == "mended@4"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("--test", "finite"), 2, "INVALID_ARGUMENT"),
        (("nowhere", "--test", "finite"), 3, "MODEL_NOT_FOUND"),
        (("fine", "--test", "no-such"), 3, "TEST_NOT_FOUND"),
        (("fine@1", "--test", "finite", "--good", "fine@2"), 4, "NOTHING_TO_BISECT"),
    ],
)
def test_wrong_questions_are_told_apart(
    arguments: tuple[str, ...], code: int, reason: str, repo: mgit.Repository, command: CommandLine
) -> None:
    if not list(repo.models(prefix="fine")):
        add_chain(repo, "fine", [0.0, 0.0, 0.0])
    ended = command.run("bisect", *arguments, "--output", "json")

    assert (ended.code, ended.error["reason"]) == (code, reason)


def test_many_known_results_are_counted_and_not_listed(repo: mgit.Repository, command: CommandLine) -> None:
    add_chain(repo, "long", [0.0] * 20 + [math.nan] * 13)
    uids = [model.uid for model in repo.versions("long")]
    list(repo.tests.run("finite", models=[f"@{uid}" for uid in uids], progress=None))
    ended = command.run("bisect", "long", "--test", "finite")

    assert "33 models more known without a test." in ended.lines
    assert "The first bad model is long@21." in ended.lines
