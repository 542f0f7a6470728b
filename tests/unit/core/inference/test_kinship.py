from __future__ import annotations

from mgit_core.inference.kinship import Kinship, relation_of
from mgit_core.lineage import Relation


def test_every_kinship_but_a_duplicate_has_a_relation() -> None:
    assert {kinship for kinship in Kinship if relation_of(kinship) is None} == {Kinship.DUPLICATE}


def test_a_new_head_is_an_edge_of_fine_tuning() -> None:
    assert relation_of(Kinship.HEAD_REPLACED) is Relation.FINETUNED
