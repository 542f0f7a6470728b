"""1,000 random lineages, planned and compared with a reference that is written in another way, over networkx.

The reference asks for the smallest set that is closed under the rule, by trying the rule on all models until nothing
changes; the plan walks from the updated model.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import networkx as nx
import pytest
from tests.unit.core.cascade.families import NEW, OLD, Family, plan
from tests.unit.core.cascade.families import bases as told_bases

from mgit_core.cascade.values import LeaveOutReason, UpdatePlan
from mgit_core.errors import InvalidArgumentError

_ROUNDS = 10
_EACH = 100


@dataclass(frozen=True)
class Case:
    """A random lineage and what is to be left out."""

    family: Family
    skip: frozenset[str]
    stop_at: frozenset[str]

    @property
    def lineage(self) -> nx.DiGraph:
        """From parent to child."""
        graph = nx.DiGraph()
        graph.add_nodes_from([OLD, NEW, *self.family.parents])
        graph.add_edges_from(
            (parent, child) for child, parents in self.family.parents.items() for parent in parents
        )
        return graph


def make_case(numbers: random.Random) -> Case:
    """From two to thirty models: dense and thin, deep and flat, with strangers, tombstones, stops and groups."""
    names = [f"m{number}" for number in range(numbers.randint(2, 30))]
    numbers.shuffle(names)
    reach = numbers.choice((2, 5, 40))
    parents: dict[str, list[str]] = {}
    made = [OLD]
    for name in names:
        pool = [*made[-reach:], *([OLD] if numbers.random() < 0.3 else [])]
        parents[name] = numbers.sample(
            sorted(set(pool)), min(len(set(pool)), numbers.choice((0, 1, 1, 2, 3)))
        )
        made.append(name)
    if numbers.random() < 0.5:
        parents[NEW] = [OLD]
    if numbers.random() < 0.3:
        parents[numbers.choice(names)].append(NEW)

    def some(share: float) -> frozenset[str]:
        return frozenset(name for name in names if numbers.random() < share)

    groups = {name: f"g{numbers.randint(0, 2)}" for name in some(numbers.choice((0, 0, 0.15)))}
    merges = {
        name: numbers.choice([OLD, *names[:at]])
        for at, name in enumerate(names)
        if len(parents[name]) > 1 and name not in groups and numbers.random() < 0.7
    }
    family = Family(parents, removed=some(0.05), uncreated=some(0.1), groups=groups, merges=merges)
    return Case(family, skip=some(0.05), stop_at=some(0.1))


def affected_by_rule(case: Case) -> set[str]:
    """The smallest set that is closed under the rule."""
    family, lineage = case.family, case.lineage
    kept = (
        {OLD, NEW, *nx.descendants(lineage, NEW)}
        | family.removed
        | family.uncreated
        | case.skip
        | case.stop_at
    )
    able = {
        name
        for name in family.parents
        if name not in kept and not {*family.parents[name], family.merges.get(name, OLD)} & family.removed
    }
    affected: set[str] = set()
    while True:
        groups = {family.groups[name] for name in affected if name in family.groups}
        more = {
            name
            for name in able
            if {OLD, *affected} & set(family.parents[name]) or family.groups.get(name) in groups
        }
        if more == affected:
            return affected
        affected = more


def calls_are_acyclic(case: Case, affected: set[str]) -> bool:
    """Whether the calls that make the affected models can be put in order."""
    lineage = case.lineage.subgraph(affected)
    call = {name: case.family.groups.get(name, name) for name in affected}
    calls = nx.DiGraph()
    calls.add_edges_from((call[parent], call[child]) for parent, child in lineage.edges)
    return bool(nx.is_directed_acyclic_graph(calls))


def bases_by_rule(case: Case, affected: set[str]) -> dict[str, str]:
    """What the merges among the affected models are compared with; a new model is called after its old one."""
    family = case.family
    made = affected | {OLD}
    after = case.lineage
    after.add_edges_from(
        (NEW if parent == OLD else f"{parent}'" if parent in affected else parent, f"{child}'")
        for child in affected
        for parent in family.parents[child]
    )
    call = {name: family.groups.get(name, name) for name in affected}
    calls = nx.DiGraph()
    calls.add_nodes_from(call.values())
    calls.add_edges_from(
        (call[parent], call[child])
        for child in affected
        for parent in family.parents[child]
        if parent in affected
    )
    found: dict[str, str] = {}
    for name, base in family.merges.items():
        if name not in affected:
            continue
        found[name] = base
        new_base = NEW if base == OLD else f"{base}'"
        sides = {
            side: NEW if side == OLD else f"{side}'" if side in affected else side
            for side in family.parents[name][:2]
        }
        follows = base in made and all(
            new_side == new_base or nx.has_path(after, new_base, new_side)
            if side == base or nx.has_path(case.lineage, base, side)
            else side in made
            for side, new_side in sides.items()
        )
        if follows and (base == OLD or not nx.has_path(calls, call[name], call[base])):
            found[name] = new_base
            if base != OLD:
                calls.add_edge(call[base], call[name])
    return found


def check_plan(case: Case, update: UpdatePlan, affected: set[str]) -> None:
    """Each affected model once, parents first, every parent the right one."""
    targets = [target for step in update.steps for target in step.targets]
    assert sorted(target.old.uid for target in targets) == sorted(affected)
    number = {target.uid: step.number for step in update.steps for target in step.targets}
    new_uid = {target.old.uid: target.uid for target in targets} | {OLD: NEW}
    assert len(number) == len(targets)
    bases = bases_by_rule(case, affected)
    assert told_bases(update) == bases
    for step in update.steps:
        needed = set()
        for target in step.targets:
            wanted = [new_uid.get(parent, parent) for parent in case.family.parents[target.old.uid]]
            assert [link.parent_uid for link in target.parents] == wanted
            base = bases.get(target.old.uid, "").removesuffix("'")
            is_replaced = bases.get(target.old.uid) == f"{base}'" and base in affected
            wanted += [new_uid[base]] if is_replaced else []
            needed |= {number[uid] for uid in wanted if uid in number}
        assert step.needs == tuple(sorted(needed))
        assert all(need < step.number for need in step.needs), "parents come first"
        groups = {case.family.groups.get(target.old.uid, target.old.uid) for target in step.targets}
        assert len(groups) == 1
    left = {each.model.uid: each.reason for each in update.left_out}
    starts = {OLD, *affected}
    below = set().union(*(nx.descendants(case.lineage, start) for start in starts))
    assert left.keys() == below - affected - {NEW, *nx.descendants(case.lineage, NEW)}
    for uid, reason in left.items():
        touched = bool(starts & set(case.family.parents[uid]))
        assert touched or reason not in (
            LeaveOutReason.NO_CREATION_FUNCTION,
            LeaveOutReason.PARENT_REMOVED,
        )
        assert not touched or reason is not LeaveOutReason.UNCHANGED


@pytest.mark.parametrize("part", range(_ROUNDS))
def test_random_lineages_are_planned_as_the_rule_says(part: int) -> None:
    numbers = random.Random(part)
    planned = 0
    while planned < _EACH:
        case = make_case(numbers)
        affected = affected_by_rule(case)
        if calls_are_acyclic(case, affected):
            check_plan(case, plan(case.family, skip=case.skip, stop_at=case.stop_at), affected)
            planned += 1
        else:
            with pytest.raises(InvalidArgumentError):
                plan(case.family, skip=case.skip, stop_at=case.stop_at)
