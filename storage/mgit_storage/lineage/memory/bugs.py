"""Bugs in memory, and whom they reach, by the definition."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from mgit_core.bugs import (
    AffectedModel,
    AffectedReason,
    Bug,
    BugState,
    BugSubject,
    DatasetSubject,
    ModelSubject,
    TensorSubject,
    order_subjects,
)
from mgit_core.lineage import EdgeOrigin, Model, ModelSummary, ProvenanceEdge, Relation, RequestKey
from mgit_core.ports.bugs import Bugs, ReachMargin, ReachQuery
from mgit_core.ports.paging import Page
from mgit_storage.lineage import bug_checks
from mgit_storage.lineage.bug_records import keys_of_subjects
from mgit_storage.lineage.memory.state import MemoryGraph, State, summary_of

__all__ = ["MemoryBugs"]

_SLICE = 500


class MemoryBugs(Bugs):
    """Bugs, their fixes, and whom they reach."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def report(self, bug: Bug, request: RequestKey | None = None) -> Bug:
        def unit(state: State) -> Bug:
            _check_subjects(state, bug)
            carried_by = tuple(relation for relation in Relation if relation in bug.carried_by)
            state.bugs[bug.id] = replace(bug, carried_by=carried_by)
            return _described(state, bug.id)

        return self._graph.write(unit, request)[0]

    async def fix(
        self, bug_id: str, model_uid: str, *, force: bool = False, request: RequestKey | None = None
    ) -> Bug:
        def unit(state: State) -> Bug:
            bug = _find(state, bug_id)
            model = summary_of(state.model(model_uid))
            fixed = [each.uid for each in bug.fixed_in]
            if model_uid in fixed:
                return _described(state, bug_id)
            if not force and model_uid not in _affected_uids(state, ReachQuery(bug_id=bug_id)):
                raise bug_checks.model_not_affected(bug_id, model)
            bug_checks.check_fixes(bug_id, len(fixed))
            state.bugs[bug_id] = replace(bug, fixed_in=(*bug.fixed_in, model), updated_at=self._graph.now())
            return _described(state, bug_id)

        return self._graph.write(unit, request)[0]

    async def set_state(self, bug_id: str, state: BugState, request: RequestKey | None = None) -> Bug:
        def unit(draft: State) -> Bug:
            bug = _find(draft, bug_id)
            if bug.state is not state:
                draft.bugs[bug_id] = replace(bug, state=state, updated_at=self._graph.now())
            return _described(draft, bug_id)

        return self._graph.write(unit, request)[0]

    async def find(self, id_prefix: str) -> list[Bug]:
        state = self._graph.state
        ids = sorted(bug_id for bug_id in state.bugs if bug_id.startswith(id_prefix))
        return [_described(state, bug_id) for bug_id in ids[:2]]

    async def list_page(
        self, page: Page, *, state: BugState | None = None, model_uid: str | None = None
    ) -> list[Bug]:
        graph = self._graph.state
        found: list[Bug] = []
        for bug_id in sorted(graph.bugs, reverse=True):
            bug = graph.bugs[bug_id]
            is_behind = page.after is None or bug_id < page.after
            is_of_model = model_uid is None or model_uid in keys_of_subjects(bug.affects).model_uids
            if is_behind and is_of_model and state in {None, bug.state}:
                found.append(_described(graph, bug_id))
        return found[: page.size]

    async def affected(self, query: ReachQuery) -> AsyncIterator[list[AffectedModel]]:
        rows = _affected(self._graph.state, query)
        for start in range(0, len(rows), _SLICE):
            yield rows[start : start + _SLICE]

    async def count(self, query: ReachQuery) -> int:
        return len(_affected_uids(self._graph.state, query))

    async def margin(self, query: ReachQuery) -> ReachMargin:
        state = self._graph.state
        fixed = _fixed(state, query)
        reached = _affected_uids(state, query)
        tied = _affected_uids(state, query, heeds_fixes=False)
        newer = set(reached)
        while grown := {new for new, old in state.revisions.items() if old in newer} - newer:
            newer |= grown
        cleared = _affected_uids(state, replace(query, assumed_fixed=())) - reached
        return ReachMargin(
            unknown=_summaries(state, newer - tied - fixed), cleared=_summaries(state, cleared)
        )


def _find(state: State, bug_id: str) -> Bug:
    if bug_id not in state.bugs:
        raise bug_checks.bug_not_found(bug_id)
    return state.bugs[bug_id]


def _described(state: State, bug_id: str) -> Bug:
    """The bug with references and states of models as they are now."""
    bug = _find(state, bug_id)
    fixed = sorted(each.uid for each in bug.fixed_in)
    subjects: list[BugSubject] = [
        ModelSubject(each.uid, state.models[each.uid].ref) if isinstance(each, ModelSubject) else each
        for each in bug.affects
    ]
    return replace(
        bug,
        affects=order_subjects(subjects),
        fixed_in=tuple(summary_of(state.models[uid]) for uid in fixed),
    )


def _summaries(state: State, uids: Iterable[str]) -> tuple[ModelSummary, ...]:
    return tuple(summary_of(state.models[uid]) for uid in sorted(uids))


def _check_subjects(state: State, bug: Bug) -> None:
    datasets = {(each.name, each.version) for model in state.models.values() for each in model.datasets}
    found = (
        state.models,
        [tensor.digest.hex() for tensors in state.tensors.values() for tensor in tensors],
        datasets,
        [name for name, _ in datasets],
    )
    bug_checks.check_subjects(keys_of_subjects(bug.affects), [list(each) for each in found])


def _touches(state: State, subject: BugSubject, model: Model) -> AffectedReason | None:
    match subject:
        case ModelSubject():
            return AffectedReason.DIRECT if subject.uid == model.uid else None
        case TensorSubject():
            tensors = () if model.parameters is None else state.tensors[model.parameters.digest]
            holds = any(tensor.digest == subject.digest for tensor in tensors)
            return AffectedReason.TENSOR if holds else None
        case DatasetSubject():
            name, version = subject.dataset.name, subject.dataset.version
            is_trained = any(each.name == name and version in {"", each.version} for each in model.datasets)
            return AffectedReason.DATASET if is_trained else None


def _fixed(state: State, query: ReachQuery) -> set[str]:
    return {*query.assumed_fixed, *(each.uid for each in _find(state, query.bug_id).fixed_in)}


def _touched(state: State, bug: Bug) -> dict[str, AffectedReason]:
    touched: dict[str, AffectedReason] = {}
    for subject in order_subjects(bug.affects):
        for uid, model in state.models.items():
            reason = _touches(state, subject, model)
            if reason is not None:
                touched.setdefault(uid, reason)
    return touched


def _carrying(state: State, query: ReachQuery, stopped: set[str]) -> list[ProvenanceEdge]:
    carried_by = _find(state, query.bug_id).carried_by
    return [
        edge
        for edges in state.parents.values()
        for edge in edges
        if edge.relation in carried_by
        and not (query.declared_only and edge.origin is EdgeOrigin.INFERRED)
        and stopped.isdisjoint((edge.child_uid, edge.parent_uid))
    ]


def _lengthen(hops: dict[str, int], edges: Iterable[ProvenanceEdge]) -> dict[str, int]:
    """The shortest ways of models that have none yet, by going over all edges until nothing changes."""
    found = dict(hops)
    is_done = False
    while not is_done:
        is_done = True
        for edge in edges:
            length = found.get(edge.parent_uid, math.inf) + 1
            if edge.child_uid not in hops and length < found.get(edge.child_uid, math.inf):
                found[edge.child_uid] = int(length)
                is_done = False
    return found


def _affected_uids(state: State, query: ReachQuery, *, heeds_fixes: bool = True) -> set[str]:
    stopped = _fixed(state, query) if heeds_fixes else set[str]()
    starts = dict.fromkeys(set(_touched(state, _find(state, query.bug_id))) - stopped, 0)
    return set(_lengthen(starts, _carrying(state, query, stopped)))


def _affected(state: State, query: ReachQuery) -> list[AffectedModel]:
    stopped = _fixed(state, query)
    reasons = _touched(state, _find(state, query.bug_id))
    edges = _carrying(state, query, stopped)
    declared = [edge for edge in edges if edge.origin is not EdgeOrigin.INFERRED]
    sure = _lengthen(dict.fromkeys(set(reasons) - stopped, 0), declared)
    every = _lengthen(sure, edges)
    found: list[AffectedModel] = []
    for uid in sorted(every, key=lambda each: (every[each], each)):
        model, is_sure = state.described(uid), uid in sure
        ways, hops = (declared, sure) if is_sure else (edges, every)
        nexts = [
            edge.parent_uid
            for edge in ways
            if edge.child_uid == uid and hops.get(edge.parent_uid, math.inf) + 1 == hops[uid]
        ]
        found.append(
            AffectedModel(
                model=summary_of(model),
                reason=reasons.get(uid, AffectedReason.INHERITED),
                next_uid=min(nexts, default=None),
                hops=hops[uid],
                is_inferred=not is_sure,
                tags=model.tags,
            )
        )
    return found
