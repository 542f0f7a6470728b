"""What goes along with models: edges, tags, tests, results and bugs, given and united."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from mgit_core.bugs import check_bug
from mgit_core.lineage import RequestKey
from mgit_core.model_tests import check_model_test, check_result
from mgit_core.names import check_tag
from mgit_core.ports.exchange import ExchangeRecords, RecordChanges
from mgit_core.ports.graph import Lineage

__all__ = ["export_records", "import_records"]

# The results on so many models fit memory.
_MODELS_AT_ONCE = 200


async def export_records(lineage: Lineage, uids: Sequence[str]) -> AsyncIterator[ExchangeRecords]:
    """What goes along with the models, each record once, in slices; a test comes with or before its results.

    Raises:
        NotFoundError: MODEL_NOT_FOUND.
    """
    chosen = frozenset(uids)
    told: set[str] = set()
    for start in range(0, len(uids), _MODELS_AT_ONCE):
        found = await lineage.exchange.export_records(uids[start : start + _MODELS_AT_ONCE])
        yield ExchangeRecords(
            edges=tuple(edge for edge in found.edges if edge.parent_uid in chosen),
            revisions=tuple(edge for edge in found.revisions if edge.older_uid in chosen),
            tags=found.tags,
            tests=tuple(test for test in found.tests if test.uid not in told),
            results=found.results,
            bugs=tuple(bug for bug in found.bugs if bug.id not in told),
        )
        told.update(test.uid for test in found.tests)
        told.update(bug.id for bug in found.bugs)


async def import_records(
    lineage: Lineage,
    records: ExchangeRecords,
    *,
    remote: str,
    force_tags: bool,
    request: RequestKey | None,
) -> RecordChanges:
    """Unite records with those that are here, all or none.

    Raises:
        InvalidArgumentError: INVALID_TEST, INVALID_BUG, INVALID_METADATA or INVALID_NAME.
        ConflictError: CYCLE, TAG_MOVED or REQUEST_ID_REUSED.
    """
    for tag in records.tags:
        check_tag(tag.tag)
    for test in records.tests:
        check_model_test(test)
    for kept in records.results:
        check_result(kept.result)
    for bug in records.bugs:
        check_bug(bug)
    return await lineage.exchange.import_records(
        records, remote=remote, force_tags=force_tags, request=request
    )
