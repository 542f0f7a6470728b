"""Tied parameters of a merged model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mgit_core.digest import Digest
from mgit_core.manifest import Parameter

__all__ = ["merge_ties"]


def merge_ties(parameters: Sequence[Parameter], ties: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The ties of both sides, as far as what they tie is there and still equal.

    Args:
        parameters: Of the merged model.
        ties: Of both sides; those that have a name in common become one.

    Returns:
        Groups of two names or more, no name in two of them, in the order of ``ties``.
    """
    digests = {parameter.name: parameter.digest for parameter in parameters}
    groups: list[dict[str, None]] = []
    for tie in ties:
        for names in _equal(tie, digests):
            touching = [group for group in groups if group.keys() & set(names)]
            if touching:
                for group in touching[1:]:
                    touching[0].update(group)
                    groups.remove(group)
                touching[0].update(dict.fromkeys(names))
            else:
                groups.append(dict.fromkeys(names))
    return tuple(tuple(group) for group in groups)


def _equal(tie: Sequence[str], digests: dict[str, Digest]) -> Iterable[list[str]]:
    by_digest: dict[Digest, list[str]] = {}
    for name in tie:
        if name in digests:
            by_digest.setdefault(digests[name], []).append(name)
    return [names for names in by_digest.values() if len(names) > 1]
