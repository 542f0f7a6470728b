from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from mgit.cli import invocation as module
from mgit.cli.invocation import Form, Invocation


def make_invocation(form: Form = Form.HUMAN, **options: Any) -> Invocation:
    return Invocation(**{"address": None, "form": form, "assumes_yes": False, "may_color": True, **options})


def on_terminal(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> None:
    for stream in (module.sys.stdin, module.sys.stdout, module.sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: is_terminal)


@pytest.mark.parametrize(
    ("form", "shown"),
    [(Form.HUMAN, "for people\n"), (Form.QUIET, "a@1\n"), (Form.JSON, '{\n  "ref": "ä@1"\n}\n')],
)
def test_an_answer_has_the_form_that_is_wanted(
    form: Form, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_invocation(form).answer({"ref": "ä@1"}, lambda: ["for people"], ["a@1"])

    assert capsys.readouterr().out == shown


def test_lines_for_people_are_made_only_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    make_invocation(Form.JSON).answer({}, lambda: pytest.fail("made for nobody"))

    assert json.loads(capsys.readouterr().out) == {}


@pytest.mark.parametrize(("form", "told"), [(Form.HUMAN, "news\n"), (Form.QUIET, ""), (Form.JSON, "")])
def test_only_people_are_told_what_happens(form: Form, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_invocation(form).tell("news")

    assert capsys.readouterr() == ("", told)


def test_on_a_terminal_a_person_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, is_terminal=True)
    asked: list[str] = []
    monkeypatch.setattr(typer, "confirm", lambda question, **_: asked.append(question))

    make_invocation().confirm("Remove a@1?")
    make_invocation(assumes_yes=True).confirm("Remove b@1?")

    assert asked == ["Remove a@1?"]


def test_where_nobody_can_answer_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, is_terminal=False)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: pytest.fail("asked"))

    make_invocation().confirm("Remove a@1?")


def test_results_are_colored_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, is_terminal=True)
    assert make_invocation().paint("cast", "#5f8296") == "\x1b[38;2;95;130;150mcast\x1b[0m"
    assert make_invocation(may_color=False).paint("cast", "#5f8296") == "cast"
    assert make_invocation(Form.JSON).paint("cast", "#5f8296") == "cast"

    on_terminal(monkeypatch, is_terminal=False)
    assert make_invocation().paint("cast", "#5f8296") == "cast"


def test_bars_are_drawn_for_people_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, is_terminal=True)
    assert make_invocation().shows_progress
    assert not make_invocation(Form.JSON).shows_progress

    on_terminal(monkeypatch, is_terminal=False)
    assert not make_invocation().shows_progress
