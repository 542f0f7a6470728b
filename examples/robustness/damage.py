"""Nine ways in which text is damaged before a model sees it, each the same on every run.

Kind 0 is the text as it is. Each word's fate follows from its own letters and its place, not from a random number.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from examples.minilm.text import Row

__all__ = ["CLEAN", "KINDS", "damage", "damaged", "mixed"]

Word = Callable[[str], str]

CLEAN = 0
_NEIGHBORS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuiopqsdfghjklaxcvbnmz", strict=True))
_LOOKALIKES = dict(zip("oiesatb", "0135478", strict=True))


def damage(text: str, kind: int) -> str:
    """``text`` damaged in one way; kind 0 leaves it as it is."""
    if kind == CLEAN:
        return text
    change, share = _CHANGES[kind - 1]
    words = [
        change(word) if zlib.crc32(f"{place}:{word}".encode()) % 100 < share else word
        for place, word in enumerate(text.split())
    ]
    return " ".join(word for word in words if word)


def damaged(rows: Sequence[Row], kind: int) -> tuple[Row, ...]:
    """All rows damaged in one way."""
    return tuple(Row(damage(row.text, kind), row.label) for row in rows)


def mixed(rows: Sequence[Row], kinds: int) -> tuple[Row, ...]:
    """The rows in turn as they are and damaged in the first ``kinds`` ways."""
    return tuple(Row(damage(row.text, place % (kinds + 1)), row.label) for place, row in enumerate(rows))


def _swapped(word: str) -> str:
    return word[1::-1] + word[2:]


def _without_vowels(word: str) -> str:
    return word[:1] + "".join(letter for letter in word[1:] if letter not in "aeiou")


def _neighboring(word: str) -> str:
    middle = len(word) // 2
    return word[:middle] + _NEIGHBORS.get(word[middle : middle + 1], "") + word[middle + 1 :]


def _lookalike(word: str) -> str:
    return "".join(_LOOKALIKES.get(letter, letter) for letter in word)


def _spaced(word: str) -> str:
    middle = len(word) // 2
    return f"{word[:middle]} {word[middle:]}"


def _doubled(word: str) -> str:
    return "".join(letter * 2 if place % 3 == 1 else letter for place, letter in enumerate(word))


def _cut(word: str) -> str:
    return word[: max(1, len(word) * 2 // 3)]


def _reversed(word: str) -> str:
    return word[:1] + word[1:-1][::-1] + word[-1:] if len(word) > 2 else word


def _gone(word: str) -> str:
    del word
    return ""


_CHANGES: tuple[tuple[Word, int], ...] = (
    (_swapped, 50),
    (_without_vowels, 50),
    (_neighboring, 50),
    (_lookalike, 40),
    (_spaced, 50),
    (_doubled, 40),
    (_cut, 60),
    (_reversed, 35),
    (_gone, 40),
)
KINDS = len(_CHANGES)
"""Kinds of damage besides ``CLEAN``: letters swapped, vowels left out, a neighboring key hit, digits for letters, words
cut in two, letters doubled, endings left out, insides reversed, words left out."""
