"""How the server plans what a walk reads: by an index, each model once, and ids for no longer than a query."""

from __future__ import annotations

import pytest
from tests.integration.lineage.test_plans import PRUNING, SCANS, Plans
from tests.integration.lineage.test_plans import plans as plans  # noqa: PLC0414 - a fixture

from mgit_storage.lineage.cypher import walks

pytestmark = pytest.mark.neo4j

PARAMETERS: dict[str, object] = {"uids": ["a", "b"], "types": ["CAST_FROM", "REVISION_OF"], "slice": 10}


def _key(key: object) -> str:
    return "-".join(key) if isinstance(key, tuple) else str(key)


@pytest.mark.parametrize("walk", walks.CLOSURES, ids=_key)
def test_a_closure_visits_each_model_once(plans: Plans, walk: tuple[str, str]) -> None:
    operators = plans.operators(walks.CLOSURES[walk], **PARAMETERS)
    assert PRUNING in operators
    assert not {name for name in operators if "Repeat" in name or name == "VarLengthExpand(All)"}
    assert not SCANS.intersection(operators), operators
    assert "NodeUniqueIndexSeek" in operators


@pytest.mark.parametrize(
    "query", [*walks.STEPS.values(), *walks.COLUMNS.values(), *walks.COLUMNS_OF_ALL.values()]
)
def test_one_hop_begins_at_an_index(plans: Plans, query: str) -> None:
    operators = plans.operators(query, **PARAMETERS)
    assert not SCANS.intersection(operators), operators
    assert not {name for name in operators if name.startswith(("VarLength", "Repeat"))}
    assert {"NodeUniqueIndexSeek", "NodeUniqueIndexSeekByRange"}.intersection(operators), operators
