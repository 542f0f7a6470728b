"""The lineage graph: in Neo4j, and in memory as its twin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mgit_core.ports.graph import Lineage

__all__ = ["open_memory", "open_neo4j"]


def open_memory(clock: Callable[[], datetime] | None = None) -> Lineage:
    """An empty graph in memory, not bound yet, for tests; needs no driver of Neo4j.

    Args:
        clock: Gives the time, UTC, by which answers to requests and leases grow old; the system's if None.
    """
    from mgit_storage.lineage.memory import open_memory_graph  # noqa: PLC0415 - as below

    return open_memory_graph() if clock is None else open_memory_graph(clock)


def open_neo4j(
    uri: str, username: str, password: str, database: str | None = None, *, is_warmed: bool = True
) -> Lineage:
    """The lineage graph in a Neo4j server; no connection is made before the first call.

    Args:
        uri: Address, such as ``bolt://HOST:7687``.
        username: User name at Neo4j.
        password: Their password.
        database: Name of the database; the user's home database if None.
        is_warmed: Whether ``bind`` has the server plan the usual queries, which takes up to two seconds after
            a start of the server and a tenth of one else.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, if ``uri`` is no address of a Neo4j.
    """
    from mgit_storage.lineage.neo4j_graph import open_graph  # noqa: PLC0415 - the twin needs no driver
    from mgit_storage.lineage.session import GraphSession  # noqa: PLC0415 - as above

    session = GraphSession.open(uri, username, password, database)
    return open_graph(session, is_warmed=is_warmed)
