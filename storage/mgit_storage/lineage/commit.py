"""The transaction that makes models visible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.lineage import ModelCommit, ModelState
from mgit_storage.lineage import checks, creation_records, records
from mgit_storage.lineage.cypher import commit as cypher
from mgit_storage.lineage.cypher import creation as creation_cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import AnyTransaction, run

__all__ = ["attach_parameters", "commit_models", "model_row"]

_MOST_SAME = 100
# What a query holds of its rows counts against the memory that the server gives a transaction.
_TENSORS_AT_ONCE = 5_000


async def commit_models(transaction: AnyTransaction, commits: Sequence[ModelCommit]) -> list[Row]:
    """Make models visible, in order, with everything that belongs to them; the epoch is checked elsewhere.

    Returns:
        For each a row with ``model``, as a describing query gives it, and ``same_as``; JSON can hold it.

    Raises:
        As ``Models.commit``, without REQUEST_ID_REUSED and UPLOAD_STALE.
    """
    named = await _find_named(transaction, commits)
    numbered = await _number(transaction, commits, named)
    parents = await _create(transaction, commits, numbered)
    same = await _same_parameters(transaction, commits, numbered)
    await _tie_creations(transaction, commits)
    sets = await attach_parameters(transaction, commits, cypher.MERGE_PARAMETERS)
    return [
        {
            "model": _described(commit, numbered[commit.uid], parents[commit.uid], sets[commit.uid]),
            "same_as": same[commit.uid],
        }
        for commit in commits
    ]


async def _find_named(transaction: AnyTransaction, commits: Sequence[ModelCommit]) -> dict[str, Row]:
    """Summaries of the previous versions that commits name and that are no part of the batch."""
    own = {commit.uid for commit in commits}
    wanted = {commit.previous.uid for commit in commits if commit.previous.uid is not None} - own
    if not wanted:
        return {}
    rows = await run(transaction, model_cypher.FIND_SUMMARIES, uids=sorted(wanted))
    found = {row["model"]["uid"]: row["model"] for row in rows}
    for uid in sorted(wanted):
        if uid not in found:
            raise checks.model_not_found(f"@{uid}")
        if found[uid]["state"] == ModelState.REMOVED:
            raise FailedPreconditionError(
                ErrorReason.MODEL_REMOVED, f"The previous version @{uid} was removed."
            )
    return found


async def _number(
    transaction: AnyTransaction, commits: Sequence[ModelCommit], named: dict[str, Row]
) -> dict[str, Row]:
    """Lock the names, give each model its number, and choose its version edge; by uid."""
    names = {commit.name.lower(): commit.name for commit in reversed(commits)}
    rows = await run(
        transaction,
        cypher.LOCK_NAMES,
        names=[{"name_lower": lower, "name": names[lower]} for lower in sorted(names)],
    )
    known = {row["name_lower"]: row for row in rows}
    latest: dict[str, Row | None] = {
        lower: (row["latest"][0] if row["latest"] else None) for lower, row in known.items()
    }
    numbered: dict[str, Row] = {}
    for commit in commits:
        name = known[commit.name.lower()]
        if name["name"] != commit.name:
            raise checks.other_case(commit.name, name["name"])
        name["last_version"] += 1
        properties = records.model_properties(commit, name["last_version"])
        previous = latest[commit.name.lower()] if commit.previous.automatic else None
        if commit.previous.uid is not None:
            previous = named[commit.previous.uid]
        numbered[commit.uid] = {"properties": properties, "previous": previous}
        named[commit.uid] = records.summary_row(properties)
        latest[commit.name.lower()] = named[commit.uid]
    return numbered


async def _create(
    transaction: AnyTransaction, commits: Sequence[ModelCommit], numbered: dict[str, Row]
) -> dict[str, dict[str, str]]:
    """Make the nodes and edges; references of each model's parents by uid."""
    rows = [model_row(commit, numbered[commit.uid]) for commit in commits]
    made = await run(transaction, cypher.CREATE_MODELS, models=rows)
    parents = {row["uid"]: dict(row["parents"]) for row in made}
    for commit in commits:
        for link in commit.parents:
            if link.parent_uid not in parents[commit.uid]:
                raise checks.parent_not_found(link.parent_uid)
    return parents


def model_row(commit: ModelCommit, number: Row) -> Row:
    """What the creating query makes of a model.

    Args:
        commit: The model.
        number: Its ``properties``, and in ``previous`` the summary of what its version edge leads to, or None.
    """
    previous = number["previous"]
    return {
        "name_lower": commit.name.lower(),
        "properties": number["properties"],
        "types": [] if commit.type is None else [commit.type],
        "datasets": [
            {"name": dataset.name, "version": dataset.version}
            for dataset in sorted(set(commit.datasets), key=lambda each: (each.name, each.version))
        ],
        "previous": [] if previous is None else [previous["uid"]],
        "links": _link_rows(commit),
    }


def _link_rows(commit: ModelCommit) -> list[Row]:
    return [
        {
            "parent_uid": link.parent_uid,
            "relation": records.edge_type(link.relation),
            "properties": records.edge_properties(link, position, commit.created_at),
        }
        for position, link in enumerate(commit.parents)
    ]


async def _same_parameters(
    transaction: AnyTransaction, commits: Sequence[ModelCommit], numbered: dict[str, Row]
) -> dict[str, list[str]]:
    """References of other models with the same parameters, the batch's earlier ones among them; by uid."""
    digests = sorted({commit.parameters.digest.hex() for commit in commits})
    rows = await run(transaction, cypher.SAME_PARAMETERS, digests=digests)
    known = {row["digest"]: [(name, version) for name, version in row["models"]] for row in rows}
    same: dict[str, list[str]] = {}
    for commit in commits:
        others = known.setdefault(commit.parameters.digest.hex(), [])
        same[commit.uid] = [f"{name}@{version}" for name, version in sorted(others)[:_MOST_SAME]]
        others.append((commit.name, numbered[commit.uid]["properties"]["version"]))
    return same


async def _tie_creations(transaction: AnyTransaction, commits: Sequence[ModelCommit]) -> None:
    rows = creation_records.creation_rows(commits)
    if rows:
        await run(transaction, creation_cypher.TIE_CREATIONS, creations=rows)


async def attach_parameters(
    transaction: AnyTransaction, commits: Sequence[ModelCommit], merge: LiteralString
) -> dict[str, Row]:
    """Tie models to parameter sets, and new sets to their tensors; the sets as they are kept, by uid.

    Args:
        transaction: In which the models were made.
        commits: The models.
        merge: The query that ties them: that of models, or of staged ones.
    """
    ordered = sorted(commits, key=lambda commit: (commit.parameters.digest, commit.uid))
    rows = await run(
        transaction,
        merge,
        sets=[
            {
                "uid": commit.uid,
                "digest": commit.parameters.digest.hex(),
                "properties": records.parameter_properties(commit.parameters),
            }
            for commit in ordered
        ],
    )
    new = {row["uid"] for row in rows if row["is_new"]}
    tied = [row for commit in ordered if commit.uid in new for row in records.tensor_rows(commit)]
    tied.sort(key=lambda row: (row["digest"], row["parameters"], row["position"]))
    for start in range(0, len(tied), _TENSORS_AT_ONCE):
        await run(transaction, cypher.CREATE_TENSORS, tensors=tied[start : start + _TENSORS_AT_ONCE])
    return {row["uid"]: row["parameters"] for row in rows}


def _described(commit: ModelCommit, number: Row, parent_refs: dict[str, str], parameters: Row) -> Row:
    """What a describing query would give of the new model."""
    edges = [
        {
            **link["properties"],
            "relation": link["relation"],
            "child_uid": commit.uid,
            "parent_uid": link["parent_uid"],
            "parent_ref": parent_refs[link["parent_uid"]],
        }
        for link in _link_rows(commit)
    ]
    row: Row = records.plain(
        {
            "model": number["properties"],
            "parameters": parameters,
            "type": commit.type,
            "previous": number["previous"],
            "parents": edges,
            "tags": [],
            "datasets": sorted({(dataset.name, dataset.version) for dataset in commit.datasets}),
            "creation": creation_records.described_creation(commit.creation),
        }
    )
    return row
