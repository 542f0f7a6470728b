"""Short words for what the laws do again and again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

import pytest

from mgit_core.errors import ErrorReason, MGitError
from mgit_core.lineage import CommittedModel, Model, ParentLink, Relation
from mgit_core.names import parse_reference
from mgit_core.ports.graph import Lineage, TraversalQuery
from mgit_storage.testing.values import make_commit

__all__ = ["add", "child_of", "eventually", "find", "hops", "refs", "refused", "uids"]

_T = TypeVar("_T")
_AT_MOST_S = 20.0
_PAUSE_S = 0.02


@contextlib.contextmanager
def refused(kind: type[MGitError], reason: ErrorReason) -> Generator[None]:
    """Expects an error of this class and reason."""
    with pytest.raises(kind) as error:
        yield
    assert error.value.reason is reason


def child_of(*parents: Model, relation: Relation = Relation.FINETUNED) -> tuple[ParentLink, ...]:
    """Links to parents, all of one relation."""
    return tuple(ParentLink(parent_uid=parent.uid, relation=relation) for parent in parents)


async def add(lineage: Lineage, name: str, *parents: Model, content: str | None = None) -> Model:
    """A new model, fine-tuned from ``parents``."""
    committed: CommittedModel = await lineage.models.commit(
        make_commit(name, *child_of(*parents), content=content)
    )
    return committed.model


async def find(lineage: Lineage, reference: str) -> Model:
    """The model that a reference names."""
    return await lineage.models.get(parse_reference(reference))


async def uids(lineage: Lineage, query: TraversalQuery) -> set[str]:
    """All relatives as uids."""
    parts = [part async for part in lineage.traversal.uids(query)]
    found = [uid for part in parts for uid in part]
    assert len(found) == len(set(found)), "each relative comes once"
    return set(found)


async def hops(lineage: Lineage, query: TraversalQuery) -> list[tuple[str, int]]:
    """All relatives as references with hops, as they come."""
    return [(row.model.ref, row.hops) async for part in lineage.traversal.relatives(query) for row in part]


def refs(models: list[Model]) -> list[str]:
    """References of models."""
    return [model.ref for model in models]


async def eventually(ask: Callable[[], Awaitable[_T]], is_right: Callable[[_T], bool]) -> _T:
    """The first right answer; asks for 20 seconds at most."""
    async with asyncio.timeout(_AT_MOST_S):
        while True:
            answer = await ask()
            if is_right(answer):
                return answer
            await asyncio.sleep(_PAUSE_S)
