"""What is known of many models besides their edges, in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence

from mgit_core.facts import ModelFacts
from mgit_core.model_tests import ModelTestOutcome, judge
from mgit_core.ports.facts import Facts
from mgit_storage.lineage.memory.state import MemoryGraph, State

__all__ = ["MemoryFacts"]

_SLICE = 500


class MemoryFacts(Facts):
    """One model after the other."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def of_models(self, uids: Sequence[str]) -> AsyncIterator[list[ModelFacts]]:
        state = self._graph.state
        judged = _judged(state)
        found = [_facts(state, uid, judged[uid]) for uid in dict.fromkeys(uids) if uid in state.models]
        for start in range(0, len(found), _SLICE):
            yield found[start : start + _SLICE]


def _judged(state: State) -> dict[str, dict[str, ModelTestOutcome]]:
    """For each model the names of registered tests with what their newest result says."""
    found: dict[str, dict[str, ModelTestOutcome]] = defaultdict(dict)
    for _, result in sorted(state.results.items()):
        test = state.tests[result.key.test_uid]
        if not test.is_removed:
            found[result.model_uid][test.name] = judge(test, result.value, is_truth=result.is_truth)
    return found


def _facts(state: State, uid: str, judged: Mapping[str, ModelTestOutcome]) -> ModelFacts:
    model = state.described(uid)
    passed = [name for name, outcome in judged.items() if outcome is ModelTestOutcome.PASSED]
    failed = [
        name
        for name, outcome in judged.items()
        if outcome in {ModelTestOutcome.FAILED, ModelTestOutcome.ERROR}
    ]
    return ModelFacts(
        uid=uid,
        type=model.type,
        metadata=model.metadata,
        tags=model.tags,
        size_bytes=0 if model.parameters is None else model.parameters.size_bytes,
        passed_tests=tuple(sorted(passed)),
        failed_tests=tuple(sorted(failed)),
        datasets=tuple(sorted(model.datasets, key=lambda each: (each.name, each.version))),
    )
