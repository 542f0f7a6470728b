"""Laws of whom a bug reaches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

from mgit_core.bugs import AffectedModel, AffectedReason, Bug, DatasetSubject, ModelSubject, TensorSubject
from mgit_core.lineage import Dataset, EdgeOrigin, Model, ModelSummary, ParentLink, Relation
from mgit_core.ports.bugs import ReachQuery
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.lineage.steps import add, child_of
from mgit_storage.testing.values import make_bug, make_commit

__all__ = ["BugReachLaws"]

DIRECT, TENSOR, DATASET, INHERITED = AffectedReason


async def _report(lineage: Lineage, *models: ModelSummary, carried_by: Sequence[Relation] = ()) -> Bug:
    subjects = (ModelSubject(model.uid) for model in models)
    return await lineage.bugs.report(
        make_bug("a bug", *subjects, carried_by=tuple(carried_by) or tuple(Relation))
    )


async def _affected(lineage: Lineage, query: ReachQuery) -> list[AffectedModel]:
    """All of the answer, after what holds for every one: order, witnesses, and the count."""
    found = [each async for part in lineage.bugs.affected(query) for each in part]
    assert [(each.hops, each.model.uid) for each in found] == sorted(
        (each.hops, each.model.uid) for each in found
    )
    seen: dict[str, AffectedModel] = {}
    for each in found:
        assert (each.next_uid is None) == (each.hops == 0) == (each.reason is not INHERITED)
        if each.next_uid is not None:
            before = seen[each.next_uid]
            assert each.hops == before.hops + 1
            assert each.is_inferred or not before.is_inferred
        seen[each.model.uid] = each
    assert len(seen) == len(found) == await lineage.bugs.count(query)
    return found


async def _names(lineage: Lineage, bug: Bug, *assumed: Model, declared_only: bool = False) -> list[str]:
    query = ReachQuery(
        bug_id=bug.id, assumed_fixed=tuple(each.uid for each in assumed), declared_only=declared_only
    )
    return [each.model.name for each in await _affected(lineage, query)]


async def _ways(lineage: Lineage, query: ReachQuery) -> dict[str, tuple[str | None, int, bool]]:
    """Next model, hops, and whether it is inferred, by name."""
    found = await _affected(lineage, query)
    names = {each.model.uid: each.model.name for each in found}
    return {each.model.name: (names.get(each.next_uid or ""), each.hops, each.is_inferred) for each in found}


def _inferred(parent: Model) -> ParentLink:
    return ParentLink(parent_uid=parent.uid, origin=EdgeOrigin.INFERRED, confidence=0.9)


async def _linked(lineage: Lineage, name: str, *links: ParentLink) -> Model:
    return (await lineage.models.commit(make_commit(name, *links))).model


async def _trained(lineage: Lineage, name: str, *datasets: Dataset, content: str | None = None) -> Model:
    commit = replace(make_commit(name, content=content), datasets=datasets)
    return (await lineage.models.commit(commit)).model


def _refs(models: Iterable[ModelSummary]) -> list[str]:
    return [model.ref for model in models]


class BugReachLaws:
    """A bug reaches what is touched and, over edges that carry it, all behind it that no fix cuts off."""

    async def test_a_bug_reaches_the_model_and_what_was_made_from_it(self, lineage: Lineage) -> None:
        root = await add(lineage, "root")
        base = await add(lineage, "base", root)
        a, b = await add(lineage, "a", base), await add(lineage, "b", base)
        await add(lineage, "merged", a, b)
        await add(lineage, "stranger")
        bug = await _report(lineage, base)
        assert await _names(lineage, bug) == ["base", "a", "b", "merged"]

    async def test_a_fix_cuts_off_what_is_only_behind_it(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        a, b = await add(lineage, "a", base), await add(lineage, "b", base)
        behind = await add(lineage, "behind", b)
        await add(lineage, "last", behind)
        await add(lineage, "merged", a, behind)
        bug = await _report(lineage, base)
        await lineage.bugs.fix(bug.id, b.uid)
        assert await _names(lineage, bug) == ["base", "a", "merged"]

    async def test_the_longer_way_around_a_fix_counts(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        short = await add(lineage, "short", base)
        long = await add(lineage, "longer", await add(lineage, "long", base))
        await add(lineage, "end", short, long)
        bug = await _report(lineage, base)
        await lineage.bugs.fix(bug.id, short.uid)
        ways = await _ways(lineage, ReachQuery(bug_id=bug.id))
        assert ways["end"] == ("longer", 3, False)

    async def test_a_fix_in_the_touched_model_ends_it_all(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        await add(lineage, "child", base)
        bug = await _report(lineage, base)
        await lineage.bugs.fix(bug.id, base.uid)
        assert await _names(lineage, bug) == []

    async def test_only_the_relations_of_a_bug_carry_it(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        tuned = await add(lineage, "tuned", base)
        cast = await _linked(lineage, "cast", *child_of(base, relation=Relation.CAST))
        await add(lineage, "below-cast", cast)
        await _linked(lineage, "both", *child_of(tuned), *child_of(cast, relation=Relation.CAST))
        bug = await _report(lineage, base, carried_by=(Relation.FINETUNED, Relation.MERGED))
        assert await _names(lineage, bug) == ["base", "tuned", "both"]

    async def test_version_edges_carry_nothing(self, lineage: Lineage) -> None:
        first = await add(lineage, "m")
        await add(lineage, "m")
        bug = await _report(lineage, first)
        found = await _affected(lineage, ReachQuery(bug_id=bug.id))
        assert _refs(each.model for each in found) == ["m@1"]

    async def test_inferred_edges_count_and_are_told(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        guessed = await _linked(lineage, "guessed", _inferred(base))
        below = await add(lineage, "below", guessed)
        sure = await add(lineage, "sure", await add(lineage, "step", base))
        await _linked(lineage, "both", _inferred(base), *child_of(sure))
        await _linked(lineage, "end", _inferred(sure), *child_of(below))
        bug = await _report(lineage, base)
        assert await _ways(lineage, ReachQuery(bug_id=bug.id)) == {
            "base": (None, 0, False),
            "guessed": ("base", 1, True),
            "step": ("base", 1, False),
            "below": ("guessed", 2, True),
            "sure": ("step", 2, False),
            "both": ("sure", 3, False),
            "end": ("below", 3, True),
        }
        assert await _names(lineage, bug, declared_only=True) == ["base", "step", "sure", "both"]

    async def test_of_equal_ways_the_parent_with_the_smallest_uid_is_next(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        one, two = await add(lineage, "one", base), await add(lineage, "two", base)
        await add(lineage, "merged", two, one)
        bug = await _report(lineage, base)
        assert (await _ways(lineage, ReachQuery(bug_id=bug.id)))["merged"] == ("one", 2, False)

    async def test_holders_of_a_tensor_are_touched_without_any_edge(self, lineage: Lineage) -> None:
        commit = make_commit("one", content="same")
        one = (await lineage.models.commit(commit)).model
        await add(lineage, "two", content="same")
        await add(lineage, "child", one)
        bug = await lineage.bugs.report(make_bug("b", TensorSubject(commit.tensors[1].digest)))
        found = await _affected(lineage, ReachQuery(bug_id=bug.id))
        reasons = [(each.model.name, each.reason) for each in found]
        assert reasons == [("one", TENSOR), ("two", TENSOR), ("child", INHERITED)]

    async def test_a_removed_holder_is_touched_no_more(self, lineage: Lineage) -> None:
        commit = make_commit("one", content="same")
        one = (await lineage.models.commit(commit)).model
        await add(lineage, "two", content="same")
        await add(lineage, "child", one)
        bug = await lineage.bugs.report(make_bug("b", TensorSubject(commit.tensors[0].digest)))
        await lineage.models.remove(one.uid)
        assert await _names(lineage, bug) == ["two"]

    async def test_tombstones_are_touched_and_pass_a_bug_on(self, lineage: Lineage) -> None:
        base = await _trained(lineage, "base", Dataset(name="docs"))
        middle = await add(lineage, "middle", base)
        await add(lineage, "child", middle)
        direct = await _report(lineage, base)
        by_data = await lineage.bugs.report(make_bug("b", DatasetSubject(Dataset(name="docs"))))
        for model in (base, middle):
            await lineage.models.remove(model.uid)
        assert await _names(lineage, direct) == ["base", "middle", "child"]
        assert await _names(lineage, by_data) == ["base", "middle", "child"]

    async def test_a_data_set_touches_what_was_trained_on_it(self, lineage: Lineage) -> None:
        one = await _trained(lineage, "one", Dataset(name="docs", version="1"))
        await _trained(lineage, "two", Dataset(name="docs", version="2"))
        await _trained(lineage, "plain", Dataset(name="docs"))
        await add(lineage, "child", one)
        first = DatasetSubject(Dataset(name="docs", version="1"))
        bug = await lineage.bugs.report(make_bug("b", first))
        assert await _names(lineage, bug) == ["one", "child"]
        every = await lineage.bugs.report(make_bug("c", DatasetSubject(Dataset(name="docs"))))
        assert await _names(lineage, every) == ["one", "two", "plain", "child"]
        await _trained(lineage, "later", Dataset(name="docs", version="3"))
        assert await _names(lineage, every) == ["one", "two", "plain", "later", "child"]
        found = await _affected(lineage, ReachQuery(bug_id=every.id))
        assert {each.reason for each in found} == {DATASET, INHERITED}

    async def test_of_several_reasons_the_first_counts(self, lineage: Lineage) -> None:
        docs = Dataset(name="docs")
        base = await _trained(lineage, "base", docs, content="same")
        await _trained(lineage, "twin", docs, content="same")
        await _trained(lineage, "trained", docs)
        await add(lineage, "child", base, content="same")
        subjects = (TensorSubject(make_commit("m", content="same").tensors[0].digest), DatasetSubject(docs))
        bug = await lineage.bugs.report(make_bug("b", *subjects, ModelSubject(base.uid)))
        found = await _affected(lineage, ReachQuery(bug_id=bug.id))
        assert {each.model.name: each.reason for each in found} == {
            "base": DIRECT,
            "twin": TENSOR,
            "trained": DATASET,
            "child": TENSOR,
        }

    async def test_tags_tell_what_is_deployed(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        child = await add(lineage, "child", base)
        for tag in ("prod", "canary"):
            await lineage.tags.put(child.uid, tag)
        bug = await _report(lineage, base)
        found = await _affected(lineage, ReachQuery(bug_id=bug.id))
        assert [each.tags for each in found] == [(), ("canary", "prod")]

    async def test_a_closed_bug_reaches_as_far(self, lineage: Lineage) -> None:
        bug = await _report(lineage, await add(lineage, "base"))
        await lineage.bugs.set_state(bug.id, bug.state.CLOSED)
        assert await _names(lineage, bug) == ["base"]

    async def test_what_a_proposed_fix_would_clear(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        a, b = await add(lineage, "a", base), await add(lineage, "b", base)
        await add(lineage, "below", a)
        await add(lineage, "merged", a, b)
        bug = await _report(lineage, base)
        assert await _names(lineage, bug, a) == ["base", "b", "merged"]
        margin = await lineage.bugs.margin(ReachQuery(bug_id=bug.id, assumed_fixed=(a.uid,)))
        assert _refs(margin.cleared) == ["a@1", "below@1"]
        assert (await lineage.bugs.margin(ReachQuery(bug_id=bug.id))).cleared == ()

    async def test_nobody_knows_of_newer_versions_without_a_way(self, lineage: Lineage) -> None:
        base, other = await add(lineage, "base"), await add(lineage, "other")
        child = await add(lineage, "child", base)
        for _ in range(3):
            await add(lineage, "child")
        await add(lineage, "child", child)
        await add(lineage, "other")
        bug = await _report(lineage, base)
        margin = await lineage.bugs.margin(ReachQuery(bug_id=bug.id))
        assert _refs(margin.unknown) == ["child@2", "child@3", "child@4"]
        await lineage.bugs.fix(bug.id, other.uid, force=True)
        assert (await lineage.bugs.margin(ReachQuery(bug_id=bug.id))).unknown == margin.unknown

    async def test_what_a_fix_clears_is_not_unknown(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        second, third = await add(lineage, "base", base), await add(lineage, "base")
        below = await add(lineage, "base", second)
        bug = await _report(lineage, base)
        await lineage.bugs.fix(bug.id, second.uid)
        assert await _names(lineage, bug) == ["base"]
        margin = await lineage.bugs.margin(ReachQuery(bug_id=bug.id))
        assert _refs(margin.unknown) == [third.ref], "the second is fixed, and the fourth comes from it"
        query = ReachQuery(bug_id=bug.id, assumed_fixed=(third.uid, below.uid))
        assert (await lineage.bugs.margin(query)).unknown == ()

    async def test_many_diamonds_are_walked_once(self, lineage: Lineage) -> None:
        commits = [make_commit("root")]
        for number in range(30):
            sides = [
                make_commit(f"{side}-{number}", ParentLink(parent_uid=commits[-1].uid))
                for side in ("left", "right")
            ]
            top = make_commit(f"top-{number}", *(ParentLink(parent_uid=side.uid) for side in sides))
            commits += [*sides, top]
        models = [done.model for done in await lineage.models.commit_batch(commits)]
        bug = await _report(lineage, models[0])
        await lineage.bugs.fix(bug.id, models[1].uid)
        assert await _names(lineage, bug) == [model.name for model in models if model.name != "left-0"]
        await lineage.bugs.fix(bug.id, models[2].uid)
        assert await _names(lineage, bug) == ["root"]

    async def test_a_bug_of_many_things_reaches_all_behind_them(self, lineage: Lineage) -> None:
        """With many things the models behind them are found another way."""
        roots = [await add(lineage, f"root-{number}") for number in range(12)]
        children = [await add(lineage, f"child-{number}", root) for number, root in enumerate(roots)]
        await add(lineage, "merged", *children)
        bug = await _report(lineage, *roots)
        await lineage.bugs.fix(bug.id, roots[3].uid)
        await lineage.bugs.fix(bug.id, children[5].uid)
        wanted = [f"root-{number}" for number in range(12) if number != 3]
        wanted += [f"child-{number}" for number in range(12) if number not in {3, 5}]
        assert await _names(lineage, bug) == [*wanted, "merged"]
        margin = await lineage.bugs.margin(ReachQuery(bug_id=bug.id, assumed_fixed=(roots[0].uid,)))
        assert _refs(margin.cleared) == ["root-0@1", "child-0@1"]

    async def test_random_lineages_follow_the_definition(self, lineage: Lineage) -> None:
        """A model is affected if it is not fixed, and is touched or has an affected parent over a carrying edge."""
        chance = Random(7)  # noqa: S311 - the same lineages on every run
        for round_number in range(4):
            bug, models, fixed = await _random_case(lineage, chance, f"r{round_number}")
            affected: set[str] = set()
            for model in models:  # Parents come before their children.
                inherits = any(
                    edge.parent_uid in affected and edge.relation in bug.carried_by for edge in model.parents
                )
                if model.uid not in fixed and (model.uid == models[0].uid or inherits):
                    affected.add(model.uid)
            found = await _affected(lineage, ReachQuery(bug_id=bug.id))
            assert {each.model.uid for each in found} == affected


async def _random_case(lineage: Lineage, chance: Random, prefix: str) -> tuple[Bug, list[Model], set[str]]:
    commits = [make_commit(f"{prefix}/0")]
    for number in range(1, 25):
        parents = chance.sample(commits, min(len(commits), chance.randint(1, 3)))
        links = (
            ParentLink(parent_uid=each.uid, relation=chance.choice((Relation.FINETUNED, Relation.CAST)))
            for each in parents
        )
        commits.append(make_commit(f"{prefix}/{number}", *links))
    models = [done.model for done in await lineage.models.commit_batch(commits)]
    carried_by = chance.choice(((Relation.FINETUNED,), tuple(Relation)))
    bug = await _report(lineage, models[0], carried_by=carried_by)
    fixed = {each.uid for each in chance.sample(models[1:], 4)}
    for uid in sorted(fixed):
        await lineage.bugs.fix(bug.id, uid, force=True)
    return bug, models, fixed
