"""What a graph server without enough memory means for an update."""

from __future__ import annotations

from typing import Any

import pytest
from neo4j import exceptions as driver_errors

from mgit_core.errors import ErrorReason, ResourceExhaustedError
from mgit_storage.lineage.cascades import Neo4jCascades
from mgit_storage.lineage.failures import translated
from mgit_storage.lineage.session import GraphSession

CODE = "Neo.TransientError.General.MemoryPoolOutOfMemoryError"


class FullSession(GraphSession):
    """Fails as a session does whose transaction is larger than the server's memory for it."""

    def __init__(self) -> None:
        pass

    async def write(self, *_: Any, **__: Any) -> Any:
        with translated():
            raise driver_errors.Neo4jError._hydrate_neo4j(code=CODE, message="the allocation of 2.0 MiB")


async def test_more_models_than_the_server_can_number_together_are_told_with_both_ways_out() -> None:
    with pytest.raises(ResourceExhaustedError) as caught:
        await Neo4jCascades(FullSession()).publish("some-id")
    assert caught.value.reason is ErrorReason.LIMIT_EXCEEDED
    assert caught.value.details["cascade"] == "some-id"
    assert "nothing was published" in caught.value.message
    assert "mgit update resume some-id" in caught.value.message
    assert "--publish each" in caught.value.message
