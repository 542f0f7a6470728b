from __future__ import annotations

import pytest
from examples.minilm.catalog import DEMO, FULL
from examples.minilm.graphs import FEDERATED, MULTITASK, PRUNING, ROBUSTNESS, TRUNK
from examples.minilm.recipe import Base, Member, Multitask

from mgit_core.lineage import Relation

ALL = {
    "demo": DEMO,
    "full": FULL,
    "robustness": ROBUSTNESS,
    "federated": FEDERATED,
    "pruning": PRUNING,
    "multitask": MULTITASK,
}
FAMILIES = pytest.mark.parametrize("family", ALL.values(), ids=ALL)


@FAMILIES
def test_parents_and_previous_versions_come_first(family: tuple[Member, ...]) -> None:
    known: set[str] = set()
    for member in family:
        needed = {parent for parent, _ in member.parents} | {member.previous or "minilm@1"}
        assert member.recipe == Base() or needed <= known
        known.add(member.ref)


@FAMILIES
def test_references_are_unique(family: tuple[Member, ...]) -> None:
    assert len(family) == len({member.ref for member in family})


@FAMILIES
def test_relations_are_those_of_the_lineage_graph(family: tuple[Member, ...]) -> None:
    relations = {relation for member in family for _, relation in member.parents}

    assert relations <= set(Relation)


@FAMILIES
def test_a_cast_names_a_base_of_its_own_number_type(family: tuple[Member, ...]) -> None:
    recipes = {member.ref: member.recipe for member in family}

    for member in family:
        assert member.same_dtype is None or member.recipe == recipes[member.same_dtype]


def test_the_demo_has_a_second_version() -> None:
    assert [member.previous for member in DEMO if member.version == 2] == ["topic-network@1"]


def test_the_full_family_is_the_base_and_twenty_models() -> None:
    assert sum(not member.is_adapter for member in FULL) == 21


def test_the_trunk_of_the_multitask_graph_is_its_only_trunk() -> None:
    assert [member.ref for member in MULTITASK if isinstance(member.recipe, Multitask)] == [TRUNK]
