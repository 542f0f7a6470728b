"""What an update cascade is planned from, in memory."""

from __future__ import annotations

from collections import defaultdict

from mgit_core.cascade.graph import CascadeGraph
from mgit_core.creation import merge_base_of
from mgit_core.lineage import Model, ModelSummary, RevisionEdge
from mgit_storage.lineage import checks
from mgit_storage.lineage.cascade_records import recorded_creation
from mgit_storage.lineage.memory.state import State, summary_of

__all__ = ["read_graph"]


def read_graph(state: State, old_uid: str, new_uid: str) -> CascadeGraph:
    """The descendants of a model, with all that decides how they are made anew."""
    old, new = state.model(old_uid), state.model(new_uid)
    checks.check_present(old)
    checks.check_present(new)
    below = _below(state, old_uid, new_uid)
    edges = [edge for uid in sorted(below) for edge in state.parents.get(uid, ())]
    creations = {
        uid: recorded_creation(record) for uid in below if (record := state.models[uid].creation) is not None
    }
    bases = {uid for uid in map(merge_base_of, creations.values()) if uid in state.models}
    uids = {old_uid, new_uid, *below, *(edge.parent_uid for edge in edges), *bases}
    models = {uid: summary_of(state.models[uid]) for uid in uids}
    latest = {
        name: found
        for name in {state.models[edge.parent_uid].name for edge in edges}
        if (found := state.latest(name)) is not None
    }
    return CascadeGraph(
        old=summary_of(old),
        new=summary_of(new),
        models=models,
        edges=tuple(edges),
        revisions=_version_path(state, old, new),
        creations=creations,
        latest={name: summary_of(model) for name, model in latest.items()},
    )


def _version_path(state: State, old: ModelSummary, new: ModelSummary) -> tuple[RevisionEdge, ...]:
    path: list[RevisionEdge] = []
    at = new.uid
    while at in state.revisions:
        path.append(RevisionEdge(newer_uid=at, older_uid=state.revisions[at]))
        at = state.revisions[at]
        if at == old.uid:
            return tuple(path)
    raise checks.not_a_revision(old, new)


def _below(state: State, *starts: str) -> set[str]:
    """Descendants, what was made together with them, the descendants of that, and so on."""
    children: dict[str, list[str]] = defaultdict(list)
    mates: dict[str, list[Model]] = defaultdict(list)
    for uid, edges in state.parents.items():
        for edge in edges:
            children[edge.parent_uid].append(uid)
    for model in state.models.values():
        if model.creation is not None and model.creation.group:
            mates[model.creation.group].append(model)
    found: set[str] = set()
    frontier = [child for start in starts for child in children[start]]
    while frontier:
        uid = frontier.pop()
        if uid in found:
            continue
        found.add(uid)
        frontier += children[uid]
        creation = state.models[uid].creation
        if creation is not None and creation.group:
            frontier += [mate.uid for mate in mates[creation.group]]
    return found
