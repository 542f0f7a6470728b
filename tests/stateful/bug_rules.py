"""Rules that report and fix bugs, and ask whom they reach."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.stateful.twins import NOBODY, Refused, Twins, models, requests

from mgit_core.bugs import AffectedModel, BugState, BugSubject, DatasetSubject, ModelSubject, TensorSubject
from mgit_core.lineage import Dataset, EdgeOrigin, ParentLink, Relation
from mgit_core.ports.bugs import ReachQuery
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.values import fresh_uid, make_bug, make_commit

__all__ = ["BugRules"]

_CONTENTS = ("x", "y", "z")
_DATASETS = tuple(Dataset(name="docs", version=version) for version in ("", "1", "2"))
_CARRIED = ((Relation.FINETUNED,), (Relation.MERGED, Relation.DERIVED), tuple(Relation), tuple(Relation))


@dataclass(frozen=True)
class Report:
    """A bug before its models are known."""

    affected: tuple[int, ...]
    contents: tuple[str, ...]
    datasets: tuple[Dataset, ...]
    carried_by: tuple[Relation, ...]


reports = st.builds(
    Report,
    affected=st.lists(models, max_size=3).map(tuple),
    contents=st.lists(st.sampled_from(_CONTENTS), max_size=1).map(tuple),
    datasets=st.lists(st.sampled_from(_DATASETS), max_size=1).map(tuple),
    carried_by=st.sampled_from(_CARRIED),
).filter(lambda report: report.affected or report.contents or report.datasets)


class BugRules(Twins):
    """Bugs, fixes, and the questions about both."""

    def __init__(self) -> None:
        super().__init__()
        self.bugs: list[str] = []

    def bug_id(self, index: int) -> str:
        """One of the bugs that were reported, often the last one; nobody's if there is none."""
        return self.bugs[-1 - index % len(self.bugs)] if self.bugs else NOBODY

    @rule(content=st.sampled_from(_CONTENTS), dataset=st.sampled_from(_DATASETS), parent=models)
    def commit_trained(self, content: str, dataset: Dataset, parent: int) -> None:
        """A model from a parent that was only inferred, and trained on a data set."""
        link = ParentLink(parent_uid=self.uid(parent), origin=EdgeOrigin.INFERRED, confidence=0.5)
        commit = replace(make_commit("trained", link, content=content), datasets=(dataset,))
        answer = self.ask(lambda lineage: lineage.models.commit_batch([replace(commit, epoch=self.epoch)]))
        if not isinstance(answer, Refused):
            self.uids.append(commit.uid)

    @rule(report=reports, request=requests)
    def report_bug(self, report: Report, request: int | None) -> None:
        subjects: list[BugSubject] = [ModelSubject(self.uid(index)) for index in report.affected]
        subjects += [
            TensorSubject(make_commit("m", content=content).tensors[0].digest) for content in report.contents
        ]
        subjects += map(DatasetSubject, report.datasets)
        bug = replace(make_bug("bug", *subjects, carried_by=report.carried_by), id=fresh_uid())
        key = self.key(request, "report", report)
        answer = self.ask(lambda lineage: lineage.bugs.report(bug, key))
        if not isinstance(answer, Refused):
            self.bugs.append(answer.id)

    @rule(bug=models, model=models, is_forced=st.booleans(), request=requests)
    def fix_bug(self, bug: int, model: int, is_forced: bool, request: int | None) -> None:  # noqa: FBT001 - drawn
        bug_id, uid = self.bug_id(bug), self.uid(model)
        key = self.key(request, "fix", bug_id, uid)
        self.ask(lambda lineage: lineage.bugs.fix(bug_id, uid, force=is_forced, request=key))

    @rule(bug=models, state=st.sampled_from(BugState), request=requests)
    def set_bug_state(self, bug: int, state: BugState, request: int | None) -> None:
        bug_id = self.bug_id(bug)
        key = self.key(request, "state", bug_id, state)
        self.ask(lambda lineage: lineage.bugs.set_state(bug_id, state, key))

    @rule(bug=models, assumed=st.lists(models, max_size=2), declared_only=st.booleans())
    def reach(self, bug: int, assumed: list[int], declared_only: bool) -> None:  # noqa: FBT001 - drawn
        query = ReachQuery(
            bug_id=self.bug_id(bug),
            assumed_fixed=tuple(self.uid(index) for index in assumed),
            declared_only=declared_only,
        )
        self.ask(lambda lineage: _affected(lineage, query))
        self.ask(lambda lineage: lineage.bugs.count(query))
        self.ask(lambda lineage: lineage.bugs.margin(query))

    @rule(bug=models, model=models, state=st.sampled_from((None, BugState.CLOSED)))
    def look_up_bugs(self, bug: int, model: int, state: BugState | None) -> None:
        bug_id, uid = self.bug_id(bug), self.uid(model)
        self.ask(lambda lineage: lineage.bugs.find(bug_id))
        self.ask(lambda lineage: lineage.bugs.find(bug_id[:2]))
        self.ask(lambda lineage: lineage.bugs.list_page(Page(size=3), state=state))
        self.ask(lambda lineage: lineage.bugs.list_page(Page(), state=state, model_uid=uid))


async def _affected(lineage: Lineage, query: ReachQuery) -> list[AffectedModel]:
    return [each async for part in lineage.bugs.affected(query) for each in part]
