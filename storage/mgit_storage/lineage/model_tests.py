"""Model tests and their results on Neo4j."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.lineage import ModelState, RequestKey
from mgit_core.model_tests import ApplicableTests, ModelTest, ModelTestResult, ResultKey, redefined
from mgit_core.ports.model_tests import ModelTests, ResultQuery
from mgit_core.ports.paging import Page
from mgit_storage.lineage import checks, model_test_records, records
from mgit_storage.lineage.cypher import model_tests as cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.cypher import staging as staging_cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import Answer, GraphSession, Transaction, run

__all__ = ["Neo4jModelTests"]

# Sorts behind every uid.
_BEHIND_ALL = "g"


class Neo4jModelTests(ModelTests):
    """Tests and results as nodes. Changes that concern a model begin with the lock on its name."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def register(
        self, test: ModelTest, *, replace: bool = False, request: RequestKey | None = None
    ) -> ModelTest:
        async def unit(transaction: Transaction) -> Answer:
            return await _register(transaction, test, replace=replace)

        answer, _ = await self._session.write(unit, request)
        return model_test_records.model_test_from_row(answer)

    async def remove(self, uid: str, request: RequestKey | None = None) -> ModelTest:
        async def unit(transaction: Transaction) -> Answer:
            await run(transaction, cypher.LOCK_TEST, uid=uid)
            rows = await run(transaction, cypher.FIND_TEST_BY_UID, uid=uid)
            if not rows:
                raise checks.test_not_found(f"@{uid}")
            await run(transaction, cypher.DEREGISTER_TEST, uid=uid)
            return rows[0]

        answer, _ = await self._session.write(unit, request)
        return model_test_records.model_test_from_row(answer)

    async def get(self, name_or_uid: str) -> ModelTest:
        rows = await (
            self._session.rows(cypher.FIND_TEST_BY_UID, uid=name_or_uid[1:])
            if name_or_uid.startswith("@")
            else self._session.rows(cypher.FIND_TEST, name_lower=name_or_uid.lower())
        )
        if not rows:
            raise checks.test_not_found(name_or_uid)
        return model_test_records.model_test_from_row(rows[0])

    async def list_page(self, page: Page) -> list[ModelTest]:
        after = (page.after or "").lower()
        rows = await self._session.rows(cypher.LIST_TESTS, after=after, size=page.size)
        return [model_test_records.model_test_from_row(row) for row in rows]

    async def applicable(self, model_uids: Sequence[str]) -> list[ApplicableTests]:
        uids = list(dict.fromkeys(model_uids))
        models = _by_uid(await self._session.rows(cypher.MODELS_TO_TEST, uids=uids), uids)
        present = [
            row
            for row in models.values()
            if row["model"]["state"] != ModelState.REMOVED and not row["is_promised"]
        ]
        wanted = await self._tests_of(present)
        tests = await self._find({uid for each in wanted.values() for uid in each})
        return [
            _applicable(row, [tests[uid] for uid in wanted[_uid(row)] if uid in tests]) for row in present
        ]

    async def _tests_of(self, models: Sequence[Row]) -> dict[str, list[str]]:
        """Uids of the tests of each model, by its uid."""
        of_all = (await self._session.rows(cypher.TESTS_OF_ALL))[0]["tests"]
        types = sorted({row["type"] for row in models} - {None})
        typed = await self._session.rows(cypher.TESTS_OF_TYPES, types=types)
        of_type = {row["type"]: row["tests"] for row in typed}
        return {_uid(row): [*row["tests"], *of_type.get(row["type"], ()), *of_all] for row in models}

    async def record(
        self, results: Sequence[ModelTestResult], request: RequestKey | None = None
    ) -> list[ModelTestResult]:
        async def unit(transaction: Transaction) -> Answer:
            return {"rows": await _record(transaction, results)}

        answer, _ = await self._session.write(unit, request)
        return [model_test_records.result_from_row(row) for row in answer["rows"]]

    async def reusable(self, keys: Sequence[ResultKey]) -> list[ModelTestResult]:
        rows = await self._session.rows(
            cypher.REUSABLE_RESULTS, keys=list(map(model_test_records.key_row, keys))
        )
        return [model_test_records.result_from_row(row) for row in rows]

    async def results(self, query: ResultQuery, page: Page) -> list[ModelTestResult]:
        form = {
            (False, False): "all",
            (True, False): "test",
            (False, True): "model",
            (True, True): "both",
        }[query.test_uid is not None, query.model_uid is not None]
        rows = await self._session.rows(
            cypher.LIST_RESULTS[form],
            test_uid=query.test_uid,
            model_uid=query.model_uid,
            before=page.after or _BEHIND_ALL,
            size=page.size,
        )
        return [model_test_records.result_from_row(row) for row in rows]

    async def _find(self, uids: set[str]) -> dict[str, ModelTest]:
        rows = await self._session.rows(cypher.FIND_TESTS, uids=sorted(uids))
        return {row["test"]["uid"]: model_test_records.model_test_from_row(row) for row in rows}


async def _register(transaction: Transaction, test: ModelTest, *, replace: bool) -> Row:
    if test.model_uid is not None:
        await run(transaction, model_cypher.LOCK_NAME_OF, uid=test.model_uid)
        await _present(transaction, [test.model_uid])
    known = await _take_name(transaction, test)
    if known is not None:
        if not replace:
            raise checks.test_exists(known.name)
        test = redefined(known, test)
    await run(
        transaction,
        cypher.SET_TEST,
        uid=test.uid,
        properties=model_test_records.model_test_properties(test),
        model_uids=[] if test.model_uid is None else [test.model_uid],
        types=[] if test.type is None else [test.type],
    )
    return (await run(transaction, cypher.FIND_TEST_BY_UID, uid=test.uid))[0]


async def _take_name(transaction: Transaction, test: ModelTest) -> ModelTest | None:
    """Lock the name of a test; the registered test that has it, None if it was free."""
    while True:
        taken = await run(transaction, cypher.TAKE_TEST_NAME, name_lower=test.name.lower(), uid=test.uid)
        if taken[0]["uid"] == test.uid:
            return None
        rows = await run(transaction, cypher.FIND_TEST_BY_UID, uid=taken[0]["uid"])
        known = model_test_records.model_test_from_row(rows[0])
        # One that was deregistered while this waited for its lock has given the name back.
        if not known.is_removed:
            return known


async def _record(transaction: Transaction, results: Sequence[ModelTestResult]) -> list[Row]:
    uids = sorted({result.model_uid for result in results})
    await run(transaction, cypher.LOCK_NAMES_OF, uids=uids)
    await run(transaction, staging_cypher.LOCK_STAGED, uids=uids)
    models = await _present(transaction, uids)
    for result in results:
        checks.check_tested_parameters(result, models[result.model_uid]["parameters_digest"])
    rows = await run(
        transaction, cypher.CREATE_RESULTS, results=list(map(model_test_records.result_row, results))
    )
    made = {row["result"]["uid"]: row for row in rows}
    for result in results:
        if result.uid not in made:
            raise checks.test_not_found(f"@{result.key.test_uid}")
    return [made[result.uid] for result in results]


async def _present(transaction: Transaction, uids: Sequence[str]) -> dict[str, Row]:
    """Models that must be there and not removed, by uid."""
    rows = await run(transaction, cypher.MODELS_TO_TEST, uids=list(uids))
    models = _by_uid(rows, uids)
    for uid in uids:
        checks.check_present(records.summary_from_row(models[uid]["model"]))
    return models


def _uid(row: Row) -> str:
    uid: str = row["model"]["uid"]
    return uid


def _by_uid(rows: Sequence[Row], uids: Sequence[str]) -> dict[str, Row]:
    """Rows of models by uid, in the order of ``uids``; each of them must be there."""
    models = {_uid(row): row for row in rows}
    for uid in uids:
        if uid not in models:
            raise checks.model_not_found(f"@{uid}")
    return {uid: models[uid] for uid in uids}


def _applicable(row: Row, tests: list[ModelTest]) -> ApplicableTests:
    return ApplicableTests(
        model=records.summary_from_row(row["model"]),
        parameters_digest=bytes.fromhex(row["parameters_digest"]),
        tests=tuple(sorted(tests, key=lambda test: test.name.lower())),
    )
