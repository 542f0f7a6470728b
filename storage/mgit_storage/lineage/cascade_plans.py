"""What an update cascade is planned from, read from Neo4j.

It is read in several transactions: what is added meanwhile may lack, and what is taken away meanwhile is found when the
cascade is started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mgit_core.cascade.graph import CascadeGraph
from mgit_core.creation import CreationRecord, merge_base_of
from mgit_core.lineage import Direction, ModelSummary, ProvenanceEdge, RevisionEdge
from mgit_core.ports.graph import TraversalQuery
from mgit_storage.lineage import checks, creation_records, records
from mgit_storage.lineage.cascade_records import recorded_creation
from mgit_storage.lineage.cypher import cascade_plans as cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.session import GraphSession
from mgit_storage.lineage.traversal import Neo4jTraversal

__all__ = ["read_graph"]

_UIDS_AT_ONCE = 5_000


async def read_graph(session: GraphSession, old_uid: str, new_uid: str) -> CascadeGraph:
    """The descendants of a model, with all that decides how they are made anew.

    Raises:
        NotFoundError: MODEL_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED or NOT_A_REVISION.
    """
    old, new = await _ends(session, old_uid, new_uid)
    # The server refuses to look for a path that ends where it begins.
    ends = {"new_uid": new_uid, "old_uid": old_uid}
    path = [] if new_uid == old_uid else await session.rows(cypher.VERSION_PATH, **ends)
    if not path:
        raise checks.not_a_revision(old, new)
    reading = _Reading(session)
    reading.models |= {old.uid: old, new.uid: new}
    await reading.read_below([old_uid, new_uid])
    await reading.read_bases()
    await reading.read_latest()
    revisions = pairwise(path[0]["uids"])
    return CascadeGraph(
        old=old,
        new=new,
        models=reading.models,
        edges=tuple(reading.edges),
        revisions=tuple(RevisionEdge(newer_uid=newer, older_uid=older) for newer, older in revisions),
        creations=reading.creations,
        latest=reading.latest,
    )


async def _ends(session: GraphSession, old_uid: str, new_uid: str) -> tuple[ModelSummary, ModelSummary]:
    rows = await session.rows(model_cypher.FIND_SUMMARIES, uids=[old_uid, new_uid])
    found = {row["model"]["uid"]: records.summary_from_row(row["model"]) for row in rows}
    for uid in (old_uid, new_uid):
        if uid not in found:
            raise checks.model_not_found(f"@{uid}")
        checks.check_present(found[uid])
    return found[old_uid], found[new_uid]


@dataclass(slots=True)
class _Reading:
    """What was read so far."""

    session: GraphSession
    models: dict[str, ModelSummary] = field(default_factory=dict[str, ModelSummary])
    edges: list[ProvenanceEdge] = field(default_factory=list[ProvenanceEdge])
    creations: dict[str, CreationRecord] = field(default_factory=dict[str, CreationRecord])
    latest: dict[str, ModelSummary] = field(default_factory=dict[str, ModelSummary])
    _below: set[str] = field(default_factory=set[str])
    _groups: set[str] = field(default_factory=set[str])

    async def read_below(self, starts: Sequence[str]) -> None:
        """Read all descendants, then what was made together with them and the descendants of that, and so on."""
        fresh = await self._descendants(starts)
        while fresh:
            await self._read_families(sorted(fresh))
            groups = {record.group for record in self.creations.values() if record.group} - self._groups
            self._groups |= groups
            rows = await self.session.rows(cypher.GROUP_MEMBERS, groups=sorted(groups)) if groups else []
            mates = {row["uid"] for row in rows} - self._below
            fresh = mates | await self._descendants(sorted(mates))
            fresh -= self._below

    async def _descendants(self, starts: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in starts:
            query = TraversalQuery(uid=start, direction=Direction.DESCENDANTS)
            async for part in Neo4jTraversal(self.session).uids(query):
                found.update(part)
        return found

    async def _read_families(self, uids: Sequence[str]) -> None:
        self._below.update(uids)
        for start in range(0, len(uids), _UIDS_AT_ONCE):
            rows = await self.session.rows(cypher.FAMILIES, uids=list(uids[start : start + _UIDS_AT_ONCE]))
            for row in rows:
                model = records.summary_from_row(row["model"])
                self.models[model.uid] = model
                creation = creation_records.creation_from_row(row["creation"])
                if creation is not None:
                    self.creations[model.uid] = recorded_creation(creation)
                for each in row["parents"]:
                    self.edges.append(records.edge_from_row(each["edge"]))
                    parent = records.summary_from_row(each["parent"])
                    self.models.setdefault(parent.uid, parent)

    async def read_bases(self) -> None:
        """Read the bases of merges, as far as they are here."""
        bases = set(map(merge_base_of, self.creations.values()))
        uids = sorted(uid for uid in bases if uid is not None and uid not in self.models)
        for start in range(0, len(uids), _UIDS_AT_ONCE):
            part = uids[start : start + _UIDS_AT_ONCE]
            for row in await self.session.rows(model_cypher.FIND_SUMMARIES, uids=part):
                model = records.summary_from_row(row["model"])
                self.models[model.uid] = model

    async def read_latest(self) -> None:
        """Read the latest version of each parent's name."""
        names = sorted({self.models[edge.parent_uid].name for edge in self.edges})
        for start in range(0, len(names), _UIDS_AT_ONCE):
            rows = await self.session.rows(cypher.LATEST_OF, names=names[start : start + _UIDS_AT_ONCE])
            for row in rows:
                model = records.summary_from_row(row["model"])
                self.latest[model.name] = model
