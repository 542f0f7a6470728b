"""Facts as messages, and back as the client reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mgit.wire import read_facts, read_lineage
from mgit_core.facts import ModelFacts
from mgit_core.lineage import Dataset, MetadataValue
from mgit_proto.v1 import lineage_pb2
from mgit_service.servicers.facts import facts_answers, facts_message

FULL = ModelFacts(
    uid="01890000-0000-7000-8000-000000000001",
    type="encoder",
    metadata={"a": "text", "b": 1, "c": 0.5, "d": True},
    tags=("best", "prod"),
    size_bytes=2**40,
    passed_tests=("accuracy",),
    failed_tests=("finite", "size"),
    bug_ids=("01890000-0000-7000-8000-000000000002",),
    datasets=(Dataset(name="docs"), Dataset(name="glue", version="2")),
)
LARGE: dict[str, MetadataValue] = {"card": "x" * 64_000}


async def answers(*parts: list[ModelFacts]) -> list[lineage_pb2.GetLineageResponse]:
    async def come() -> AsyncIterator[list[ModelFacts]]:
        for part in parts:
            yield part

    return [answer async for answer in facts_answers(come())]


def test_what_was_sent_is_what_is_read() -> None:
    for facts in (FULL, ModelFacts(uid="m")):
        message = lineage_pb2.ModelFacts.FromString(facts_message(facts).SerializeToString())
        assert read_facts(message) == facts


async def test_small_facts_share_a_message() -> None:
    [answer] = await answers([FULL] * 500, [FULL] * 500)
    assert len(answer.facts) == 1000


async def test_a_message_stays_below_a_mebibyte_whatever_the_metadata() -> None:
    many = [ModelFacts(uid=str(number), metadata=LARGE) for number in range(100)]
    found = await answers(many[:30], [], many[30:])
    assert max(answer.ByteSize() for answer in found) < 1 << 20
    assert len(found) > 1
    assert [facts.uid for facts in read_lineage(found).facts] == [facts.uid for facts in many]


async def test_no_facts_are_no_message() -> None:
    assert await answers([], []) == []
