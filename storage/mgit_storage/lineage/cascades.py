"""Cascades on Neo4j."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mgit_core.cascade.graph import CascadeGraph
from mgit_core.cascade.values import (
    Cascade,
    CascadeState,
    CascadeStep,
    PublishMode,
    StepLease,
    StepState,
)
from mgit_core.errors import ResourceExhaustedError
from mgit_core.lineage import ModelSummary, RequestKey
from mgit_core.ports.cascades import Cascades, StepReport
from mgit_core.ports.graph import Page
from mgit_storage.lineage import cascade_records, checks, records
from mgit_storage.lineage.cascade_leases import lease_step, renew_step, report_step
from mgit_storage.lineage.cascade_plans import read_graph
from mgit_storage.lineage.cascade_runs import cancel_cascade, publish_cascade, resume_cascade, start_cascade
from mgit_storage.lineage.cypher import cascades as cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import Answer, GraphSession, Transaction

__all__ = ["Neo4jCascades"]

# Sorts behind every id.
_BEHIND_ALL = "g"
_UIDS_AT_ONCE = 5_000


class Neo4jCascades(Cascades):
    """A node for a cascade and one for each step; changes of a cascade take turns by the lock on its node."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def graph(self, old_uid: str, new_uid: str) -> CascadeGraph:
        return await read_graph(self._session, old_uid, new_uid)

    async def start(self, cascade: Cascade, request: RequestKey | None = None) -> Cascade:
        async def unit(transaction: Transaction) -> Answer:
            await start_cascade(transaction, cascade)
            return {"id": cascade.id}

        answer, _ = await self._session.write(unit, request)
        return await self.get(answer["id"])

    async def get(self, cascade_id: str) -> Cascade:
        rows = await self._session.rows(cypher.FIND_CASCADE, id=cascade_id)
        if not rows:
            raise checks.cascade_not_found(cascade_id)
        steps = [row["step"] for row in await self._session.rows(cypher.STEPS, id=cascade_id)]
        made = await self._made([uid for step in steps if step["attempt"] for uid in step["target_uids"]])
        return cascade_records.cascade_from_rows(
            rows[0]["cascade"], [cascade_records.step_from_row(step, made) for step in steps]
        )

    async def list_page(self, page: Page) -> list[Cascade]:
        rows = await self._session.rows(
            cypher.LIST_CASCADES, before=page.after or _BEHIND_ALL, size=page.size
        )
        return [
            cascade_records.cascade_from_rows(
                row["cascade"], [cascade_records.step_from_row(step) for step in row["steps"]], is_listed=True
            )
            for row in rows
        ]

    async def lease(
        self, cascade_id: str, worker: str, lease_s: float
    ) -> tuple[CascadeStep | None, CascadeState]:
        async def unit(transaction: Transaction) -> Answer:
            return await lease_step(transaction, cascade_id, worker, round(lease_s * 1000))

        answer, _ = await self._session.write(unit)
        row: Row | None = answer["step"]
        if row is None:
            return None, CascadeState(answer["state"])
        made = await self._made(row["target_uids"]) if row["state"] == StepState.STAGED else {}
        return cascade_records.step_from_row(row, made), CascadeState(answer["state"])

    async def leased_step(self, lease: StepLease) -> CascadeStep:
        rows = await self._session.rows(cypher.FIND_CASCADE, id=lease.cascade_id)
        if not rows:
            raise checks.cascade_not_found(lease.cascade_id)
        steps = await self._session.rows(cypher.FIND_STEP, id=lease.cascade_id, number=lease.step)
        held = [row["step"] for row in steps if row["step"]["attempt"] == lease.attempt]
        if not held or not rows[0]["cascade"].get("is_open") or held[0].get("expires_at") is None:
            raise checks.step_lease_lost(lease)
        return cascade_records.step_from_row(held[0], await self._made(held[0]["target_uids"]))

    async def renew(self, lease: StepLease, lease_s: float) -> datetime:
        async def unit(transaction: Transaction) -> Answer:
            return {"expires_at": await renew_step(transaction, lease, round(lease_s * 1000))}

        answer, _ = await self._session.write(unit)
        return records.moment_of(answer["expires_at"] * 1000)

    async def report(self, lease: StepLease, report: StepReport) -> tuple[StepState, CascadeState]:
        async def unit(transaction: Transaction) -> Answer:
            step_state, state = await report_step(transaction, lease, report)
            return {"step_state": step_state, "state": state}

        answer, _ = await self._session.write(unit)
        return StepState(answer["step_state"]), CascadeState(answer["state"])

    async def resume(
        self, cascade_id: str, *, publish: PublishMode | None = None, request: RequestKey | None = None
    ) -> Cascade:
        async def unit(transaction: Transaction) -> Answer:
            await resume_cascade(transaction, cascade_id, publish)
            return {}

        await self._session.write(unit, request)
        return await self.get(cascade_id)

    async def publish(
        self, cascade_id: str, *, anyway: bool = False, request: RequestKey | None = None
    ) -> Cascade:
        async def unit(transaction: Transaction) -> Answer:
            await publish_cascade(transaction, cascade_id, anyway=anyway)
            return {}

        try:
            await self._session.write(unit, request, at_once=True)
        except ResourceExhaustedError as error:
            raise checks.too_many_together(cascade_id) from error
        return await self.get(cascade_id)

    async def cancel(self, cascade_id: str, request: RequestKey | None = None) -> Cascade:
        async def unit(transaction: Transaction) -> Answer:
            await cancel_cascade(transaction, cascade_id)
            return {}

        await self._session.write(unit, request)
        return await self.get(cascade_id)

    async def running_over(self, uids: Sequence[str]) -> list[str]:
        rows = await self._session.rows(cypher.CASCADES_OVER, uids=list(uids))
        return sorted({row["id"] for row in rows})

    async def _made(self, uids: Sequence[str]) -> dict[str, ModelSummary]:
        """What became of some targets, by uid."""
        made: dict[str, ModelSummary] = {}
        for start in range(0, len(uids), _UIDS_AT_ONCE):
            rows = await self._session.rows(cypher.MADE, uids=list(uids[start : start + _UIDS_AT_ONCE]))
            found = (records.summary_from_row(row["model"]) for row in rows)
            made |= {model.uid: model for model in found}
        return made
