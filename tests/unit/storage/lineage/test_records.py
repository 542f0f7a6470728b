"""Rows of the graph and values of the core."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import neo4j.time
import pytest

from mgit_core.lineage import Relation
from mgit_storage.lineage import records

MOMENT = datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize("relation", Relation)
def test_every_relation_has_an_edge_type_and_comes_back(relation: Relation) -> None:
    row = {
        "child_uid": "c",
        "parent_uid": "p",
        "relation": records.edge_type(relation),
        "position": 0,
        "origin": "declared",
        "created_at": MOMENT,
    }
    assert records.edge_from_row(row).relation is relation
    assert row["relation"].endswith("_FROM")


@pytest.mark.parametrize(
    "value",
    [
        MOMENT,
        MOMENT.astimezone(timezone(timedelta(hours=5))),
        MOMENT.isoformat(),
        round(MOMENT.timestamp()) * 1_000_000 - 1,
        neo4j.time.DateTime.from_native(MOMENT),
    ],
)
def test_a_time_is_the_same_in_every_form(value: object) -> None:
    row = {"uid": "u", "name": "n", "version": 1, "state": "present", "created_at": value}
    found = records.summary_from_row(row).created_at
    assert (found, found.utcoffset()) == (MOMENT, timedelta(0))


def test_a_plain_row_is_json_and_reads_back() -> None:
    row = {"uid": "u", "name": "n", "version": 1, "state": "present", "created_at": MOMENT}
    nested = {"rows": [row], "number": 1, "nothing": None}
    again = json.loads(json.dumps(records.plain(nested)))
    assert records.summary_from_row(again["rows"][0]) == records.summary_from_row(row)
    assert (again["number"], again["nothing"]) == (1, None)
