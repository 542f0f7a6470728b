"""Neo4j and its twin in memory, driven side by side by the same random history.

Every answer and every refusal must be equal, except the times that each of them takes from its own clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from tests.neo4j_server import TestServer, empty_graph
from tests.stateful.bug_rules import BugRules
from tests.stateful.model_test_rules import TYPE, ModelTestRules
from tests.stateful.twins import LAST, NOBODY, Refused, Server, Twins, models, requests

from mgit_core.lineage import Direction, Model, ModelState, ParentLink, Previous, Relation
from mgit_core.names import Reference
from mgit_core.ports.graph import Lease, Lineage, Page, TraversalQuery
from mgit_core.ports.walks import WalkQuery
from mgit_core.similarity import DIMENSIONS
from mgit_core.walks.question import WalkDirection, WalkEdges
from mgit_core.walks.walking import WalkPlan, walk
from mgit_storage.testing.lineage.facts import facts_of
from mgit_storage.testing.values import make_commit

NAMES = ("a", "b", "c/d", "a", "b", "B")
CONTENTS = ("x", "y", "z")
RELATIONS = (Relation.FINETUNED, Relation.MERGED)
# Longer than any history takes: leases end here by being released only.
LEASE_SECONDS = 3_600.0

relations = st.sampled_from(RELATIONS)


@dataclass(frozen=True)
class Draft:
    """A commit before its models are known; ``previous`` is None for none, 0 for the latest, else a model."""

    name: str
    content: str
    parents: list[tuple[int, Relation]]
    previous: int | None
    is_fresh: bool


drafts = st.builds(
    Draft,
    name=st.sampled_from(NAMES),
    content=st.sampled_from(CONTENTS),
    parents=st.lists(st.tuples(models, relations), max_size=3, unique=True),
    previous=st.one_of(st.none(), st.just(0), st.integers(min_value=1, max_value=LAST)),
    is_fresh=st.sampled_from((True, True, True, True, False)),
)


class LineageTwins(BugRules, ModelTestRules):
    """Each rule asks both; the invariants look at the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.leases: list[dict[int, Lease]] = []
        self.numbers: set[tuple[str, int]] = set()

    @initialize()
    def begin(self) -> None:
        """A small family, so that most of what is drawn next concerns somebody."""
        base = replace(make_commit("a", content="x"), type=TYPE)
        one, two = (make_commit(name, ParentLink(parent_uid=base.uid)) for name in ("b", "c/d"))
        joined = make_commit("a", *(ParentLink(parent_uid=each.uid) for each in (one, two)), content="y")
        family = [base, one, two, joined, make_commit("lonely")]
        answer = self.ask(lambda lineage: lineage.models.commit_batch(family))
        assert not isinstance(answer, Refused)
        for done in answer:
            self._take(done.model)

    @rule(draft=drafts, request=requests)
    def commit(self, draft: Draft, request: int | None) -> None:
        links = tuple(
            ParentLink(parent_uid=self.uid(index), relation=relation) for index, relation in draft.parents
        )
        older = Previous(automatic=draft.previous is not None)
        if draft.previous:
            older = Previous(uid=self.uid(draft.previous - 1))
        commit = make_commit(
            draft.name, *links, content=draft.content, previous=older, epoch=self.epoch - (not draft.is_fresh)
        )
        key = self.key(request, "commit", draft.name, draft.content)
        answer = self.ask(lambda lineage: lineage.models.commit(commit, key))
        if not isinstance(answer, Refused) and not answer.repeated:
            self._take(answer.model)

    def _take(self, model: Model) -> None:
        number = (model.name, model.version)
        assert number not in self.numbers, "numbers are never reused"
        self.numbers.add(number)
        self.uids.append(model.uid)

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=4), content=st.sampled_from(CONTENTS))
    def commit_batch(self, names: list[str], content: str) -> None:
        commits = [make_commit(name, content=content, epoch=self.epoch) for name in names]
        chained = [commits[0]]
        for commit in commits[1:]:
            chained.append(replace(commit, parents=(ParentLink(parent_uid=chained[-1].uid),)))
        answer = self.ask(lambda lineage: lineage.models.commit_batch(chained))
        for done in [] if isinstance(answer, Refused) else answer:
            self._take(done.model)

    @rule(work=st.sampled_from(("gc", "repack")))
    def acquire(self, work: str) -> None:
        given: dict[int, Lease] = {}

        async def ask(lineage: Lineage) -> Lease:
            given[id(lineage)] = await lineage.leases.acquire(work, LEASE_SECONDS)
            return given[id(lineage)]

        if not isinstance(self.ask(ask), Refused):
            self.leases.append(given)

    def lease_given(self, index: int) -> dict[int, Lease]:
        """What both gave at one of the acquisitions; mostly the last one."""
        stranger = Lease(holder="nobody", number=1, seconds=LEASE_SECONDS, work="gc")
        nobodys = {id(self.real): stranger, id(self.twin): stranger}
        return self.leases[-1 - index % len(self.leases)] if self.leases else nobodys

    @rule(index=st.sampled_from((0, 0, 0, 1)), is_over=st.booleans())
    def renew_or_release(self, index: int, is_over: bool) -> None:  # noqa: FBT001 - drawn
        lease = self.lease_given(index)
        if is_over:
            self.ask(lambda lineage: lineage.leases.release(lease[id(lineage)]))
        else:
            self.ask(lambda lineage: lineage.leases.renew(lease[id(lineage)]))

    @rule(index=st.sampled_from((0, 0, 0, 1)), key=st.sampled_from((None, "condemned/list")))
    def condemn(self, index: int, key: str | None) -> None:
        lease = self.lease_given(index)
        answer = self.ask(lambda lineage: lineage.binding.condemn(key, lease[id(lineage)]))
        if not isinstance(answer, Refused):
            assert (answer.epoch, answer.condemned) == (self.epoch + 1, key)
            self.epoch = answer.epoch

    @rule(content=st.sampled_from(CONTENTS))
    def put_sketch(self, content: str) -> None:
        digest = make_commit("m", content=content).parameters.digest
        vector = [1.0, *([0.0] * (DIMENSIONS - 1))]
        self.ask(lambda lineage: lineage.sketches.put(digest, vector))

    @rule(model=models, request=requests)
    def remove(self, model: int, request: int | None) -> None:
        uid = self.uid(model)
        self.ask(lambda lineage: lineage.models.remove(uid, self.key(request, "remove", uid)))

    @rule(child=models, parent=models, relation=relations, request=requests)
    def link(self, child: int, parent: int, relation: Relation, request: int | None) -> None:
        link = ParentLink(parent_uid=self.uid(parent), relation=relation, weight=0.5)
        key = self.key(request, "link", child, parent)
        self.ask(lambda lineage: lineage.edges.link(self.uid(child), link, key))

    @rule(edge=models, relation=st.one_of(st.none(), relations), request=requests)
    def unlink(self, edge: int, relation: Relation | None, request: int | None) -> None:
        _, edges, _, _ = self.runner.run(self.twin.traversal.lineage([], max_models=1_000))
        ends = [(each.child_uid, each.parent_uid) for each in edges] or [(NOBODY, NOBODY)]
        child, parent = ends[edge % len(ends)]
        key = self.key(request, "unlink", child, parent, relation)
        self.ask(lambda lineage: lineage.edges.unlink(child, parent, relation, key))

    @rule(newer=models, older=models)
    def link_revision(self, newer: int, older: int) -> None:
        self.ask(lambda lineage: lineage.edges.link_revision(self.uid(newer), self.uid(older)))

    @rule(edge=models)
    def unlink_revision(self, edge: int) -> None:
        _, _, revisions, _ = self.runner.run(self.twin.traversal.lineage([], max_models=1_000))
        ends = [(each.newer_uid, each.older_uid) for each in revisions] or [(NOBODY, NOBODY)]
        newer, older = ends[edge % len(ends)]
        self.ask(lambda lineage: lineage.edges.unlink_revision(newer, older))

    @rule(model=models, tag=st.sampled_from(("one", "two")), force=st.booleans(), request=requests)
    def put_tag(self, model: int, tag: str, force: bool, request: int | None) -> None:  # noqa: FBT001 - drawn
        key = self.key(request, "tag", model, tag)
        self.ask(lambda lineage: lineage.tags.put(self.uid(model), tag, force=force, request=key))

    @rule(name=st.sampled_from(NAMES), tag=st.sampled_from(("one", "two")))
    def delete_tag(self, name: str, tag: str) -> None:
        self.ask(lambda lineage: lineage.tags.delete(name, tag))

    @rule(
        model=models,
        direction=st.sampled_from(Direction),
        only=st.sampled_from(((), RELATIONS[:1], RELATIONS)),
        max_depth=st.sampled_from((None, 1, 2)),
        limit=st.sampled_from((None, 1, 3)),
    )
    def walk(
        self,
        model: int,
        direction: Direction,
        only: tuple[Relation, ...],
        max_depth: int | None,
        limit: int | None,
    ) -> None:
        query = TraversalQuery(
            uid=self.uid(model), direction=direction, relations=only, max_depth=max_depth, limit=limit
        )
        self.ask(lambda lineage: _relatives(lineage, query))
        self.ask(lambda lineage: lineage.traversal.count(query))
        unbounded = replace(query, limit=None)
        self.ask(lambda lineage: _uids(lineage, unbounded))

    @rule(
        starts=st.lists(models, max_size=2),
        direction=st.sampled_from(WalkDirection),
        edges=st.sampled_from(WalkEdges),
        only=st.sampled_from(((), RELATIONS[:1])),
        bounds=st.sampled_from(((None, None), (1, None), (9, None), (None, 2))),
    )
    def walk_on(
        self,
        starts: list[int],
        direction: WalkDirection,
        edges: WalkEdges,
        only: tuple[Relation, ...],
        bounds: tuple[int | None, int | None],
    ) -> None:
        query = WalkQuery(
            uids=tuple(map(self.uid, starts)),
            direction=direction,
            edges=edges,
            relations=only,
            max_depth=bounds[0],
            enough=bounds[1],
        )
        self.ask(lambda lineage: _walk(lineage, query))

    @rule(ours=models, theirs=models, size=st.integers(min_value=1, max_value=6))
    def compare(self, ours: int, theirs: int, size: int) -> None:
        self.ask(lambda lineage: lineage.traversal.merge_bases(self.uid(ours), self.uid(theirs)))
        around = [self.uid(ours)]
        self.ask(lambda lineage: lineage.traversal.lineage(around, max_models=size))

    @rule(name=st.sampled_from(NAMES), size=st.integers(min_value=1, max_value=3))
    def look_up(self, name: str, size: int) -> None:
        for reference in (
            Reference(name=name),
            Reference(name=name, version=1),
            Reference(name=name, tag="one"),
        ):
            self.ask(lambda lineage, reference=reference: lineage.models.get(reference))  # type: ignore[misc]
        self.ask(lambda lineage: lineage.models.list_versions(name, Page(size=size)))
        self.ask(lambda lineage: lineage.models.list_latest(Page(size=size), prefix=name[:1]))
        self.ask(lambda lineage: lineage.tags.list(name))

    @rule(content=st.sampled_from(CONTENTS))
    def look_up_content(self, content: str) -> None:
        digest = make_commit("m", content=content).tensors[0].digest
        self.ask(lambda lineage: lineage.content.models_with_tensor(digest, Page(size=4)))
        self.ask(lambda lineage: lineage.content.duplicates(Page(size=2)))
        self.ask(lambda lineage: lineage.content.parameter_sets(Page(size=5)))
        self.ask(lambda lineage: lineage.sketches.lacking(Page(size=5)))

    @rule(asked=st.lists(models, max_size=4))
    def tell_facts(self, asked: list[int]) -> None:
        uids = [*map(self.uid, asked), *self.uids]
        told = self.ask(lambda lineage: facts_of(lineage, uids))
        assert not isinstance(told, Refused)
        assert {facts.uid for facts in told} <= set(uids)

    @invariant()
    def the_graph_is_acyclic_and_equal(self) -> None:
        answer = self.ask(lambda lineage: lineage.traversal.lineage([], max_models=1_000))
        assert not isinstance(answer, Refused)
        _, edges, revisions, _ = answer
        older: dict[str, set[str]] = {}
        for newer_uid, older_uid in [
            *((edge.child_uid, edge.parent_uid) for edge in edges),
            *((edge.newer_uid, edge.older_uid) for edge in revisions),
        ]:
            older.setdefault(newer_uid, set()).add(older_uid)
        while older:
            settled = {uid for uid, below in older.items() if not below & older.keys()}
            assert settled, "what is left of the graph is a cycle"
            older = {uid: below for uid, below in older.items() if uid not in settled}

    @invariant()
    def the_store_is_in_one_state(self) -> None:
        state = self.ask(lambda lineage: lineage.binding.state())
        assert not isinstance(state, Refused)
        assert state.epoch == self.epoch

    @invariant()
    def present_models_are_whole_and_counted(self) -> None:
        listed = self.ask(lambda lineage: lineage.content.parameter_sets(Page(size=1_000)))
        assert not isinstance(listed, Refused)
        assert all(model.parameters and model.state is ModelState.PRESENT for model in listed)
        counts = self.ask(lambda lineage: lineage.content.counts())
        assert not isinstance(counts, Refused)
        assert counts.models == len(listed)


async def _relatives(lineage: Lineage, query: TraversalQuery) -> list[Any]:
    return [row async for part in lineage.traversal.relatives(query) for row in part]


async def _walk(lineage: Lineage, query: WalkQuery) -> list[tuple[str, str, int]]:
    """Models with state and hops; as many as the query asked for surely, since a graph may hold more."""
    graph = await lineage.traversal.walk_graph(query)
    numbers = graph.numbers()
    starts = [numbers[uid] for uid in query.uids] if query.uids else None
    plan = WalkPlan(starts=starts, direction=query.direction, max_depth=query.max_depth)
    steps = [(graph.models[step.number], step.hops) for step in walk(graph, plan)]
    return [(model.uid, model.state, hops) for model, hops in steps][: query.enough]


async def _uids(lineage: Lineage, query: TraversalQuery) -> list[str]:
    return sorted([uid async for part in lineage.traversal.uids(query) for uid in part])


def run_twins(server: TestServer, *, examples: int, steps: int, machine: type[Twins] = LineageTwins) -> None:
    """Drive both through ``examples`` histories of ``steps`` steps, the same ones in every run."""
    Server.address = server
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=True,
                database=None,
                # Making a failing history shorter takes minutes on a real server; it is short as it is.
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        empty_graph(server)
