"""An auditor's question within its limits, over a graph that answers what it is told to."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from mgit_core.errors import (
    DeadlineExceededError,
    ErrorReason,
    InvalidArgumentError,
    MGitError,
    PermissionDeniedError,
    ResourceExhaustedError,
)
from mgit_core.ports.audit import AuditAnswer, AuditQueries, AuditQuestion, JsonValue
from mgit_core.ports.graph import Lineage, deadline
from mgit_service.servicers.audit import read_value, write_value
from mgit_service.use_cases.audit.asking import (
    MAX_ROW_BYTES,
    MAX_TEXT_BYTES,
    AuditLimits,
    AuditPart,
    ask_graph,
)
from mgit_storage.lineage.memory import open_memory_graph

OPEN = AuditLimits(is_open=True)


@dataclass
class Answering(AuditQueries):
    """Gives rows in parts of ten, then maybe fails."""

    rows: Sequence[tuple[JsonValue, ...]] = ()
    error: MGitError | None = None
    asked: list[AuditQuestion] = field(default_factory=list)
    is_closed: bool = False

    async def ask(self, question: AuditQuestion) -> AsyncGenerator[AuditAnswer]:
        self.asked.append(question)
        try:
            yield AuditAnswer(columns=("x",), rows=())
            for start in range(0, len(self.rows), 10):
                yield AuditAnswer(columns=("x",), rows=tuple(self.rows[start : start + 10]))
            if self.error is not None:
                raise self.error
        finally:
            self.is_closed = True


def over(audit: AuditQueries | None) -> Lineage:
    return replace(open_memory_graph(), audit=audit)


async def parts(
    audit: AuditQueries | None, limits: AuditLimits = OPEN, statement: str = "RETURN 1", **more: object
) -> list[AuditPart]:
    max_rows = more.pop("max_rows", 0)
    assert isinstance(max_rows, int)
    answers = ask_graph(over(audit), statement, more, limits, max_rows=max_rows)  # type: ignore[arg-type]
    return [part async for part in answers]


@pytest.fixture(autouse=True)
def no_deadline() -> Iterator[None]:
    token = deadline.set(None)
    yield
    deadline.reset(token)


async def test_a_door_that_is_shut_asks_nothing() -> None:
    graph = Answering()
    with pytest.raises(PermissionDeniedError, match="MGIT_AUDIT=on") as caught:
        await parts(graph, AuditLimits())
    assert (caught.value.reason, graph.asked) == (ErrorReason.AUDIT_OFF, [])


async def test_a_graph_in_memory_takes_no_question() -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        await parts(None)
    assert caught.value.reason is ErrorReason.AUDIT_OFF


async def test_an_answer_without_rows_has_its_columns() -> None:
    assert await parts(Answering()) == [AuditPart(columns=("x",))]


async def test_rows_come_as_the_graph_gives_them() -> None:
    found = await parts(Answering([(at,) for at in range(25)]))
    assert [row[0] for part in found for row in part.rows] == list(range(25))
    assert [part.truncated_by for part in found] == [""] * len(found)


@pytest.mark.parametrize(
    ("rows", "limit", "cut"), [(9, 10, ""), (10, 10, ""), (11, 10, "rows"), (25, 20, "rows")]
)
async def test_too_many_rows_are_cut_and_said_to_be(rows: int, limit: int, cut: str) -> None:
    graph = Answering([(at,) for at in range(rows)])
    found = await parts(graph, max_rows=limit)
    assert sum(len(part.rows) for part in found) == min(rows, limit)
    assert found[-1].truncated_by == cut
    assert graph.is_closed


async def test_the_service_has_a_limit_of_rows_of_its_own() -> None:
    found = await parts(Answering([(at,) for at in range(9)]), replace(OPEN, rows=3), max_rows=8)
    assert sum(len(part.rows) for part in found) == 3


async def test_too_many_bytes_are_cut_and_said_to_be() -> None:
    graph = Answering([("x" * 1000,) for _ in range(30)])
    found = await parts(graph, replace(OPEN, size_bytes=10_500))
    assert sum(len(part.rows) for part in found) == 10
    assert (found[-1].truncated_by, graph.is_closed) == ("bytes", True)


async def test_messages_stay_small() -> None:
    """Whatever the rows are: each part is one message, and a message has at most 1 MiB."""
    kinds: list[tuple[JsonValue, ...]] = [
        ([0] * 20_000,),
        (["é" * 100] * 1_000,),
        ({"k": [True] * 9_000},),
        ([None] * 30_000,),
    ]
    for part in await parts(Answering(kinds * 10)):
        assert sum(write_value(value).ByteSize() + 16 for row in part.rows for value in row) < 1 << 20


async def test_a_row_beyond_a_message_is_refused() -> None:
    with pytest.raises(ResourceExhaustedError, match="Row 2 of the answer") as caught:
        await parts(Answering([("x",), ("x" * MAX_ROW_BYTES,)]))
    assert caught.value.reason is ErrorReason.LIMIT_EXCEEDED


async def test_a_value_that_nests_too_deep_is_refused() -> None:
    value: JsonValue = 1
    for _ in range(41):
        value = [value]
    with pytest.raises(ResourceExhaustedError, match="deeper than 40"):
        await parts(Answering([(value,)]))


@pytest.mark.parametrize("statement", ["x" * (MAX_TEXT_BYTES + 1), "é" * (MAX_TEXT_BYTES // 2 + 1)])
async def test_a_long_text_is_refused_before_it_is_asked(statement: str) -> None:
    graph = Answering()
    with pytest.raises(InvalidArgumentError, match="statement") as caught:
        await parts(graph, statement=statement)
    assert (caught.value.reason, graph.asked) == (ErrorReason.INVALID_STATEMENT, [])


async def test_long_parameters_are_refused_before_they_are_asked() -> None:
    with pytest.raises(InvalidArgumentError, match="parameters"):
        await parts(Answering(), given=["x" * MAX_TEXT_BYTES])


async def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="max_rows"):
        await parts(Answering(), max_rows=-1)


async def test_the_time_is_the_shorter_of_the_callers_and_the_services() -> None:
    graph = Answering()
    await parts(graph, replace(OPEN, seconds=7.0))
    deadline.set(time.monotonic() + 1000)
    await parts(graph, replace(OPEN, seconds=7.0))
    deadline.set(time.monotonic() + 3)
    await parts(graph, replace(OPEN, seconds=7.0))
    assert [question.timeout_s for question in graph.asked[:2]] == [7.0, 7.0]
    assert 0 < graph.asked[2].timeout_s <= 3


async def test_an_error_of_the_graph_comes_behind_the_rows() -> None:
    graph = Answering([(1,)], DeadlineExceededError(ErrorReason.DEADLINE_EXCEEDED, "late"))
    answers = ask_graph(over(graph), "RETURN 1", {}, OPEN)
    assert [(await anext(answers)).rows for _ in range(2)] == [(), ((1,),)]
    with pytest.raises(DeadlineExceededError):
        await anext(answers)


async def test_leaving_the_answer_closes_the_question() -> None:
    graph = Answering([(at,) for at in range(100)])
    answers = ask_graph(over(graph), "RETURN 1", {}, OPEN)
    await anext(answers)
    assert not graph.is_closed
    await answers.aclose()
    assert graph.is_closed


@pytest.mark.parametrize(
    "value", [None, True, False, 0, -1, 2**53, 1.5, "", "é", [], [1, [None]], {}, {"a": {"b": [1.5, "x"]}}]
)
def test_values_cross_the_wire_unchanged(value: JsonValue) -> None:
    there = read_value(write_value(value))
    assert there == value
    assert type(there) is type(value)
