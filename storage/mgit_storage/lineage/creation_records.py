"""Creation records as rows of the graph, and back.

What does not change from call to call lies in a node, shared by all models that one function made; what does lies on
the edge to it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mgit_core.creation import CreationRecord
from mgit_core.digest import DigestAlgorithm, digest_of_parts
from mgit_core.lineage import ModelCommit

__all__ = [
    "creation_from_row",
    "creation_row",
    "creation_rows",
    "described_creation",
    "function_keys",
    "without_source",
]

Row = dict[str, Any]


def creation_row(record: CreationRecord) -> Row:
    """Node and edge of a creation record: ``key`` and ``function`` of the one, ``call`` of the other."""
    function = {
        "digest": record.code_digest.hex(),
        "entry_point": record.entry_point,
        "source": record.source,
    }
    parts = (record.code_digest, record.entry_point.encode(), b"\n", record.source.encode())
    return {
        # Of all of the node, so that nobody's source can come to stand at another's model.
        "key": digest_of_parts(DigestAlgorithm.BLAKE3, parts).hex(),
        "function": function,
        "call": _call_row(record),
    }


def _call_row(record: CreationRecord) -> Row:
    return {
        "arguments": json.dumps(dict(record.arguments), sort_keys=True),
        "seed": record.seed,
        "environment": json.dumps(dict(record.environment), sort_keys=True),
        # Null where it was made alone, so that the index over groups holds groups only.
        "group": record.group or None,
        "member": record.member or None,
    }


def creation_rows(commits: Sequence[ModelCommit]) -> list[Row]:
    """Rows that tie models to what created them, in the order of the nodes that they share."""
    rows = [
        {"uid": commit.uid, **creation_row(commit.creation)}
        for commit in commits
        if commit.creation is not None
    ]
    return sorted(rows, key=lambda row: (row["key"], row["uid"]))


def described_creation(record: CreationRecord | None) -> Row | None:
    """What a describing query gives of a creation record."""
    if record is None:
        return None
    row = creation_row(record)
    return {**row["function"], **row["call"]}


def creation_from_row(row: Row | None) -> CreationRecord | None:
    """The creation record of a describing query's row; None without one."""
    if row is None:
        return None
    return CreationRecord(
        entry_point=row["entry_point"],
        code_digest=bytes.fromhex(row["digest"]),
        source=row["source"],
        arguments=json.loads(row["arguments"]),
        seed=row.get("seed"),
        environment=json.loads(row["environment"]),
        group=row.get("group") or "",
        member=row.get("member") or "",
    )


def function_keys(models: Sequence[Row]) -> list[str]:
    """Keys of the functions that created some models, sorted, from rows of describing queries."""
    found = [creation_from_row(row["creation"]) for row in models if row["creation"] is not None]
    return sorted({creation_row(record)["key"] for record in found if record is not None})


def without_source(record: CreationRecord | None) -> CreationRecord | None:
    """The record as lists give it: a page of sources could be 256 MiB."""
    return None if record is None else replace(record, source="")
