"""Staged models on Neo4j."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.cascade.values import StepLease
from mgit_core.lineage import (
    CommittedModel,
    Model,
    ModelCommit,
    ModelState,
    ParentLink,
    Previous,
    RequestKey,
)
from mgit_core.ports.graph import Page
from mgit_core.ports.staging import StagedModels
from mgit_storage.lineage import checks, creation_records, records
from mgit_storage.lineage.cascade_steps import check_step_commit, hold_step, note_staged
from mgit_storage.lineage.commit import attach_parameters, commit_models
from mgit_storage.lineage.cypher import commit as commit_cypher
from mgit_storage.lineage.cypher import creation as creation_cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.cypher import staging as cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import Answer, GraphSession, Transaction, run

__all__ = ["Neo4jStagedModels", "discard_staged", "publish_staged"]

# What the commit of a model holds counts against the memory that the server gives a transaction.
_MODELS_AT_ONCE = 1_000


class Neo4jStagedModels(StagedModels):
    """Nodes of a label of their own."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def stage(
        self, commit: ModelCommit, lease: StepLease | None = None, request: RequestKey | None = None
    ) -> Model:
        checks.check_batch([commit])

        async def unit(transaction: Transaction) -> Answer:
            return {"model": await _stage(transaction, commit, lease)}

        answer, _ = await self._session.write(unit, request, epochs=[commit.epoch])
        return records.model_from_row(answer["model"])

    async def get(self, uid: str) -> Model:
        rows = await self._session.rows(cypher.FIND_STAGED, uids=[uid])
        if not rows:
            raise checks.model_not_found(f"@{uid}")
        return records.model_from_row(rows[0])

    async def list_page(self, page: Page) -> list[Model]:
        rows = await self._session.rows(cypher.LIST_STAGED, after=page.after or "", size=page.size)
        return [records.model_from_row(row) for row in rows]

    async def list_undecided(self, page: Page) -> list[Model]:
        rows = await self._session.rows(cypher.LIST_UNDECIDED, after=page.after or "", size=page.size)
        return [records.model_from_row(row) for row in rows]

    async def publish(self, uids: Sequence[str], request: RequestKey | None = None) -> list[CommittedModel]:
        wanted = list(dict.fromkeys(uids))

        async def unit(transaction: Transaction) -> Answer:
            return {"rows": await _publish(transaction, wanted)}

        answer, is_repeated = await self._session.write(unit, request, at_once=True)
        return [
            CommittedModel(
                model=records.model_from_row(row["model"]),
                same_as=tuple(row["same_as"]),
                repeated=is_repeated or row["is_known"],
            )
            for row in answer["rows"]
        ]

    async def discard(self, uids: Sequence[str], request: RequestKey | None = None) -> None:
        wanted = sorted(set(uids))

        async def unit(transaction: Transaction) -> Answer:
            await run(transaction, cypher.LOCK_STAGED, uids=wanted)
            await _check_free(transaction, wanted)
            await discard_staged(transaction, wanted)
            return {}

        await self._session.write(unit, request)


async def _stage(transaction: Transaction, commit: ModelCommit, lease: StepLease | None) -> Row:
    if lease is not None:
        step = await hold_step(transaction, lease)
        check_step_commit(step, commit)
        staged = await run(transaction, cypher.FIND_STAGED, uids=[commit.uid])
        if staged:
            known: Row = records.plain(staged[0])
            return known
    await _check_name_and_previous(transaction, commit)
    await _create(transaction, commit)
    if lease is not None:
        await note_staged(transaction, lease, commit.uid)
    made: Row = records.plain((await run(transaction, cypher.FIND_STAGED, uids=[commit.uid]))[0])
    return made


async def _check_name_and_previous(transaction: Transaction, commit: ModelCommit) -> None:
    for row in await run(transaction, model_cypher.FIND_NAME, name_lower=commit.name.lower()):
        if row["name"] != commit.name:
            raise checks.other_case(commit.name, row["name"])
    if commit.previous.uid is not None:
        found = await run(transaction, model_cypher.FIND_SUMMARIES, uids=[commit.previous.uid])
        if not found:
            raise checks.model_not_found(f"@{commit.previous.uid}")
        checks.check_present(records.summary_from_row(found[0]["model"]))


async def _create(transaction: Transaction, commit: ModelCommit) -> None:
    made = await run(
        transaction, cypher.CREATE_STAGED, properties=_properties(commit), links=_link_rows(commit)
    )
    found = set(made[0]["parents"])
    for link in commit.parents:
        if link.parent_uid not in found:
            raise checks.parent_not_found(link.parent_uid)
    creations = creation_records.creation_rows([commit])
    if creations:
        await run(transaction, creation_cypher.TIE_STAGED_CREATIONS, creations=creations)
    await attach_parameters(transaction, [commit], commit_cypher.MERGE_STAGED_PARAMETERS)


def _properties(commit: ModelCommit) -> Row:
    datasets = sorted({(dataset.name, dataset.version) for dataset in commit.datasets})
    return {
        **records.model_properties(commit, 0),
        "state": ModelState.STAGED.value,
        "type": commit.type,
        "dataset_names": [name for name, _ in datasets],
        "dataset_versions": [version for _, version in datasets],
        "previous_uid": commit.previous.uid,
        "is_previous_automatic": commit.previous.automatic,
    }


def _link_rows(commit: ModelCommit) -> list[Row]:
    return [
        {
            "parent_uid": link.parent_uid,
            "properties": {
                **records.edge_properties(link, position, commit.created_at),
                "relation": records.edge_type(link.relation),
            },
        }
        for position, link in enumerate(commit.parents)
    ]


async def _check_free(transaction: Transaction, uids: Sequence[str]) -> None:
    for row in await run(transaction, cypher.BELONGS_TO_STEP, uids=uids):
        raise checks.model_staged(row["uid"], "it belongs to a cascade, which publishes or cancels it")


async def _publish(transaction: Transaction, uids: Sequence[str]) -> list[Row]:
    """Rows of models in order, those that were published before among them."""
    staged = await run(transaction, cypher.FIND_STAGED, uids=uids)
    made = await publish_staged(transaction, [row["model"]["uid"] for row in staged])
    rows: list[Row] = []
    for uid in uids:
        if uid in made:
            rows.append({**made[uid], "is_known": False})
            continue
        known = await run(transaction, model_cypher.FIND_BY_UID, uid=uid)
        if not known:
            raise checks.model_not_found(f"@{uid}")
        rows.append({"model": records.plain(known[0]), "same_as": [], "is_known": True})
    return rows


async def publish_staged(
    transaction: Transaction, uids: Sequence[str], *, is_of_cascade: bool = False
) -> dict[str, Row]:
    """Number staged models in order; rows as of a commit, by uid.

    Names come first, as for a commit, then the staged models; what is told of them is read behind the locks.

    Args:
        transaction: Where it is done.
        uids: Of staged models; parents stand before what was made from them.
        is_of_cascade: Whether they belong to a cascade, whose node is locked.

    Raises:
        FailedPreconditionError: MODEL_STAGED, or MODEL_REMOVED for a version before.
        NotFoundError: PARENT_NOT_FOUND, if a parent stands behind what was made from it.
    """
    named = await run(transaction, cypher.NAMES_OF_STAGED, uids=uids)
    names = {row["name"].lower(): row["name"] for row in named}
    await run(
        transaction,
        commit_cypher.LOCK_NAMES,
        names=[{"name_lower": lower, "name": names[lower]} for lower in sorted(names)],
    )
    await run(transaction, cypher.LOCK_STAGED, uids=sorted(uids))
    if not is_of_cascade:
        await _check_free(transaction, uids)
    for row in await run(transaction, cypher.STAGED_PARENTS, uids=uids):
        raise checks.model_staged(row["uid"], "publish or discard it before what was made from it")
    commits = [_commit_of(row) for row in await run(transaction, cypher.FIND_STAGED, uids=uids)]
    if not is_of_cascade:
        checks.check_batch(commits)
    made: dict[str, Row] = {}
    for start in range(0, len(commits), _MODELS_AT_ONCE):
        part = commits[start : start + _MODELS_AT_ONCE]
        rows = await commit_models(transaction, part)
        made |= {commit.uid: row for commit, row in zip(part, rows, strict=True)}
        done = [commit.uid for commit in part]
        await run(transaction, cypher.HAND_OVER, uids=done)
        await run(transaction, cypher.DELETE_STAGED, uids=done)
    return made


def _commit_of(row: Row) -> ModelCommit:
    """The commit that a staged model waits for. Its parameter set is there, so its tensors need not be told."""
    model = records.model_from_row(row)
    if model.parameters is None:
        raise checks.model_not_found(f"@{model.uid}")
    properties = row["model"]
    return ModelCommit(
        uid=model.uid,
        name=model.name,
        created_at=model.created_at,
        parameters=model.parameters,
        tensors=(),
        epoch=0,
        type=model.type,
        metadata=model.metadata,
        parents=tuple(
            ParentLink(
                parent_uid=edge.parent_uid,
                relation=edge.relation,
                weight=edge.weight,
                origin=edge.origin,
                confidence=edge.confidence,
            )
            for edge in model.parents
        ),
        previous=Previous(
            uid=properties.get("previous_uid"), automatic=bool(properties["is_previous_automatic"])
        ),
        datasets=model.datasets,
        files=model.files,
        files_key=model.files_key,
        files_bytes=model.files_bytes,
        loss=model.loss,
        layer_graph=model.layer_graph,
        layer_graph_key=model.layer_graph_key,
        creation=model.creation,
    )


async def discard_staged(transaction: Transaction, uids: Sequence[str]) -> None:
    """Delete staged models with their results, and what nobody else has of what they hold.

    Raises:
        FailedPreconditionError: MODEL_STAGED, if one that stays was made from one of them.
    """
    for row in await run(transaction, cypher.STAGED_CHILDREN, uids=uids):
        raise checks.model_staged(row["uid"], "discard it before what it was made from")
    rows = [records.plain(row) for row in await run(transaction, cypher.FIND_STAGED, uids=uids)]
    await run(transaction, cypher.DELETE_STAGED, uids=uids)
    digests = sorted({row["parameters"]["digest"] for row in rows if row["parameters"] is not None})
    await run(transaction, model_cypher.DELETE_UNUSED_PARAMETERS, digests=digests)
    keys = creation_records.function_keys(rows)
    if keys:
        await run(transaction, creation_cypher.DELETE_UNUSED_FUNCTION, keys=keys)
