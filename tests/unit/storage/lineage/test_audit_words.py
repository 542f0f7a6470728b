"""Words of statements, as the server reads them, and what is refused because it may be read otherwise."""

from __future__ import annotations

import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError, PermissionDeniedError
from mgit_storage.lineage.audit_words import WordKind, cut_words


def texts(statement: str) -> list[str]:
    return [word.text for word in cut_words(statement)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("MATCH (m:Model)", ["MATCH", "(", "m", ":", "Model", ")"]),
        ("RETURN 'a // b' // c", ["RETURN", ""]),
        ("RETURN /* 'x */ 1", ["RETURN", "1"]),
        ("RETURN '/*' + \"*/\"", ["RETURN", "", "+", ""]),
        ("RETURN `a``b`.c", ["RETURN", "a`b", ".", "c"]),
        (r"RETURN 'it\'s' + 1", ["RETURN", "", "+", "1"]),
        (r"RETURN 'C:\\' + 1", ["RETURN", "", "+", "1"]),
        ("// a\nRETURN\r\n1 // b", ["RETURN", "1"]),
        ("RETURN 'größe', `größe`", ["RETURN", "", ",", "größe"]),
        ("", []),
    ],
)
def test_quotes_and_comments_end_where_they_end_for_the_server(statement: str, expected: list[str]) -> None:
    assert texts(statement) == expected


def test_a_text_is_told_from_a_name() -> None:
    kinds = [word.kind for word in cut_words("CALL `x` 'x' ;")]
    assert kinds == [WordKind.NAME, WordKind.QUOTED, WordKind.TEXT, WordKind.SIGN]
    call, quoted, text, _ = cut_words("CaLL `CALL` 'CALL' ;")
    assert (call.reads("CALL"), quoted.reads("CALL"), text.reads("CALL")) == (True, False, False)
    assert (call.is_name, quoted.is_name, text.is_name) == (True, True, False)


@pytest.mark.parametrize(
    "statement",
    [
        r"RETURN 'a\u0027'",
        r"RETURN 'a\\\u0027'",
        r"RETURN 1 // \u000a",
        r"RETURN 1 /* \u002a/ */",
        r"RETURN `a\u0060`",
        r"RETURN \u0031",
        "RETURN 1\u2003+ 1",
        "RETURN \u017f",
        "RETURN 1 // \u2028",
        "RETURN 'a\x00b'",
        "RETURN 'a\x85b'",
        "RETURN 1\x0b+ 1",
        "RETURN 1\u00a0+ 1",
    ],
)
def test_what_may_be_read_otherwise_is_refused(statement: str) -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        cut_words(statement)
    assert caught.value.reason is ErrorReason.STATEMENT_REFUSED


@pytest.mark.parametrize("statement", ["RETURN 'a", 'RETURN "a', "RETURN `a", r"RETURN 'a\'"])
def test_a_quote_that_does_not_end_is_told(statement: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        cut_words(statement)
    assert caught.value.reason is ErrorReason.INVALID_STATEMENT


def test_a_long_statement_is_cut_in_time_that_follows_its_length() -> None:
    """No part of the pattern is tried at every place of what is left."""
    assert len(cut_words("RETURN " + "1 + " * 15_000 + "1")) == 30_002
    assert len(cut_words("/* " * 20_000 + "*/ RETURN 1")) == 2
    assert texts("RETURN " + "''" * 30_000)[0] == "RETURN"
