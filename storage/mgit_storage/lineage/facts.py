"""What is known of many models besides their edges, on Neo4j."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import starmap
from typing import Any, LiteralString

from mgit_core.facts import ModelFacts
from mgit_core.lineage import Dataset
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import ModelTestOutcome, judge_value
from mgit_core.ports.facts import Facts
from mgit_storage.lineage import records
from mgit_storage.lineage.cypher import facts as cypher
from mgit_storage.lineage.session import GraphSession

__all__ = ["Neo4jFacts"]

# So many uids fit one look-up comfortably, and the facts of so many models fit the memory of a service.
_UIDS_AT_ONCE = 10_000


class Neo4jFacts(Facts):
    """Four look-ups for each slice of models."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def of_models(self, uids: Sequence[str]) -> AsyncIterator[list[ModelFacts]]:
        wanted = list(dict.fromkeys(uids))
        for start in range(0, len(wanted), _UIDS_AT_ONCE):
            part = wanted[start : start + _UIDS_AT_ONCE]
            tags = dict(await self._found(cypher.TAGS_OF, part))
            datasets = dict(await self._found(cypher.DATASETS_OF, part))
            results = dict(await self._found(cypher.NEWEST_RESULTS_OF, part))
            found: dict[str, ModelFacts] = {}
            for model, type_name, size_bytes in await self._found(cypher.PROPERTIES_OF, part):
                uid = model["uid"]
                judged = [(result[0], _outcome(result)) for result in results.get(uid, ())]
                found[uid] = ModelFacts(
                    uid=uid,
                    type=type_name,
                    metadata=records.metadata_of(model),
                    tags=tuple(sorted(tags.get(uid, ()))),
                    size_bytes=size_bytes or 0,
                    passed_tests=_names(judged, ModelTestOutcome.PASSED),
                    failed_tests=_names(judged, ModelTestOutcome.FAILED, ModelTestOutcome.ERROR),
                    datasets=tuple(starmap(_dataset, sorted(datasets.get(uid, ())))),
                )
            yield [found[uid] for uid in part if uid in found]

    async def _found(self, query: LiteralString, uids: list[str]) -> list[Any]:
        rows = await self._session.rows(query, uids=uids)
        found: list[Any] = rows[0]["found"]
        return found


def _dataset(name: str, version: str) -> Dataset:
    return Dataset(name=name, version=version)


def _outcome(result: list[Any]) -> ModelTestOutcome:
    _, threshold, direction, value, is_truth = result
    return judge_value(
        value, is_truth=bool(is_truth), threshold=threshold, direction=MetricDirection(direction)
    )


def _names(judged: list[tuple[str, ModelTestOutcome]], *outcomes: ModelTestOutcome) -> tuple[str, ...]:
    return tuple(sorted(name for name, outcome in judged if outcome in outcomes))
