"""Settings of a local stack, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from mgit.settings import process_environment, read_settings

__all__ = ["GraphSettings", "StackSettings", "read_stack_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSettings:
    """A Neo4j that somebody else runs.

    Attributes:
        uri: ``NEO4J_URI``.
        username: ``NEO4J_USERNAME``.
        password: ``NEO4J_PASSWORD``.
        database: ``NEO4J_DATABASE``; empty means the server's default.
    """

    uri: str
    username: str
    password: str
    database: str

    def __repr__(self) -> str:
        return f"GraphSettings(uri={self.uri!r}, username={self.username!r}, database={self.database!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """What decides how a stack is started.

    Attributes:
        home: All of the stack.
        cache: Downloads, shared by all homes.
        graph: The Neo4j to use; None means the managed one of the home.
        store: ``MGIT_STORE``; None means the store of the home.
        listen: ``MGIT_LISTEN``, ``HOST:PORT``; None means the default where it is free.
        environment: What a child process inherits.
    """

    home: Path
    cache: Path
    graph: GraphSettings | None
    store: Path | None
    listen: str | None
    environment: Mapping[str, str]

    def __repr__(self) -> str:
        return f"StackSettings(home={self.home!r}, graph={self.graph!r}, store={self.store!r})"


def read_stack_settings(
    environment: Mapping[str, str] | None = None, *, home: Path | None = None
) -> StackSettings:
    """The settings that ``environment`` holds; None reads the process's.

    Args:
        environment: Names and values.
        home: Taken instead of ``MGIT_HOME`` if given.
    """
    values = process_environment() if environment is None else environment
    uri = values.get("NEO4J_URI")
    store = values.get("MGIT_STORE")
    return StackSettings(
        home=read_settings(values).home if home is None else home.expanduser().absolute(),
        cache=platformdirs.user_cache_path("mgit", appauthor=False),
        graph=None if not uri else _graph(uri, values),
        store=Path(store).expanduser().absolute() if store else None,
        listen=values.get("MGIT_LISTEN") or None,
        environment=dict(values),
    )


def _graph(uri: str, values: Mapping[str, str]) -> GraphSettings:
    return GraphSettings(
        uri=uri,
        username=values.get("NEO4J_USERNAME") or "neo4j",
        password=values.get("NEO4J_PASSWORD") or "",
        database=values.get("NEO4J_DATABASE") or "",
    )
