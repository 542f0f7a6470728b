"""Lines that differ in numbers only, told as one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

__all__ = ["group_by_numbers"]

Key = TypeVar("Key", bound=Hashable)

_NUMBER = re.compile(r"\d+")
# A list of numbers with gaps is cut behind so many.
_SHOWN_NUMBERS = 4


def group_by_numbers(entries: Iterable[tuple[Key, str]]) -> Iterator[tuple[Key, str, int]]:
    """Texts of one key that differ in their numbers only, as one text with ranges, and how many they are.

    ``layer.0.query`` to ``layer.5.query`` give ``layer.[0-5].query`` and 6. In the order of the first of each.
    """
    groups: dict[tuple[Key, str], list[str]] = defaultdict(list)
    for key, text in entries:
        groups[key, _NUMBER.sub("#", text)].append(text)
    for (key, _), texts in groups.items():
        yield key, _joined(texts), len(texts)


def _joined(texts: Sequence[str]) -> str:
    columns = zip(*(_NUMBER.findall(text) for text in texts), strict=True)
    ranges = iter([_range([int(number) for number in column]) for column in columns])
    return _NUMBER.sub(lambda _: next(ranges), texts[0]) if len(texts) > 1 else texts[0]


def _range(numbers: Sequence[int]) -> str:
    different = sorted(set(numbers))
    if len(different) == 1:
        return str(different[0])
    if different == list(range(different[0], different[-1] + 1)):
        return f"[{different[0]}-{different[-1]}]"
    rest = ",..." if len(different) > _SHOWN_NUMBERS else ""
    return f"[{','.join(map(str, different[:_SHOWN_NUMBERS]))}{rest}]"
