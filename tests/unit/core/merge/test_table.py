"""The table of merges: every pair of edits, at every pair of places, with every choice, against an independent oracle."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.merge.models import BASE, EDGES, NAMES, planned

from mgit_core.merge.values import ConflictChoice, Dependence, MergeClass, ParameterClass

CHOICES = (None, *ConflictChoice)
EDITS = [None, *itertools.product(NAMES, (1, 2))]
Edits = dict[str, int]


def flow() -> nx.DiGraph:
    graph = nx.DiGraph(EDGES)
    graph.add_node("tower")
    return graph


FLOW = flow()


def layer(name: str) -> str:
    return name.rpartition(".")[0]


def depend(one: str, other: str) -> bool:
    """Whether changes of two parameters may spoil each other: one layer, a path, or a common descendant."""
    first, second = layer(one), layer(other)
    below_first, below_second = nx.descendants(FLOW, first), nx.descendants(FLOW, second)
    return (
        first == second or second in below_first or first in below_second or bool(below_first & below_second)
    )


def expected(ours: Edits, theirs: Edits, choice: ConflictChoice | None) -> MergeClass:
    """What the paper says, pair by pair; a conflict that something was chosen for counts as decided."""
    conflicts = {name for name in ours if name in theirs and ours[name] != theirs[name]}
    if conflicts and choice is None:
        return MergeClass.CONFLICT
    alone_ours = set(ours) - set(theirs)
    alone_theirs = set(theirs) - set(ours)
    pairs = set(itertools.product(alone_ours, alone_theirs))
    if choice is not ConflictChoice.OURS:
        pairs |= set(itertools.product(alone_ours, conflicts))
    if choice is not ConflictChoice.THEIRS:
        pairs |= set(itertools.product(conflicts, alone_theirs))
    is_possible = any(depend(one, other) for one, other in pairs)
    return MergeClass.POSSIBLE_CONFLICT if is_possible else MergeClass.NO_CONFLICT


@pytest.mark.parametrize("choice", CHOICES)
def test_every_pair_of_edits_has_its_class(choice: ConflictChoice | None) -> None:
    cases = 0
    for ours, theirs in itertools.product(EDITS, EDITS):
        mine = dict([ours]) if ours else {}
        other = dict([theirs]) if theirs else {}
        plan = planned({**BASE, **mine}, {**BASE, **other}, choice=choice)
        assert expected(mine, other, choice) is plan.kind, (ours, theirs, choice)
        cases += 1
    assert len(EDITS) ** 2 == cases


@settings(max_examples=80, deadline=None)
@given(
    ours=st.dictionaries(st.sampled_from(NAMES), st.sampled_from((1, 2))),
    theirs=st.dictionaries(st.sampled_from(NAMES), st.sampled_from((1, 2))),
    choice=st.sampled_from(CHOICES),
)
def test_any_number_of_edits_has_its_class(ours: Edits, theirs: Edits, choice: ConflictChoice | None) -> None:
    plan = planned({**BASE, **ours}, {**BASE, **theirs}, choice=choice)
    assert expected(ours, theirs, choice) is plan.kind


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "wanted"),
    [
        (0, 0, 0, ParameterClass.UNCHANGED),
        (0, 1, 0, ParameterClass.OURS),
        (0, 0, 1, ParameterClass.THEIRS),
        (0, 1, 1, ParameterClass.SAME),
        (0, 1, 2, ParameterClass.CONFLICT),
        (None, 1, None, ParameterClass.OURS),
        (None, None, 1, ParameterClass.THEIRS),
        (None, 1, 1, ParameterClass.SAME),
        (None, 1, 2, ParameterClass.CONFLICT),
        (0, None, 0, ParameterClass.OURS),
        (0, 0, None, ParameterClass.THEIRS),
        (0, None, None, ParameterClass.SAME),
        (0, None, 1, ParameterClass.CONFLICT),
        (0, 1, None, ParameterClass.CONFLICT),
    ],
)
def test_every_fate_of_a_parameter_has_its_class(
    base: int | None, ours: int | None, theirs: int | None, wanted: ParameterClass
) -> None:
    rest = {name: content for name, content in BASE.items() if name != "tower.weight"}

    def contents(number: int | None) -> Edits:
        return rest if number is None else {**rest, "tower.weight": number}

    counts = planned(contents(ours), contents(theirs), contents(base)).counts
    assert len(rest) + (wanted is ParameterClass.UNCHANGED) == counts.unchanged
    assert wanted is ParameterClass.UNCHANGED or getattr(counts, wanted.value) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "dependence", "through"),
    [
        ("left.weight", "left.bias", Dependence.SAME_LAYER, ""),
        ("left.weight", "head_a.weight", Dependence.OURS_FEEDS_THEIRS, ""),
        ("head_b.weight", "right.weight", Dependence.THEIRS_FEEDS_OURS, ""),
        ("left.weight", "right.weight", Dependence.SHARED_LAYER, "top"),
    ],
)
def test_a_possible_conflict_says_how_the_layers_depend(
    ours: str, theirs: str, dependence: Dependence, through: str
) -> None:
    [found] = planned({**BASE, ours: 1}, {**BASE, theirs: 1}).possible
    assert (layer(ours), layer(theirs), dependence, through) == (
        found.ours,
        found.theirs,
        found.dependence,
        found.through,
    )
