"""What goes along with models of other stores, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mgit_core.bugs import Bug, BugSubject, DatasetSubject, ModelSubject, TensorSubject, order_subjects
from mgit_core.lineage import ModelState, ProvenanceEdge, RevisionEdge, Tag
from mgit_core.model_tests import ModelTest, ModelTestScope
from mgit_core.ports.exchange import ExchangeRecords, KeptResult, RecordChanges
from mgit_storage.lineage import exchange_rules as rules
from mgit_storage.lineage.memory.model_tests import judged
from mgit_storage.lineage.memory.state import State, summary_of

__all__ = ["export_records", "import_records"]


def export_records(state: State, uids: Sequence[str]) -> ExchangeRecords:
    """As ``Exchange.export_records``."""
    models = {uid: state.model(uid) for uid in uids}
    results = [result for _, result in sorted(state.results.items()) if result.model_uid in models]
    types = {model.type for model in models.values()}
    tested = {result.key.test_uid for result in results}
    tests = [
        test
        for _, test in sorted(state.tests.items())
        if test.uid in tested
        or test.model_uid in models
        or (test.scope is ModelTestScope.TYPE and test.type in types)
        or (test.scope is ModelTestScope.ALL and not test.is_removed)
    ]
    return ExchangeRecords(
        edges=tuple(edge for uid in sorted(models) for edge in state.parents.get(uid, ())),
        revisions=tuple(
            RevisionEdge(newer_uid=uid, older_uid=state.revisions[uid])
            for uid in sorted(models)
            if uid in state.revisions
        ),
        tags=tuple(
            Tag(model_name=name, tag=tag, model=summary_of(state.models[uid]))
            for (name, tag), uid in sorted(state.tags.items())
            if uid in models
        ),
        tests=tuple(_described(state, test) for test in tests),
        results=tuple(
            KeptResult(result=judged(state, result), measurement=state.measurements[result.uid])
            for result in results
        ),
        bugs=tuple(
            _bug_as_now(state, bug) for _, bug in sorted(state.bugs.items()) if _touches(state, bug, models)
        ),
    )


def _described(state: State, test: ModelTest) -> ModelTest:
    return test if test.model_uid is None else replace(test, model_ref=state.models[test.model_uid].ref)


def _bug_as_now(state: State, bug: Bug) -> Bug:
    affects = [
        ModelSubject(each.uid, state.models[each.uid].ref) if isinstance(each, ModelSubject) else each
        for each in bug.affects
    ]
    fixed = sorted(model.uid for model in bug.fixed_in)
    return replace(
        bug, affects=tuple(affects), fixed_in=tuple(summary_of(state.models[uid]) for uid in fixed)
    )


def _touches(state: State, bug: Bug, uids: Iterable[str]) -> bool:
    fixed = {model.uid for model in bug.fixed_in}
    return any(uid in fixed or any(_is_of(state, each, uid) for each in bug.affects) for uid in uids)


def _is_of(state: State, subject: BugSubject, uid: str) -> bool:
    model = state.models[uid]
    match subject:
        case ModelSubject():
            return subject.uid == uid
        case TensorSubject():
            held = () if model.parameters is None else state.tensors[model.parameters.digest]
            return any(tensor.digest == subject.digest for tensor in held)
        case DatasetSubject():
            name, version = subject.dataset.name, subject.dataset.version
            return any(each.name == name and version in {"", each.version} for each in model.datasets)


def import_records(state: State, records: ExchangeRecords, remote: str, *, force_tags: bool) -> RecordChanges:
    """As ``Exchange.import_records``."""
    return RecordChanges(
        edges=_unite_edges(state, records),
        tags=_unite_tags(state, records.tags, force=force_tags),
        tests=sum(_unite_test(state, test, remote) for test in records.tests),
        results=sum(_unite_result(state, kept) for kept in records.results),
        bugs=sum(_unite_bug(state, bug) for bug in records.bugs),
    )


def _unite_edges(state: State, records: ExchangeRecords) -> int:
    new = 0
    for edge in sorted(records.edges, key=lambda each: (each.child_uid, each.position)):
        known = state.parents.get(edge.child_uid, ())
        is_known = any((each.parent_uid, each.relation) == (edge.parent_uid, edge.relation) for each in known)
        if {edge.child_uid, edge.parent_uid} <= state.models.keys() and not is_known:
            state.parents[edge.child_uid] = _with_edge(known, edge)
            new += 1
    for revision in records.revisions:
        are_there = {revision.newer_uid, revision.older_uid} <= state.models.keys()
        if are_there and revision.newer_uid not in state.revisions:
            state.revisions[revision.newer_uid] = revision.older_uid
            new += 1
    if new:
        older = {uid: [edge.parent_uid for edge in edges] for uid, edges in state.parents.items()}
        for newer_uid, older_uid in state.revisions.items():
            older.setdefault(newer_uid, []).append(older_uid)
        rules.check_no_cycle(older, {uid: model.ref for uid, model in state.models.items()})
    return new


def _with_edge(known: tuple[ProvenanceEdge, ...], edge: ProvenanceEdge) -> tuple[ProvenanceEdge, ...]:
    placed = rules.placed(edge, {each.position for each in known})
    return tuple(sorted((*known, placed), key=lambda each: each.position))


def _unite_tags(state: State, tags: Sequence[Tag], *, force: bool) -> int:
    wanted = {
        (state.models[tag.model.uid].name, tag.tag): tag.model.uid
        for tag in tags
        if _is_present(state, tag.model.uid)
    }
    moved = {
        key: state.models[state.tags[key]].ref
        for key, uid in wanted.items()
        if state.tags.get(key, uid) != uid
    }
    if moved and not force:
        raise rules.tags_moved(moved)
    new = {key: uid for key, uid in wanted.items() if state.tags.get(key) != uid}
    state.tags.update(new)
    return len(new)


def _is_present(state: State, uid: str) -> bool:
    return uid in state.models and state.models[uid].state is ModelState.PRESENT


def _unite_test(state: State, test: ModelTest, remote: str) -> bool:
    if test.model_uid is not None and not _is_present(state, test.model_uid):
        return False
    test = replace(test, model_ref="")
    known = state.tests.get(test.uid)
    if known is None:
        taken = {each.name.lower() for each in state.tests.values() if not each.is_removed}
        names = rules.test_names(test, remote)
        free = [name for name in names if test.is_removed or name.lower() not in taken]
        if free:
            state.tests[test.uid] = replace(test, name=free[0])
        return bool(free)
    state.tests[test.uid] = rules.later_test(known, test)
    return state.tests[test.uid] != known


def _unite_result(state: State, kept: KeptResult) -> bool:
    result = kept.result
    is_wanted = _is_present(state, result.model_uid) and result.key.test_uid in state.tests
    if not is_wanted or result.uid in state.results:
        return False
    state.results[result.uid] = replace(result, test_name="", model=None)
    state.measurements[result.uid] = kept.measurement
    return True


def _unite_bug(state: State, bug: Bug) -> bool:
    known = state.bugs.get(bug.id)
    fixed = [model.uid for model in bug.fixed_in if model.uid in state.models]
    here = replace(
        bug,
        affects=order_subjects(each for each in bug.affects if _is_known(state, each)),
        fixed_in=tuple(summary_of(state.models[uid]) for uid in sorted(fixed)),
    )
    if known is None and not here.affects:
        return False
    state.bugs[bug.id] = here if known is None else rules.later_bug(known, here)
    return known is None or rules.is_other_bug(known, state.bugs[bug.id])


def _is_known(state: State, subject: BugSubject) -> bool:
    match subject:
        case ModelSubject():
            return subject.uid in state.models
        case TensorSubject():
            held = (tensor.digest for tensors in state.tensors.values() for tensor in tensors)
            return subject.digest in held
        case DatasetSubject():
            name, version = subject.dataset.name, subject.dataset.version
            datasets = (each for model in state.models.values() for each in model.datasets)
            return any(each.name == name and version in {"", each.version} for each in datasets)
