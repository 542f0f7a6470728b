"""Cuts a statement of Cypher into words, as far as one must see them to know what it would do.

Only what is sure to be read the same way by the server is let through: no escapes that become other characters
before the server reads words, no control characters, and nothing but ASCII outside of quotes. So no comment and no
quote can end for the server where it does not end here.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass

from mgit_core.errors import ErrorReason, InvalidArgumentError, PermissionDeniedError

__all__ = ["Word", "WordKind", "cut_words", "refused"]


class WordKind(enum.Enum):
    """What a word is to the one who reads it."""

    NAME = enum.auto()
    QUOTED = enum.auto()
    TEXT = enum.auto()
    SIGN = enum.auto()


@dataclass(frozen=True, slots=True)
class Word:
    """A word, a name in backticks, a text in quotes, or a single other character.

    Attributes:
        kind: Which of these.
        text: A name as it was written, the inside of backticks, nothing for a text, else the character.
    """

    kind: WordKind
    text: str

    @property
    def is_name(self) -> bool:
        """Whether it may be part of the name of a procedure or a function."""
        return self.kind in {WordKind.NAME, WordKind.QUOTED}

    def reads(self, *keywords: str) -> bool:
        """Whether it is one of these keywords, in any case."""
        return self.kind is WordKind.NAME and self.text.upper() in keywords


_PARTS = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>//[^\r\n]*|/\*.*?\*/)
  | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
  | (?P<quoted>`(?:[^`]|``)*`)
  | (?P<name>\w+)
  | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# The server turns these into characters before it looks for words and quotes.
_ESCAPE = re.compile(r"\\[uU]")
_PAIR = re.compile(r"\\\\")
_UNSEEN = ("Cc", "Zl", "Zp")
_SPACES = "\t\n\r"


def cut_words(statement: str) -> list[Word]:
    """The words of a statement, comments and spaces left out.

    Raises:
        PermissionDeniedError: STATEMENT_REFUSED, if it has characters that may hide what it does.
        InvalidArgumentError: INVALID_STATEMENT, if a quote or a comment does not end.
    """
    _check_characters(statement)
    words: list[Word] = []
    for part in _PARTS.finditer(statement):
        kind, text = part.lastgroup, part.group()
        _check_part(str(kind), text)
        if kind == "text":
            words.append(Word(WordKind.TEXT, ""))
        elif kind == "quoted":
            words.append(Word(WordKind.QUOTED, text[1:-1].replace("``", "`")))
        elif kind in {"name", "sign"}:
            words.append(Word(WordKind.NAME if kind == "name" else WordKind.SIGN, text))
    return words


def _check_characters(statement: str) -> None:
    for character in statement:
        if unicodedata.category(character) in _UNSEEN and character not in _SPACES:
            raise refused(f"it holds the control character U+{ord(character):04X}; write it as a parameter")


def _check_part(kind: str, text: str) -> None:
    # In a text, two backslashes are one character, and what follows them is no escape.
    if _ESCAPE.search(_PAIR.sub("", text) if kind == "text" else text):
        raise refused("it holds an escape such as \\u0041; write the character itself, or a parameter")
    if kind in {"space", "name", "sign"} and not text.isascii():
        raise refused(f"it has {text[:20]!r} outside of quotes; write such a name in backticks")
    if kind != "sign":
        return
    if text == "\\":
        raise refused("it has a backslash outside of quotes")
    if text in {"'", '"', "`"}:
        raise InvalidArgumentError(
            ErrorReason.INVALID_STATEMENT, f"The statement opens a quote, {text}, that it does not close."
        )


def refused(why: str) -> PermissionDeniedError:
    """The error for a statement that auditors may not run."""
    return PermissionDeniedError(ErrorReason.STATEMENT_REFUSED, f"The statement was refused: {why}.")
