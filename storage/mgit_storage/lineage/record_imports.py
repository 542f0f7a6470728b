"""Edges and tags of another store, united with those that are here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mgit_core.lineage import ModelState, ModelSummary, ProvenanceEdge, RevisionEdge, Tag
from mgit_core.ports.exchange import ExchangeRecords
from mgit_storage.lineage import exchange_rules as rules
from mgit_storage.lineage import records as forms
from mgit_storage.lineage.cypher import exchange as cypher
from mgit_storage.lineage.cypher import graph as graph_cypher
from mgit_storage.lineage.cypher import model_tests as test_cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.cypher import schema
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import AnyTransaction, run

__all__ = ["find_models", "unite_edges", "unite_tags"]

_UIDS_AT_ONCE = 10_000


async def find_models(transaction: AnyTransaction, uids: Sequence[str]) -> dict[str, ModelSummary]:
    """Those of the models that are here, by uid."""
    found: dict[str, ModelSummary] = {}
    for start in range(0, len(uids), _UIDS_AT_ONCE):
        part = list(uids[start : start + _UIDS_AT_ONCE])
        for row in await run(transaction, model_cypher.FIND_SUMMARIES, uids=part):
            model = forms.summary_from_row(row["model"])
            found[model.uid] = model
    return found


async def unite_edges(transaction: AnyTransaction, records: ExchangeRecords) -> int:
    """Add the edges that are not here, whose ends are; their number.

    Raises:
        ConflictError: CYCLE.
    """
    if not records.edges and not records.revisions:
        return 0
    await run(transaction, schema.LOCK_GRAPH)
    ends = {uid for edge in records.edges for uid in (edge.child_uid, edge.parent_uid)}
    ends |= {uid for edge in records.revisions for uid in (edge.newer_uid, edge.older_uid)}
    here = await find_models(transaction, sorted(ends))
    edges = await _new_edges(transaction, records.edges, here)
    revisions = await _new_revisions(transaction, records.revisions, here)
    if edges or revisions:
        pairs = [(edge.child_uid, edge.parent_uid) for edge in edges]
        pairs += [(edge.newer_uid, edge.older_uid) for edge in revisions]
        await _check_no_cycle(transaction, pairs, here)
        await run(transaction, cypher.CREATE_LINKS, links=list(map(_link_row, edges)))
        rows = [{"newer_uid": each.newer_uid, "older_uid": each.older_uid} for each in revisions]
        await run(transaction, cypher.CREATE_REVISIONS, revisions=rows)
    return len(edges) + len(revisions)


async def _new_edges(
    transaction: AnyTransaction, edges: Sequence[ProvenanceEdge], here: Mapping[str, ModelSummary]
) -> list[ProvenanceEdge]:
    """Those that are not here, each at its own position or, if that is taken, behind all others."""
    wanted = [edge for edge in edges if edge.child_uid in here and edge.parent_uid in here]
    children = sorted({edge.child_uid for edge in wanted})
    known: set[tuple[str, str, str]] = set()
    taken: defaultdict[str, set[int]] = defaultdict(set)
    for start in range(0, len(children), _UIDS_AT_ONCE):
        part = children[start : start + _UIDS_AT_ONCE]
        for row in await run(transaction, graph_cypher.EDGES_OF, uids=part):
            edge = forms.edge_from_row(row["edge"])
            known.add((edge.child_uid, edge.parent_uid, edge.relation))
            taken[edge.child_uid].add(edge.position)
    new: list[ProvenanceEdge] = []
    for edge in sorted(wanted, key=lambda each: (each.child_uid, each.position)):
        key = (edge.child_uid, edge.parent_uid, edge.relation)
        if key not in known:
            known.add(key)
            placed = rules.placed(edge, taken[edge.child_uid])
            taken[edge.child_uid].add(placed.position)
            new.append(placed)
    return new


async def _new_revisions(
    transaction: AnyTransaction, revisions: Sequence[RevisionEdge], here: Mapping[str, ModelSummary]
) -> list[RevisionEdge]:
    """Those of models without a version edge; the first of each."""
    wanted = [edge for edge in revisions if edge.newer_uid in here and edge.older_uid in here]
    newer = sorted({edge.newer_uid for edge in wanted})
    taken: set[str] = set()
    for start in range(0, len(newer), _UIDS_AT_ONCE):
        part = newer[start : start + _UIDS_AT_ONCE]
        rows = await run(transaction, graph_cypher.REVISIONS_OF, uids=part)
        taken.update(row["newer_uid"] for row in rows)
    new: dict[str, RevisionEdge] = {}
    for edge in wanted:
        if edge.newer_uid not in taken:
            new.setdefault(edge.newer_uid, edge)
    return list(new.values())


async def _check_no_cycle(
    transaction: AnyTransaction, pairs: Sequence[tuple[str, str]], here: Mapping[str, ModelSummary]
) -> None:
    """A cycle through new edges lies in them and in what their older ends reach; that is read hop by hop."""
    older: defaultdict[str, list[str]] = defaultdict(list)
    for newer_uid, older_uid in pairs:
        older[newer_uid].append(older_uid)
    refs = {uid: model.ref for uid, model in here.items()}
    seen = {older_uid for _, older_uid in pairs}
    level = sorted(seen)
    while level:
        part, level = level[:_UIDS_AT_ONCE], level[_UIDS_AT_ONCE:]
        for row in await run(transaction, cypher.EDGES_BELOW, uids=part):
            refs[row["newer"]] = row["ref"]
            older[row["newer"]] += row["older"]
            fresh = [uid for uid in row["older"] if uid not in seen]
            seen.update(fresh)
            level += fresh
    rules.check_no_cycle(older, refs)


def _link_row(edge: ProvenanceEdge) -> Row:
    return {
        "child_uid": edge.child_uid,
        "parent_uid": edge.parent_uid,
        "relation": forms.edge_type(edge.relation),
        "properties": forms.kept_edge_properties(edge),
    }


async def unite_tags(transaction: AnyTransaction, tags: Sequence[Tag], *, force: bool) -> int:
    """Add the tags of models that are here and present, under the names that these have here; how many changed.

    Raises:
        ConflictError: TAG_MOVED.
    """
    if not tags:
        return 0
    uids = sorted({tag.model.uid for tag in tags})
    await run(transaction, test_cypher.LOCK_NAMES_OF, uids=uids)
    here = await find_models(transaction, uids)
    wanted = {
        (here[tag.model.uid].name, tag.tag): tag.model.uid
        for tag in tags
        if tag.model.uid in here and here[tag.model.uid].state is ModelState.PRESENT
    }
    keys = [{"name": name, "tag": tag} for name, tag in sorted(wanted)]
    rows = await run(transaction, cypher.KNOWN_TAGS, tags=keys)
    known = {(row["name"], row["tag"]): row for row in rows}
    moved = {key: row["ref"] for key, row in known.items() if row["uid"] != wanted[key]}
    if moved and not force:
        raise rules.tags_moved(moved)
    new = [
        {"name": name, "tag": tag, "uid": wanted[name, tag]}
        for name, tag in sorted(wanted)
        if (name, tag) not in known or (name, tag) in moved
    ]
    await run(transaction, cypher.PUT_TAGS, tags=new)
    return len(new)
