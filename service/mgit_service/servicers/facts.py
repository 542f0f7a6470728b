"""Facts about models as messages."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mgit_core.facts import ModelFacts
from mgit_proto.v1 import lineage_pb2
from mgit_service.servicers import convert
from mgit_service.servicers.metadata import metadata_message

__all__ = ["facts_answers", "facts_message"]

# The metadata of one model alone may take 64 KiB, so that a fixed number of models could outgrow a message.
_BYTES_IN_A_MESSAGE = 512 * 1024


def facts_message(facts: ModelFacts) -> lineage_pb2.ModelFacts:
    """What is known of a model."""
    return lineage_pb2.ModelFacts(
        uid=facts.uid,
        type=facts.type or "",
        metadata={key: metadata_message(value) for key, value in facts.metadata.items()},
        tags=facts.tags,
        size_bytes=facts.size_bytes,
        passed_tests=facts.passed_tests,
        failed_tests=facts.failed_tests,
        bug_ids=facts.bug_ids,
        datasets=[convert.dataset_message(dataset) for dataset in facts.datasets],
    )


async def facts_answers(
    parts: AsyncIterator[list[ModelFacts]],
) -> AsyncIterator[lineage_pb2.GetLineageResponse]:
    """The facts in their order, in messages that stay below 1 MiB."""
    answer = lineage_pb2.GetLineageResponse()
    size_bytes = 0
    async for part in parts:
        for facts in part:
            message = facts_message(facts)
            answer.facts.append(message)
            size_bytes += message.ByteSize()
            if size_bytes >= _BYTES_IN_A_MESSAGE:
                yield answer
                answer, size_bytes = lineage_pb2.GetLineageResponse(), 0
    if answer.facts:
        yield answer
