"""Rules that stage models, run cascades, publish and cancel."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.stateful.twins import NOBODY, Refused, Twins, models, requests

from mgit_core.cascade.graph import CascadeGraph, PlanOptions
from mgit_core.cascade.planning import plan_cascade
from mgit_core.cascade.values import Cascade, CascadeState, CascadeStep, PublishMode, StepLease
from mgit_core.lineage import ModelCommit, ParentLink, Previous, Relation
from mgit_core.merge.recording import MergeCall, record_merge
from mgit_core.ports.cascades import StepReport
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.values import fresh_uid, make_commit, make_creation

__all__ = ["CascadeRules"]

# Longer than any history takes: leases end here by reports only.
_LEASE_S = 3_600.0
_GROUPS = ("", "", "", "g1", "g2")


@dataclass(frozen=True)
class Creation:
    """A commit that can be made anew, before its parents are known."""

    name: str
    content: str
    parents: tuple[int, ...]
    group: str
    base: int | None


creations = st.builds(
    Creation,
    name=st.sampled_from(("a", "b", "c/d")),
    content=st.sampled_from(("x", "y")),
    parents=st.lists(models, max_size=2, unique=True).map(tuple),
    group=st.sampled_from(_GROUPS),
    base=st.none() | models,
)
reports = st.sampled_from(
    (
        StepReport(),
        StepReport(),
        StepReport(),
        StepReport(error="it raised"),
        StepReport(error="other shapes", is_final=True),
        StepReport(failed_tests=("t",)),
        StepReport(is_released=True),
    )
)


class CascadeRules(Twins):
    """Staged models and cascades, and the questions about both."""

    def __init__(self) -> None:
        super().__init__()
        self.staged: list[str] = []
        self.cascades: list[str] = []
        self.held: list[tuple[StepLease, CascadeStep]] = []

    def creation_commit(self, drawn: Creation, uids: list[str]) -> ModelCommit:
        """A commit with its creation record, that of a merge if it has a base; a parent comes once."""
        if drawn.base is not None:
            sides = (ParentLink(parent_uid=uid, relation=Relation.MERGED) for uid in dict.fromkeys(uids))
            return replace(
                make_commit(drawn.name, *sides, content=drawn.content, epoch=self.epoch),
                creation=record_merge(MergeCall(base_uid=self.uid(drawn.base))),
            )
        links = (ParentLink(parent_uid=uid) for uid in dict.fromkeys(uids))
        group = drawn.group and f"00000000-0000-4000-8000-0000000000{drawn.group[1:]:>02}"
        member = fresh_uid() if group else ""
        return replace(
            make_commit(drawn.name, *links, content=drawn.content, epoch=self.epoch),
            creation=make_creation(f"makers:{drawn.name[0]}", group=group, member=member),
        )

    @rule(drawn=creations)
    def create(self, drawn: Creation) -> None:
        commit = self.creation_commit(drawn, [self.uid(index) for index in drawn.parents])
        answer = self.ask(lambda lineage: lineage.models.commit(commit))
        if not isinstance(answer, Refused):
            self.uids.append(answer.model.uid)

    def staged_uid(self, index: int) -> str:
        """One of the models that were ever staged, mostly a late one."""
        return self.staged[-1 - index % len(self.staged)] if self.staged else NOBODY

    @rule(drawn=creations, on_staged=st.booleans(), request=requests)
    def stage(self, drawn: Creation, on_staged: bool, request: int | None) -> None:  # noqa: FBT001 - drawn
        named = [self.uid(index) for index in drawn.parents]
        if on_staged:
            named = [self.staged_uid(index) for index in drawn.parents]
        commit = self.creation_commit(drawn, named)
        key = self.key(request, "stage", drawn)
        answer = self.ask(lambda lineage: lineage.staging.stage(commit, request=key))
        if not isinstance(answer, Refused):
            self.staged.append(answer.uid)

    @rule(indexes=st.lists(models, max_size=3, unique=True), is_kept=st.booleans())
    def publish_or_discard(self, indexes: list[int], is_kept: bool) -> None:  # noqa: FBT001 - drawn
        uids = [self.staged_uid(index) for index in sorted(indexes, reverse=True)]
        if not is_kept:
            self.ask(lambda lineage: lineage.staging.discard(uids))
            return
        answer = self.ask(lambda lineage: lineage.staging.publish(uids))
        if not isinstance(answer, Refused):
            self.uids += [done.model.uid for done in answer if done.model.uid not in self.uids]

    def cascade_id(self, index: int) -> str:
        """One of the cascades, mostly the last one."""
        return self.cascades[-1 - index % len(self.cascades)] if self.cascades else NOBODY

    @rule(
        old=models,
        new=models,
        publish=st.sampled_from(PublishMode),
        stops=st.booleans(),
        request=requests,
    )
    def start(self, old: int, new: int, publish: PublishMode, stops: bool, request: int | None) -> None:  # noqa: FBT001 - drawn
        old_uid, new_uid = self.uid(old), self.uid(new)
        graph = self.ask(lambda lineage: _sorted_graph(lineage, old_uid, new_uid))
        if isinstance(graph, Refused):
            return
        try:
            plan = plan_cascade(graph, PlanOptions(), fresh_uid)
        except Exception:  # noqa: BLE001 - a group that needs itself; told by the tests of plans
            return
        cascade = Cascade(
            id=fresh_uid(),
            state=CascadeState.RUNNING if plan.steps else CascadeState.PUBLISHED,
            plan=plan,
            publish=publish,
            stop_at_failed_tests=stops,
            max_attempts=2,
            created_at=graph.old.created_at,
            updated_at=graph.old.created_at,
        )
        key = self.key(request, "start", old, new, publish, stops)
        answer = self.ask(lambda lineage: lineage.cascades.start(cascade, key))
        if not isinstance(answer, Refused) and answer.id not in self.cascades:
            self.cascades.append(answer.id)

    @rule(index=st.sampled_from((0, 0, 0, 1)))
    def lease(self, index: int) -> None:
        cascade_id = self.cascade_id(index)
        answer = self.ask(lambda lineage: lineage.cascades.lease(cascade_id, "w", _LEASE_S))
        if not isinstance(answer, Refused) and answer[0] is not None:
            step = answer[0]
            self.held.append((StepLease(cascade_id=cascade_id, step=step.number, attempt=step.attempt), step))

    @rule(index=st.sampled_from((0, 0, 0, 1, 2)), is_whole=st.sampled_from((True, True, False)))
    def make(self, index: int, is_whole: bool) -> None:  # noqa: FBT001 - drawn
        if not self.held:
            return
        lease, step = self.held[-1 - index % len(self.held)]
        for target in step.targets[: None if is_whole else 1]:
            commit = replace(
                make_commit(
                    target.old.name,
                    *target.parents,
                    content="made",
                    previous=Previous(uid=target.old.uid, automatic=False),
                    epoch=self.epoch,
                ),
                uid=target.uid,
                creation=target.creation,
            )
            self.ask(lambda lineage, commit=commit: lineage.staging.stage(commit, lease))  # type: ignore[misc]

    @rule(index=st.sampled_from((0, 0, 0, 1, 2)), report=reports)
    def report(self, index: int, report: StepReport) -> None:
        if not self.held:
            return
        lease, step = self.held[-1 - index % len(self.held)]
        answer = self.ask(lambda lineage: lineage.cascades.report(lease, report))
        if not isinstance(answer, Refused):
            self.uids += [target.uid for target in step.targets if target.uid not in self.uids]

    @rule(index=st.sampled_from((0, 0, 1)), publish=st.sampled_from((None, *PublishMode)), request=requests)
    def resume(self, index: int, publish: PublishMode | None, request: int | None) -> None:
        cascade_id = self.cascade_id(index)
        key = self.key(request, "resume", cascade_id, publish)
        self.ask(lambda lineage: lineage.cascades.resume(cascade_id, publish=publish, request=key))

    @rule(index=st.sampled_from((0, 0, 1)), anyway=st.booleans(), request=requests)
    def publish(self, index: int, anyway: bool, request: int | None) -> None:  # noqa: FBT001 - drawn
        cascade_id = self.cascade_id(index)
        key = self.key(request, "publish", cascade_id, anyway)
        self.ask(lambda lineage: lineage.cascades.publish(cascade_id, anyway=anyway, request=key))

    @rule(index=st.sampled_from((0, 1)), request=requests)
    def cancel(self, index: int, request: int | None) -> None:
        cascade_id = self.cascade_id(index)
        key = self.key(request, "cancel", cascade_id)
        self.ask(lambda lineage: lineage.cascades.cancel(cascade_id, key))

    @rule(index=st.sampled_from((0, 1)), size=st.integers(min_value=1, max_value=3))
    def look_up_cascades(self, index: int, size: int) -> None:
        cascade_id = self.cascade_id(index)
        self.ask(lambda lineage: lineage.cascades.get(cascade_id))
        self.ask(lambda lineage: lineage.cascades.list_page(Page(size=size)))
        self.ask(lambda lineage: lineage.staging.list_page(Page(size=size)))
        self.ask(lambda lineage: lineage.staging.list_undecided(Page(size=size)))
        self.ask(lambda lineage: lineage.cascades.running_over(self.uids))
        if self.held:
            lease = self.held[-1][0]
            self.ask(lambda lineage: lineage.cascades.leased_step(lease))


async def _sorted_graph(lineage: Lineage, old_uid: str, new_uid: str) -> CascadeGraph:
    """What a plan is made from, in one order: that in which it comes says nothing."""
    graph = await lineage.cascades.graph(old_uid, new_uid)
    return replace(
        graph,
        models=dict(sorted(graph.models.items())),
        edges=tuple(
            replace(edge, created_at=graph.old.created_at)
            for edge in sorted(graph.edges, key=lambda edge: (edge.child_uid, edge.position))
        ),
    )
