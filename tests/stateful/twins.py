"""Neo4j and its twin in memory, side by side: how both are asked, and when two answers are one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from tests.neo4j_server import TestServer, empty_graph

from mgit_core.bugs import Bug
from mgit_core.cascade.values import Cascade, CascadeStep
from mgit_core.errors import ErrorReason, MGitError
from mgit_core.lineage import Model, ProvenanceEdge, RequestKey
from mgit_core.ports.graph import Lease, Lineage
from mgit_storage.lineage import open_memory, open_neo4j
from mgit_storage.testing.values import make_commit

T = TypeVar("T")
STORE_ID = "00000000-0000-4000-8000-000000000001"
NOBODY = "00000000-0000-7000-8000-000000000000"
LAST = 12
models = st.integers(min_value=0, max_value=LAST)
requests = st.sampled_from((None, None, None, 1, 2))


@dataclass
class Server:
    """Set by the test before the machine runs."""

    address: ClassVar[TestServer]


@dataclass(frozen=True)
class Refused:
    """An error as an answer."""

    reason: ErrorReason


class Twins(RuleBasedStateMachine):
    """Opens both and asks both; what is asked stands in the rules of the classes below it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        server = Server.address
        empty_graph(server)
        self.real = self.runner.run(
            self._open(lambda: open_neo4j(server.uri, server.username, server.password, is_warmed=False))
        )
        self.twin = self.runner.run(self._open(open_memory))
        self.uids: list[str] = []
        self.epoch = 1

    @staticmethod
    async def _open(make: Callable[[], Lineage]) -> Lineage:
        lineage = make()
        await lineage.binding.bind(STORE_ID, store_is_empty=True)
        return lineage

    def teardown(self) -> None:
        self.runner.run(self.real.binding.close())
        self.runner.close()

    def ask(self, question: Callable[[Lineage], Coroutine[Any, Any, T]]) -> T | Refused:
        """The answer of both, which is one."""
        real, twin = (self._answer(question, lineage) for lineage in (self.real, self.twin))
        assert _timeless(real) == _timeless(twin), f"Neo4j says {real}, memory says {twin}"
        return real

    def _answer(self, question: Callable[[Lineage], Coroutine[Any, Any, T]], lineage: Lineage) -> T | Refused:
        try:
            return self.runner.run(question(lineage))
        except MGitError as error:
            return Refused(error.reason)

    def uid(self, index: int) -> str:
        """One of the models that were ever committed; the last index is nobody's."""
        return NOBODY if index == LAST or not self.uids else self.uids[index % len(self.uids)]

    def key(self, request: int | None, *arguments: object) -> RequestKey | None:
        """Covers the kind of the request, as the service's keys do."""
        if request is None:
            return None
        digest = hashlib.sha256(repr(arguments).encode()).digest()
        return RequestKey(id=f"request {request}", arguments_digest=digest)


def _timeless(answer: Any) -> Any:
    """The answer without what each makes for itself: the moments of links and changes, the names of holders."""
    told = answer
    match answer:
        case Lease():
            told = replace(answer, holder="")
        case datetime():
            told = _ANY_TIME
        case Cascade():
            steps = tuple(map(_timeless, answer.plan.steps))
            told = replace(answer, updated_at=_ANY_TIME, plan=replace(answer.plan, steps=steps))
        case CascadeStep():
            told = replace(answer, expires_at=None if answer.expires_at is None else _ANY_TIME)
        case Bug():
            told = replace(answer, updated_at=_ANY_TIME)
        case ProvenanceEdge():
            told = replace(answer, created_at=_ANY_TIME)
        case list() | tuple():
            told = list(map(_timeless, answer))
        case Model():
            told = replace(answer, parents=tuple(map(_timeless, answer.parents)))
        case _ if hasattr(answer, "same_as"):
            told = replace(answer, model=_timeless(answer.model))
        case _:
            pass
    return told


_ANY_TIME = make_commit("m").created_at
