"""The part of the lineage that a walk goes over, packed: rows, and numbers instead of uids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from mgit_core.lineage import ModelState, ModelSummary

__all__ = ["Neighbors", "WalkGraph", "WalkModel"]

Numbers = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WalkModel(NamedTuple):
    """A summary as a row, which is made and sorted ten times as fast as a value; by time and then uid.

    Attributes:
        created_us: When it was added, microseconds since 1970.
        uid: UID.
        name: Model name.
        version: Version number.
        state: Text of its state.
    """

    created_us: int
    uid: str
    name: str
    version: int
    state: str

    @classmethod
    def of(cls, model: ModelSummary) -> Self:
        """The row of a summary."""
        created_us = (model.created_at - _EPOCH) // timedelta(microseconds=1)
        return cls(created_us, model.uid, model.name, model.version, model.state.value)

    def summary(self) -> ModelSummary:
        """The row as a value."""
        return ModelSummary(
            uid=self.uid,
            name=self.name,
            version=self.version,
            state=ModelState(self.state),
            created_at=_EPOCH + timedelta(microseconds=self.created_us),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """The models one edge away from each model, one way.

    Attributes:
        begins: Where the neighbors of each model begin in ``ends``, and behind the last model the length of it.
        ends: All neighbors, model after model, each model's in rising order.
    """

    begins: Sequence[int]
    ends: Sequence[int]

    def of(self, number: int) -> Sequence[int]:
        """The neighbors of a model, each once, in rising order."""
        return self.ends[self.begins[number] : self.begins[number + 1]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WalkGraph:
    """Models and the edges among them that are followed.

    A model is a number: models are counted by creation time and then uid, so that the smaller number wins a tie.

    Attributes:
        models: By number.
        older: What the edges of each model lead to.
        newer: Whose edges lead to each model.
    """

    models: Sequence[WalkModel]
    older: Neighbors
    newer: Neighbors

    @classmethod
    def build(
        cls,
        models: Sequence[WalkModel],
        ids: Sequence[int] | Numbers,
        newer: Sequence[int] | Numbers,
        older: Sequence[int] | Numbers,
    ) -> Self:
        """Put a graph together from columns, in the time that sorting them takes.

        An edge with an end that is none of the models is left out, and so is an edge from a model to itself; several
        edges between two models count as one.

        Args:
            models: Each once, in any order.
            ids: What the edges call each of them; any distinct numbers.
            newer: The newer end of each edge.
            older: The older end of each edge.
        """
        count = len(models)
        # No two models have one uid, so nothing behind it is compared.
        order = [at for _, at in sorted(zip(models, range(count), strict=True))]
        numbers = np.empty(count, np.int64)
        numbers[order] = np.arange(count)
        ends = _known(np.asarray(ids, np.int64), numbers, (newer, older))
        return cls(
            models=[models[at] for at in order],
            older=_neighbors(ends[0], ends[1], count),
            newer=_neighbors(ends[1], ends[0], count),
        )

    def numbers(self) -> dict[str, int]:
        """The number of each uid."""
        return {model.uid: number for number, model in enumerate(self.models)}

    def edges(self) -> list[tuple[str, str]]:
        """All edges as uids, newer and older end, by the numbers of both."""
        return [
            (model.uid, self.models[older].uid)
            for number, model in enumerate(self.models)
            for older in self.older.of(number)
        ]


def _known(
    ids: Numbers, numbers: Numbers, edges: tuple[Sequence[int] | Numbers, Sequence[int] | Numbers]
) -> tuple[Numbers, Numbers]:
    """The ends of the edges as numbers, of those edges that have both among the models."""
    by_id = np.argsort(ids)
    ends, is_known = [], np.full(len(edges[0]), fill_value=bool(len(ids)))
    for column in edges:
        wanted = np.asarray(column, np.int64)
        if not len(ids):
            ends.append(wanted)
            continue
        at = by_id[np.minimum(np.searchsorted(ids, wanted, sorter=by_id), len(ids) - 1)]
        is_known &= ids[at] == wanted
        ends.append(numbers[at])
    is_known &= ends[0] != ends[1]
    return ends[0][is_known], ends[1][is_known]


def _neighbors(models: Numbers, ends: Numbers, count: int) -> Neighbors:
    # Both fit one number of 63 bits, which sorts and unites far faster than pairs do.
    pairs = np.unique(models * count + ends)
    models, ends = np.divmod(pairs, max(count, 1))
    begins = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(models, minlength=count), out=begins[1:])
    return Neighbors(begins.tolist(), ends.tolist())
