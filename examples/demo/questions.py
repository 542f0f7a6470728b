"""Questions to the graph, asked through gRPC and as the Cypher that anyone may type into the Neo4j Browser.

The texts are the service's own, with the parameters filled in; the two answers are compared.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from neo4j import GraphDatabase, RoutingControl

import mgit
from mgit.errors import ErrorReason, InternalError
from mgit_storage.lineage.cypher.content import MODELS_WITH_TENSOR
from mgit_storage.lineage.cypher.graph import TRAVERSALS

__all__ = ["Answer", "Graph", "ask_ancestors", "ask_sharers"]

_REPEATS = 9
_LIMIT = 1000
_PARAMETER = re.compile(r"\$(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Where the Neo4j is, and how one logs in."""

    uri: str
    username: str
    password: str
    database: str | None

    def rows(self, text: str) -> list[dict[str, Any]]:
        """What a query without parameters answers."""
        login = (self.username, self.password)
        with GraphDatabase.driver(self.uri, auth=login, notifications_min_severity="OFF") as driver:
            records, _, _ = driver.execute_query(text, database_=self.database, routing_=RoutingControl.READ)
        return [record.data() for record in records]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A question with its answer."""

    question: str
    cypher: str
    lines: tuple[str, ...]
    median_ms: float
    """Through gRPC, from call to the last line, the median of nine on a warm server."""


def ask_ancestors(repository: mgit.Repository, graph: Graph, model: mgit.Model) -> Answer:
    """What a model was made from, however many steps back, by distance."""
    cypher = _fill(TRAVERSALS["ancestors", "rows-all"], uid=model.uid, depth=_LIMIT, limit=_LIMIT)
    lines, median_ms = _time(
        lambda: [f"{each.model.ref}, {each.hops} back" for each in repository.ancestors(model)]
    )
    rows = graph.rows(cypher)
    _compare(lines, [f"{row['name']}@{row['version']}, {row['hops']} back" for row in rows])
    question = f"What was {model.ref} made from?"
    return Answer(question=question, cypher=cypher, lines=tuple(lines), median_ms=median_ms)


def ask_sharers(repository: mgit.Repository, graph: Graph, model: mgit.Model, parameter: str) -> Answer:
    """Which models hold exactly the same tensor as a model does under the name ``parameter``."""
    digest = model.tensors[parameter].digest
    cypher = _fill(MODELS_WITH_TENSOR, digest=digest, after_uid="", after_name="", size=_LIMIT)
    lines, median_ms = _time(
        lambda: [f"{use.model.ref}: {use.parameter}" for use in repository.models_with_tensor(digest)]
    )
    rows = graph.rows(cypher)
    _compare(lines, [f"{row['model']['name']}@{row['model']['version']}: {row['parameter']}" for row in rows])
    question = f"Which models have the very tensor {parameter} of {model.ref}?"
    return Answer(question=question, cypher=cypher, lines=tuple(lines), median_ms=median_ms)


def _fill(query: str, **values: str | int) -> str:
    literals: Mapping[str, str] = {name: json.dumps(value) for name, value in values.items()}
    return _PARAMETER.sub(lambda match: literals[match[1]], query).strip()


def _time(ask: Callable[[], list[str]]) -> tuple[list[str], float]:
    times_ms = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        lines = ask()
        times_ms.append(1000 * (time.perf_counter() - started))
    return lines, round(statistics.median(times_ms), 2)


def _compare(grpc: list[str], cypher: list[str]) -> None:
    if grpc != cypher:
        raise InternalError(
            ErrorReason.INTERNAL,
            f"gRPC and Cypher should answer alike; gRPC said {grpc}, Cypher said {cypher}.",
        )
