"""Model tests, results and bugs of another store, united with those that are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mgit_core.bugs import Bug, BugSubject, DatasetSubject, ModelSubject, TensorSubject
from mgit_core.lineage import ModelState, ModelSummary
from mgit_core.model_tests import ModelTest
from mgit_core.ports.exchange import KeptResult
from mgit_storage.lineage import exchange_rules as rules
from mgit_storage.lineage import model_test_records
from mgit_storage.lineage.bug_records import bug_from_row, bug_properties, keys_of_subjects
from mgit_storage.lineage.cypher import bugs as bug_cypher
from mgit_storage.lineage.cypher import exchange as cypher
from mgit_storage.lineage.cypher import model_tests as test_cypher
from mgit_storage.lineage.record_imports import find_models
from mgit_storage.lineage.session import AnyTransaction, run

__all__ = ["unite_bugs", "unite_results", "unite_tests"]


async def unite_tests(transaction: AnyTransaction, tests: Sequence[ModelTest], remote: str) -> int:
    """Add tests that are not here, and change those that were changed later there; how many.

    Those of models that are not present here are left out.
    """
    uids = sorted({test.model_uid for test in tests if test.model_uid is not None})
    await run(transaction, test_cypher.LOCK_NAMES_OF, uids=uids)
    models = await find_models(transaction, uids)
    changed = 0
    for test in sorted(tests, key=lambda each: each.uid):
        if test.model_uid is None or _is_present(models, test.model_uid):
            changed += await _unite_test(transaction, test, remote)
    return changed


def _is_present(models: Mapping[str, ModelSummary], uid: str) -> bool:
    return uid in models and models[uid].state is ModelState.PRESENT


async def _unite_test(transaction: AnyTransaction, test: ModelTest, remote: str) -> bool:
    await run(transaction, test_cypher.LOCK_TEST, uid=test.uid)
    rows = await run(transaction, test_cypher.FIND_TEST_BY_UID, uid=test.uid)
    if rows:
        known = replace(model_test_records.model_test_from_row(rows[0]), model_ref="")
        later = rules.later_test(known, replace(test, model_ref=""))
        if later == known:
            return False
        await _set_test(transaction, later)
        return True
    if test.is_removed:
        await run(transaction, cypher.CREATE_REMOVED_TEST, uid=test.uid)
        await _set_test(transaction, test)
        return True
    for name in rules.test_names(test, remote):
        rows = await run(transaction, test_cypher.TAKE_TEST_NAME, name_lower=name.lower(), uid=test.uid)
        if rows[0]["uid"] == test.uid:
            await _set_test(transaction, replace(test, name=name))
            return True
    return False


async def _set_test(transaction: AnyTransaction, test: ModelTest) -> None:
    properties = model_test_records.model_test_properties(test)
    if test.is_removed:
        properties |= {"name_lower": None, "is_removed": True}
    await run(
        transaction,
        test_cypher.SET_TEST,
        uid=test.uid,
        properties=properties,
        model_uids=[] if test.model_uid is None else [test.model_uid],
        types=[] if test.type is None else [test.type],
    )


async def unite_results(transaction: AnyTransaction, results: Sequence[KeptResult]) -> int:
    """Add results that are not here, of tests and on models that are; how many."""
    if not results:
        return 0
    uids = sorted({kept.result.model_uid for kept in results})
    await run(transaction, test_cypher.LOCK_NAMES_OF, uids=uids)
    models = await find_models(transaction, uids)
    wanted = sorted({kept.result.uid for kept in results})
    known = set((await run(transaction, cypher.KNOWN_RESULTS, uids=wanted))[0]["uids"])
    rows = [
        model_test_records.kept_result_row(kept)
        for kept in sorted(results, key=lambda each: each.result.uid)
        if kept.result.uid not in known and _is_present(models, kept.result.model_uid)
    ]
    made = await run(transaction, test_cypher.CREATE_RESULTS_AS_MEASURED, results=rows)
    count: int = made[0]["made"]
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Here:
    """What bugs of another store name and what is here."""

    models: Mapping[str, ModelSummary]
    tensors: frozenset[str]
    datasets: frozenset[tuple[str, str]]
    names: frozenset[str]

    def has(self, subject: BugSubject) -> bool:
        """Whether what a bug affects is here."""
        match subject:
            case ModelSubject():
                return subject.uid in self.models
            case TensorSubject():
                return subject.digest.hex() in self.tensors
            case DatasetSubject():
                name, version = subject.dataset.name, subject.dataset.version
                return (name, version) in self.datasets if version else name in self.names


async def unite_bugs(transaction: AnyTransaction, bugs: Sequence[Bug]) -> int:
    """Add bugs that are not here and of which something is, and change those that were changed there; how many."""
    if not bugs:
        return 0
    here = await _find_subjects(transaction, bugs)
    changed = 0
    for bug in sorted(bugs, key=lambda each: each.id):
        fixed = sorted(model.uid for model in bug.fixed_in if model.uid in here.models)
        kept = replace(
            bug,
            affects=tuple(subject for subject in bug.affects if here.has(subject)),
            fixed_in=tuple(here.models[uid] for uid in fixed),
        )
        changed += await _unite_bug(transaction, kept)
    return changed


async def _find_subjects(transaction: AnyTransaction, bugs: Sequence[Bug]) -> _Here:
    keys = keys_of_subjects(subject for bug in bugs for subject in bug.affects)
    fixed = {model.uid for bug in bugs for model in bug.fixed_in}
    rows = await run(
        transaction,
        cypher.KNOWN_SUBJECTS,
        tensors=list(keys.tensors),
        datasets=[{"name": name, "version": version} for name, version in keys.datasets],
        names=list(keys.every_version_of),
    )
    return _Here(
        models=await find_models(transaction, sorted({*keys.model_uids, *fixed})),
        tensors=frozenset(rows[0]["tensors"]),
        datasets=frozenset((name, version) for name, version in rows[0]["datasets"]),
        names=frozenset(rows[0]["names"]),
    )


async def _unite_bug(transaction: AnyTransaction, bug: Bug) -> bool:
    known = None
    if await run(transaction, bug_cypher.LOCK_BUG, id=bug.id):
        known = bug_from_row((await run(transaction, bug_cypher.FIND_BUG, id=bug.id))[0])
    elif not bug.affects:
        return False
    later = bug if known is None else rules.later_bug(known, bug)
    if known is not None and not rules.is_other_bug(known, later):
        return False
    keys = keys_of_subjects(later.affects)
    properties = bug_properties(later, keys.every_version_of)
    await run(transaction, cypher.SET_BUG, id=bug.id, properties=properties)
    await run(
        transaction,
        cypher.TIE_BUG,
        id=bug.id,
        uids=list(keys.model_uids),
        tensors=list(keys.tensors),
        datasets=[{"name": name, "version": version} for name, version in keys.datasets],
        fixed=[model.uid for model in later.fixed_in],
    )
    return True
