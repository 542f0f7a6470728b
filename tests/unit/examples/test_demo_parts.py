"""The parts of the demonstration that need no service."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from examples.demo import __main__ as command
from examples.demo import questions
from examples.demo.questions import Answer
from examples.demo.restoring import is_equal
from examples.demo.summary import Summary, write_summary
from examples.demo.telling import Narrator, answer_lines, family_table, format_bytes
from examples.minilm.family import Built, Progress
from examples.minilm.recipe import Base, Cast, Member

from mgit.errors import ErrorReason, FailedPreconditionError, InternalError
from mgit_storage.lineage.cypher.content import MODELS_WITH_TENSOR
from mgit_storage.lineage.cypher.graph import TRAVERSALS

_BASE = Member(name="base", recipe=Base())
_CAST = Member(name="cast", parents=(("base@1", "cast"),), recipe=Cast("bfloat16"))


def test_query_is_printed_with_every_parameter_filled_in() -> None:
    filled = questions._fill(MODELS_WITH_TENSOR, digest="ab", after_uid="", after_name="", size=7)
    assert '{digest: "ab"}' in filled
    assert 'm.uid > "" OR (m.uid = "" AND h.name > "")' in filled
    assert "LIMIT 7" in filled
    assert "$" not in filled


def test_query_with_an_unknown_parameter_is_not_printed() -> None:
    with pytest.raises(KeyError):
        questions._fill(TRAVERSALS["ancestors", "rows-all"], uid="u")


def test_answers_that_differ_are_an_error() -> None:
    questions._compare(["a@1"], ["a@1"])
    with pytest.raises(InternalError, match="a@1"):
        questions._compare(["a@1"], [])


def _write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("files", "equal"),
    [
        ({"a": b"1", "b/c": b"2"}, True),
        ({"a": b"1", "b/c": b"3"}, False),
        ({"a": b"1"}, False),
        ({"a": b"1", "b/c": b"2", "d": b""}, False),
    ],
)
def test_folders_are_equal_if_all_their_files_are(
    tmp_path: Path, files: dict[str, bytes], *, equal: bool
) -> None:
    wanted = _write(tmp_path / "wanted", {"a": b"1", "b/c": b"2"})
    assert equal == is_equal(wanted, _write(tmp_path / "found", files))


def test_summary_is_json_with_the_contract_s_keys(tmp_path: Path) -> None:
    summary = Summary(
        seconds={"whole": 2.0},
        models=1,
        edges=0,
        logical_bytes=10,
        stored_bytes=5,
        ratio=2.0,
        exact_restores=1,
        ancestors_ms=1.5,
        neo4j_version="5.26.31",
        browser_url="",
    )
    write_summary(tmp_path / "summary.json", summary)
    written = json.loads((tmp_path / "summary.json").read_text())
    assert written["seconds"] == {"whole": 2.0}
    assert written["ancestors_ms"] == 1.5


def test_family_table_says_how_good_each_member_is(tmp_path: Path) -> None:
    known = {"operation": "cast", "seconds": 0.25, "accuracy": 0.75, "majority": 0.5}
    family = [
        Built(member=_BASE, key="b", path=tmp_path, metadata={"operation": "base", "seconds": 0.0}),
        Built(member=_CAST, key="c", path=tmp_path, metadata=known),
    ]
    assert list(family_table(family)) == [
        "   model   made by  accuracy  guessing  seconds",
        "   base@1  base                             0.0",
        "   cast@1  cast          75%       50%      0.2",
    ]


def test_answer_is_printed_with_its_cypher() -> None:
    answer = Answer(question="Who?", cypher="MATCH (n)\nRETURN n", lines=("a@1",), median_ms=1.25)
    assert list(answer_lines(answer)) == [
        "",
        "Who?",
        "    MATCH (n)",
        "    RETURN n",
        "Answer, 1.2 ms through gRPC, and the same from Neo4j itself:",
        "    a@1",
    ]


def test_bytes_are_told_in_megabytes() -> None:
    assert format_bytes(1_234_567_890) == "1,234.6 MB"


def test_phases_keep_their_time_and_a_failed_one_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    narrator = Narrator()
    with narrator.phase("good", "First"):
        narrator.say("line")
    with pytest.raises(KeyboardInterrupt), narrator.phase("bad", "Second"):
        raise KeyboardInterrupt
    assert set(narrator.seconds) == {"good"}
    assert capsys.readouterr().out == "\n== First\nline\n\n== Second\n"


def test_training_is_one_line_for_each_new_member_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    narrator = Narrator()
    for step in range(3):
        narrator.training(Progress(member=_CAST, position=1, members=2, step=step, steps=2))
    narrator.training(Progress(member=_BASE, position=0, members=2, reused=True))
    assert capsys.readouterr().err.splitlines() == ["   [2/2] cast@1 (0 s)"]


def test_training_is_a_line_that_is_written_over_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    narrator = Narrator()
    for step in range(3):
        narrator.training(Progress(member=_CAST, position=1, members=2, step=step, steps=2))
    narrator.say("done")
    told = capsys.readouterr()
    assert told.err.count("\n") == 0
    assert "[2/2] cast@1, step 2 of 2" in told.err
    assert told.err.endswith(" \r")
    assert told.out == "done\n"


def _run(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(command, "tell_story", fail)
    monkeypatch.setattr(sys, "argv", ["demo"])
    return command.main()


def test_interrupt_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, KeyboardInterrupt()) == 130
    assert "goes on from here" in capsys.readouterr().err


def test_failure_is_told_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = FailedPreconditionError(ErrorReason.MAVEN_MISSING, "Maven was wanted; there is none.")
    assert _run(monkeypatch, error) == 1
    assert "MAVEN_MISSING: Maven was wanted; there is none." in capsys.readouterr().err
