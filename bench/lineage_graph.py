"""A random lineage: models with up to four earlier parents each, loaded through the adapter in batches."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mgit_core.lineage import ModelCommit, ParameterSet, ParentLink, Previous, Relation, TensorRecord
from mgit_core.names import make_uid
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.values import make_tensors

__all__ = ["RandomLineage", "diamonds", "load", "new_model"]

_BATCH = 1_000
_PARENTS = 4
# Parents are among so many models before, so that late models have nearly all others as ancestors.
_REACH = 2_000
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_RELATIONS = tuple(Relation)


@dataclass(frozen=True, slots=True)
class RandomLineage:
    """Parents of each model by number; a model's parents have lower numbers.

    Attributes:
        parents: For each model, the numbers of its parents.
    """

    parents: Sequence[Sequence[int]]

    @classmethod
    def grow(cls, models: int, seed: int) -> RandomLineage:
        """A lineage of ``models`` models, the same for the same seed."""
        chance = random.Random(seed)
        return cls(
            [
                chance.sample(range(max(0, number - _REACH), number), min(number, _PARENTS))
                for number in range(models)
            ]
        )

    def ancestors(self, number: int) -> int:
        """How many ancestors a model has."""
        seen: set[int] = set()
        frontier = [number]
        while frontier:
            found = [parent for parent in self.parents[frontier.pop()] if parent not in seen]
            seen.update(found)
            frontier += found
        return len(seen)

    def descendants(self, number: int) -> int:
        """How many descendants a model has."""
        reached = {number}
        for child in range(number + 1, len(self.parents)):
            if not reached.isdisjoint(self.parents[child]):
                reached.add(child)
        return len(reached) - 1

    def uid(self, number: int) -> str:
        """UID of a model, by its number."""
        return make_uid(1_700_000_000_000 + number, number.to_bytes(10, "big"))

    def commit(self, number: int) -> ModelCommit:
        """The commit of a model; its parameters are two tensors that a hundred others share."""
        chance = random.Random(number)
        return ModelCommit(
            uid=self.uid(number),
            name=f"model-{number:06d}",
            created_at=_BEGIN + timedelta(seconds=number),
            parameters=_parameters(f"set {number}", 2),
            tensors=make_tensors(f"shared {number // 100}", 2),
            epoch=1,
            parents=tuple(
                ParentLink(parent_uid=self.uid(parent), relation=chance.choice(_RELATIONS))
                for parent in self.parents[number]
            ),
        )


def new_model(name: str, parent_uids: Sequence[str], tensors: Sequence[TensorRecord]) -> ModelCommit:
    """A commit of a model with these parents and tensors, and parameters that nobody has."""
    uid = make_uid(time.time_ns() // 1_000_000, os.urandom(10))
    return ModelCommit(
        uid=uid,
        name=name,
        created_at=datetime.now(UTC),
        parameters=_parameters(uid, len(tensors)),
        tensors=tuple(tensors),
        epoch=1,
        parents=tuple(ParentLink(parent_uid=parent) for parent in parent_uids),
        previous=Previous(automatic=False),
    )


def diamonds(count: int) -> list[ModelCommit]:
    """Stacked diamonds, three models each, on one root; the last commit is on top."""
    commits = [new_model("diamond-root", [], ())]
    for number in range(count):
        sides = [new_model(f"diamond-{number}-{side}", [commits[-1].uid], ()) for side in ("left", "right")]
        top = new_model(f"diamond-{number}-top", [side.uid for side in sides], ())
        commits += [*sides, top]
    return commits


async def load(lineage: Lineage, graph: RandomLineage, begin: int, end: int) -> None:
    """Commit the models from ``begin`` to ``end`` in batches."""
    for start in range(begin, end, _BATCH):
        numbers = range(start, min(start + _BATCH, end))
        await lineage.models.commit_batch([graph.commit(number) for number in numbers])


def _parameters(content: str, tensors: int) -> ParameterSet:
    digest = make_tensors(content, 1)[0].digest
    return ParameterSet(
        digest=digest,
        manifest_key=f"manifests/{digest.hex()}/{0:032x}",
        size_bytes=32 * tensors,
        tensor_count=tensors,
    )
