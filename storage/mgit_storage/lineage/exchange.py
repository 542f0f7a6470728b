"""Models of other stores, and what goes along with models, on Neo4j."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.bugs import Bug
from mgit_core.lineage import Model, ModelSummary, RequestKey, RevisionEdge, Tag
from mgit_core.model_tests import ModelTest
from mgit_core.ports.exchange import (
    Exchange,
    ExchangeRecords,
    ImportedModel,
    ModelIdentity,
    ModelStanding,
    RecordChanges,
)
from mgit_storage.lineage import checks, model_test_records, records
from mgit_storage.lineage import exchange_rules as rules
from mgit_storage.lineage.bug_records import bug_from_row
from mgit_storage.lineage.cypher import bugs as bug_cypher
from mgit_storage.lineage.cypher import exchange as cypher
from mgit_storage.lineage.cypher import graph as graph_cypher
from mgit_storage.lineage.cypher import model_tests as test_cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.fact_imports import unite_bugs, unite_results, unite_tests
from mgit_storage.lineage.model_imports import identity_row, import_models, known_from_row
from mgit_storage.lineage.record_imports import unite_edges, unite_tags
from mgit_storage.lineage.session import Answer, GraphSession, Transaction

__all__ = ["Neo4jExchange"]

_IDENTITIES_AT_ONCE = 2_000


class Neo4jExchange(Exchange):
    """Models with their own uids and numbers, in and out."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def standings(self, models: Sequence[ModelIdentity]) -> list[ModelStanding]:
        found: list[ModelStanding] = []
        for start in range(0, len(models), _IDENTITIES_AT_ONCE):
            part = models[start : start + _IDENTITIES_AT_ONCE]
            rows = await self._session.rows(cypher.FIND_KNOWN, models=list(map(identity_row, part)))
            for identity, row in zip(part, rows, strict=True):
                known = known_from_row(row)
                standing = rules.standing_of(identity, known)
                found.append(ModelStanding(standing=standing, model=known.model or known.holder))
        return found

    async def export(self, uids: Sequence[str]) -> list[Model]:
        rows = await self._session.rows(model_cypher.FIND_BY_UIDS, uids=sorted(set(uids)))
        models = {row["model"]["uid"]: records.model_from_row(row) for row in rows}
        for uid in uids:
            if uid not in models:
                raise checks.model_not_found(f"@{uid}")
        return [models[uid] for uid in uids]

    async def export_records(self, uids: Sequence[str]) -> ExchangeRecords:
        wanted = sorted(set(uids))
        here = {
            row["model"]["uid"] for row in await self._session.rows(model_cypher.FIND_SUMMARIES, uids=wanted)
        }
        for uid in wanted:
            if uid not in here:
                raise checks.model_not_found(f"@{uid}")
        rows = self._session.rows
        edges = [records.edge_from_row(row["edge"]) for row in await rows(graph_cypher.EDGES_OF, uids=wanted)]
        revisions = [RevisionEdge(**row) for row in await rows(graph_cypher.REVISIONS_OF, uids=wanted)]
        results = await rows(test_cypher.RESULTS_ON, uids=wanted)
        return ExchangeRecords(
            edges=tuple(sorted(edges, key=lambda edge: (edge.child_uid, edge.position))),
            revisions=tuple(sorted(revisions, key=lambda edge: edge.newer_uid)),
            tags=await self._tags_of(wanted),
            tests=await self._tests_on(wanted),
            results=tuple(map(model_test_records.kept_result_from_row, results)),
            bugs=await self._bugs_on(wanted),
        )

    async def _tags_of(self, uids: Sequence[str]) -> tuple[Tag, ...]:
        rows = await self._session.rows(cypher.TAGS_OF, uids=uids)
        return tuple(
            Tag(model_name=row["name"], tag=row["tag"], model=records.summary_from_row(row["model"]))
            for row in rows
        )

    async def _tests_on(self, uids: Sequence[str]) -> tuple[ModelTest, ...]:
        found = set((await self._session.rows(cypher.TESTS_ON, uids=uids))[0]["tests"])
        found.update((await self._session.rows(test_cypher.TESTS_OF_ALL))[0]["tests"])
        rows = await self._session.rows(test_cypher.FIND_TESTS_AS_KEPT, uids=sorted(found))
        tests = map(model_test_records.model_test_from_row, rows)
        return tuple(sorted(tests, key=lambda test: test.uid))

    async def _bugs_on(self, uids: Sequence[str]) -> tuple[Bug, ...]:
        found = (await self._session.rows(cypher.BUGS_ON, uids=uids))[0]
        ids = set(found["bugs"])
        if found["names"]:
            others = await self._session.rows(cypher.BUGS_OF_DATASETS, names=found["names"])
            ids.update(others[0]["bugs"])
        rows = await self._session.rows(bug_cypher.FIND_BUGS_BY_ID, ids=sorted(ids))
        return tuple(sorted(map(bug_from_row, rows), key=lambda bug: bug.id))

    async def import_models(
        self, models: Sequence[ImportedModel], *, epoch: int, request: RequestKey | None = None
    ) -> list[ModelSummary]:
        rules.check_import(models)

        async def unit(transaction: Transaction) -> Answer:
            await import_models(transaction, models, epoch)
            return {"uids": [imported.model.uid for imported in models]}

        answer, _ = await self._session.write(unit, request, epochs=[epoch])
        rows = await self._session.rows(model_cypher.FIND_SUMMARIES, uids=answer["uids"])
        here = {row["model"]["uid"]: records.summary_from_row(row["model"]) for row in rows}
        return [here[uid] for uid in answer["uids"] if uid in here]

    async def import_records(
        self,
        records: ExchangeRecords,
        *,
        remote: str,
        force_tags: bool = False,
        request: RequestKey | None = None,
    ) -> RecordChanges:
        async def unit(transaction: Transaction) -> Answer:
            return {
                "edges": await unite_edges(transaction, records),
                "tags": await unite_tags(transaction, records.tags, force=force_tags),
                "tests": await unite_tests(transaction, records.tests, remote),
                "results": await unite_results(transaction, records.results),
                "bugs": await unite_bugs(transaction, records.bugs),
            }

        answer, _ = await self._session.write(unit, request)
        return RecordChanges(**answer)
