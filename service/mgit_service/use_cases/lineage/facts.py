"""Facts about many models, with the open bugs that reach them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace

from mgit_core.bugs import BugState
from mgit_core.facts import ModelFacts
from mgit_core.ports.bugs import ReachQuery
from mgit_core.ports.graph import Lineage, Page

__all__ = ["describe_models"]

_BUGS_AT_ONCE = 1_000


async def describe_models(lineage: Lineage, uids: Sequence[str]) -> AsyncIterator[list[ModelFacts]]:
    """Facts about the models, in their order, in slices, open bugs included.

    Whom a bug reaches is asked once for each open bug, however many models are described.
    """
    bugs = await _open_bugs(lineage, frozenset(uids))
    async for part in lineage.facts.of_models(uids):
        yield [replace(facts, bug_ids=tuple(bugs.get(facts.uid, ()))) for facts in part]


async def _open_bugs(lineage: Lineage, uids: Collection[str]) -> dict[str, list[str]]:
    """The open bugs of those of the models that have any, sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for bug_id in sorted(await _open_bug_ids(lineage)):
        async for part in lineage.bugs.affected(ReachQuery(bug_id=bug_id)):
            for each in part:
                if each.model.uid in uids:
                    found[each.model.uid].append(bug_id)
    return found


async def _open_bug_ids(lineage: Lineage) -> list[str]:
    found: list[str] = []
    page = Page(size=_BUGS_AT_ONCE)
    while True:
        bugs = await lineage.bugs.list_page(page, state=BugState.OPEN)
        found += [bug.id for bug in bugs]
        if len(bugs) < page.size:
            return found
        page = Page(size=_BUGS_AT_ONCE, after=bugs[-1].id)
