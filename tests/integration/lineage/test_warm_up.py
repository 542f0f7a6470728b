"""What the server has planned when a service begins to answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import neo4j
import pytest
from tests.integration.lineage.conftest import STORE_ID, RawGraph
from tests.neo4j_server import TestServer

from mgit_core.lineage import Direction, Model, ParentLink, RequestKey
from mgit_core.names import Reference
from mgit_core.ports.graph import Lineage, Page, TraversalQuery
from mgit_storage.lineage import open_neo4j
from mgit_storage.testing.values import make_commit

pytestmark = pytest.mark.neo4j

Texts = list[str]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Texts:
    """The text of every query from here on."""
    texts: Texts = []

    def heard(run: Callable[..., Any]) -> Callable[..., Any]:
        async def told(self: object, query: str | neo4j.Query, *arguments: object, **named: object) -> object:
            texts.append(str(query.text if isinstance(query, neo4j.Query) else query))
            return await run(self, query, *arguments, **named)

        return told

    for kind in (neo4j.AsyncSession, neo4j.AsyncTransaction, neo4j.AsyncManagedTransaction):
        monkeypatch.setattr(kind, "run", heard(kind.run))
    return texts


async def do_what_is_usual(lineage: Lineage, base: Model) -> None:
    """Models added, named in every way, listed, and followed in both directions."""
    request = RequestKey(id="usual", arguments_digest=bytes(32))
    commit = make_commit("child", ParentLink(parent_uid=base.uid))
    child = (await lineage.models.commit(commit, request)).model
    for reference in (
        Reference(uid=base.uid),
        Reference(name="base"),
        Reference(name="base", version=1),
        Reference(name="base", tag="best"),
    ):
        assert (await lineage.models.get(reference)).uid == base.uid
    assert await lineage.models.list_latest(Page())
    assert await lineage.models.list_versions("base", Page())
    assert await lineage.tags.list("base")
    for uid, direction in ((child.uid, Direction.ANCESTORS), (base.uid, Direction.DESCENDANTS)):
        query = TraversalQuery(uid=uid, direction=direction)
        assert [part async for part in lineage.traversal.relatives(query)]
        assert [part async for part in lineage.traversal.uids(query)]
    assert await lineage.content.models_with_tensor(commit.tensors[0].digest, Page())
    assert (await lineage.content.counts()).models == 2
    await lineage.binding.epoch()


async def test_what_is_usual_is_planned_at_the_start(emptied: TestServer, asked: Texts) -> None:
    """Nobody waits for the planning of a query that everybody asks."""
    lineage = open_neo4j(emptied.uri, emptied.username, emptied.password, is_warmed=True)
    await lineage.binding.bind(STORE_ID, store_is_empty=True)
    planned = set(asked)
    base = (await lineage.models.commit(make_commit("base"))).model
    await lineage.tags.put(base.uid, "best")
    asked.clear()
    await do_what_is_usual(lineage, base)
    await lineage.binding.close()
    assert set(asked) - planned == set()


async def test_warming_up_leaves_nothing(emptied: TestServer, raw: RawGraph) -> None:
    lineage = open_neo4j(emptied.uri, emptied.username, emptied.password, is_warmed=True)
    await lineage.binding.bind(STORE_ID, store_is_empty=True)
    await lineage.binding.close()
    labels = await raw.rows("MATCH (n) UNWIND labels(n) AS label RETURN DISTINCT label ORDER BY label")
    assert [row["label"] for row in labels] == ["Migration", "Store"]
