"""The transaction that makes models of another store visible under their own uids and numbers."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.lineage import ModelCommit, ModelState, ParameterSet, Previous
from mgit_core.ports.exchange import ImportedModel, ModelIdentity
from mgit_core.standings import Standing
from mgit_storage.lineage import creation_records, records
from mgit_storage.lineage import exchange_rules as rules
from mgit_storage.lineage.commit import attach_parameters, model_row
from mgit_storage.lineage.cypher import commit as commit_cypher
from mgit_storage.lineage.cypher import creation as creation_cypher
from mgit_storage.lineage.cypher import exchange as cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import AnyTransaction, run

__all__ = ["identity_row", "import_models", "known_from_row"]

_NO_PARAMETERS = ParameterSet(digest=b"", manifest_key="", size_bytes=0, tensor_count=0)


def identity_row(identity: ModelIdentity) -> Row:
    """What the graph is asked about a model of another store."""
    return {
        "uid": identity.uid,
        "name": identity.name,
        "name_lower": identity.name.lower(),
        "version": identity.version,
    }


def known_from_row(row: Row) -> rules.Known:
    """What the graph knows of it."""
    return rules.Known(
        model=None if row["model"] is None else records.summary_from_row(row["model"]),
        parameters=None if row["parameters"] is None else bytes.fromhex(row["parameters"]),
        files=None if row["files"] is None else bytes.fromhex(row["files"]),
        is_promised=row["is_promised"],
        holder=None if row["holder"] is None else records.summary_from_row(row["holder"]),
        name=row["name"],
    )


async def import_models(transaction: AnyTransaction, models: Sequence[ImportedModel], epoch: int) -> None:
    """Make models visible that are not here yet, and promised ones whole; the epoch is checked elsewhere.

    Raises:
        As ``Exchange.import_models``, without REQUEST_ID_REUSED and UPLOAD_STALE.
    """
    found = await _standings(transaction, models)
    await _lock_names(transaction, [each for each, standing in found if standing is Standing.ABSENT])
    # Before the lock others may have taken uids, names and numbers.
    found = await _standings(transaction, models)
    rules.refuse_import(found)
    new = [imported for imported, standing in found if standing is Standing.ABSENT]
    await _create(transaction, rules.parents_first(new), epoch)
    whole = sorted(
        imported.model.parameters.digest.hex()
        for imported, standing in found
        if standing is Standing.PROMISED
        and imported.model.parameters is not None
        and imported.model.parameters.promised_by is None
    )
    if whole:
        await run(transaction, cypher.COMPLETE_PARAMETERS, digests=whole)


async def _standings(
    transaction: AnyTransaction, models: Sequence[ImportedModel]
) -> list[tuple[ImportedModel, Standing]]:
    identities = [rules.identity_of(imported) for imported in models]
    rows = await run(transaction, cypher.FIND_KNOWN, models=list(map(identity_row, identities)))
    return [
        (imported, rules.standing_of(identity, known_from_row(row)))
        for imported, identity, row in zip(models, identities, rows, strict=True)
    ]


async def _lock_names(transaction: AnyTransaction, models: Sequence[ImportedModel]) -> None:
    names = {imported.model.name.lower(): imported.model.name for imported in models}
    if names:
        rows = [{"name_lower": lower, "name": names[lower]} for lower in sorted(names)]
        await run(transaction, commit_cypher.LOCK_NAMES, names=rows)


async def _create(transaction: AnyTransaction, models: Sequence[ImportedModel], epoch: int) -> None:
    if not models:
        return
    commits = [_as_commit(imported, epoch) for imported in models]
    known = await _known_elsewhere(transaction, models)
    rows: list[Row] = []
    for imported, commit in zip(models, commits, strict=True):
        known.add(commit.uid)
        rows.append(_row(imported, commit, known))
    await run(transaction, commit_cypher.CREATE_MODELS, models=rows)
    creations = creation_records.creation_rows(commits)
    if creations:
        await run(transaction, creation_cypher.TIE_CREATIONS, creations=creations)
    present = [commit for commit in commits if commit.parameters is not _NO_PARAMETERS]
    if present:
        await attach_parameters(transaction, present, commit_cypher.MERGE_PARAMETERS)


async def _known_elsewhere(transaction: AnyTransaction, models: Sequence[ImportedModel]) -> set[str]:
    """Those models that some of ``models`` point to and that are here already."""
    wanted = {uid for imported in models for uid in rules.older_of(imported)}
    rows = await run(transaction, model_cypher.FIND_SUMMARIES, uids=sorted(wanted))
    return {row["model"]["uid"] for row in rows}


def _as_commit(imported: ImportedModel, epoch: int) -> ModelCommit:
    model = imported.model
    return ModelCommit(
        uid=model.uid,
        name=model.name,
        created_at=model.created_at,
        parameters=model.parameters or _NO_PARAMETERS,
        tensors=imported.tensors,
        epoch=epoch,
        type=model.type,
        metadata=model.metadata,
        previous=Previous(automatic=False),
        datasets=model.datasets,
        files=model.files,
        files_key=model.files_key,
        files_bytes=model.files_bytes,
        loss=model.loss,
        layer_graph=model.layer_graph,
        layer_graph_key=model.layer_graph_key,
        creation=model.creation,
    )


def _row(imported: ImportedModel, commit: ModelCommit, known: set[str]) -> Row:
    model = imported.model
    properties = records.model_properties(commit, model.version)
    if model.parameters is None:
        properties["state"] = ModelState.REMOVED.value
    is_followed = model.previous is not None and model.previous.uid in known
    previous = {"uid": model.previous.uid} if model.previous is not None and is_followed else None
    links = [
        {
            "parent_uid": edge.parent_uid,
            "relation": records.edge_type(edge.relation),
            "properties": records.kept_edge_properties(edge),
        }
        for edge in model.parents
        if edge.parent_uid in known
    ]
    return {**model_row(commit, {"properties": properties, "previous": previous}), "links": links}
