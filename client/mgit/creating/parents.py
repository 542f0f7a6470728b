"""The parents that a creation function gets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from mgit.chunks import WireChunkReader
from mgit.connection import Connection
from mgit.model import Model
from mgit.running.given import read_given
from mgit.values import Relation
from mgit_core.lineage import ParentLink

__all__ = ["CreationParent", "open_parent"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CreationParent(Model):
    """A parent: a model as ``repo.get`` gives it, whose loaded arrays belong to the function.

    Attributes:
        relation: How the child is made from it.
        weight: Its share in the child, if that was said.
    """

    relation: Relation
    weight: float | None


def open_parent(connection: Connection, reader: WireChunkReader, link: ParentLink) -> CreationParent:
    """The parent that an edge leads to; a staged one, too.

    Raises:
        NotFoundError: MODEL_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED or PARAMETERS_PROMISED.
    """
    model = read_given(connection, reader, f"@{link.parent_uid}")
    known = {each.name: getattr(model, each.name) for each in dataclasses.fields(model)}
    return CreationParent(**known, relation=link.relation, weight=link.weight)
