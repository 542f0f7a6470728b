"""Diffs over the wire: what a service says of one is what a client reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.unit.client.diffing.diffs import changed, in_both, layer, model, side

from mgit.diffing.reading import read_diff
from mgit.diffing.values import (
    DiffState,
    FlowDiff,
    LayerDiff,
    ParameterDiff,
    Relationship,
    RelationshipKind,
    StructuralDiff,
)
from mgit_core.layers.graph import Layer, LayerGraphSource
from mgit_core.lineage import Model, ModelState, Relation
from mgit_service.servicers.diff_messages import diff_messages
from mgit_service.use_cases.comparison.diffing import DiffOutline, MeasuredParameter

CONVOLUTION = Layer(
    path="stem",
    kind="Conv2d",
    attributes={"kernel_size": (3, 3), "stride": (), "bias": True, "groups": 1, "mode": "zeros"},
    parameters=("stem.weight", "stem.bias"),
)
AGAIN = Layer(path="stem#2", kind="Conv2d", repeats="stem")


def whole(name: str) -> Model:
    summary = model(name)
    return Model(
        uid=summary.uid,
        name=name,
        version=1,
        state=ModelState.PRESENT,
        created_at=summary.created_at,
    )


def outline(structural: StructuralDiff, relationship: Relationship, total_bytes: int) -> DiffOutline:
    return DiffOutline(
        before=whole("base"),
        after=whole("task"),
        relationship=relationship,
        structural=structural,
        equal_parameters=3,
        differing_parameters=2,
        renamed_parameters=1,
        total_bytes=total_bytes,
    )


STRUCTURAL = StructuralDiff(
    layers=(
        in_both(0, CONVOLUTION),
        in_both(1, AGAIN, replace(AGAIN, path="other#2")),
        in_both(2, layer("head"), layer("head", 9)),
        LayerDiff(before=layer("gone"), after=None, is_alike=False, before_at=3),
        LayerDiff(before=None, after=layer("new"), is_alike=False, after_at=3),
    ),
    flow=tuple(
        FlowDiff(giver="", taker="head", state=state)
        for state in (DiffState.EQUAL, DiffState.ADDED, DiffState.REMOVED)
    ),
    equal_layers=2,
    equal_flow=1,
    items=5,
    least_items=4,
    source=LayerGraphSource.EXPORT,
    note="Said.",
)
PARAMETERS = (
    changed("a", 0.25, rank=3, cosine=-0.5, not_finite=1, before_zeros=2, after_zeros=4),
    changed("b", float("inf"), rank=64, rank_is_bound=True),
    changed("c", 0.0, rank=0, cosine=1.0),
    ParameterDiff(before=side("gone", dtype="bfloat16", shape=()), after=None),
    ParameterDiff(before=None, after=side("new", shape=(0, 3))),
    ParameterDiff(before=side("old"), after=side("fresh")),
)


@pytest.mark.parametrize(
    "relationship",
    [
        Relationship(kind=RelationshipKind.CHILD, relation=Relation.QUANTIZED, is_newer_version=True),
        Relationship(kind=RelationshipKind.PARENT, relation=Relation.MERGED, is_older_version=True),
        Relationship(kind=RelationshipKind.RELATED, common_ancestors=(model("root"), model("other"))),
        *(Relationship(kind=kind) for kind in RelationshipKind),
    ],
)
async def test_what_is_said_is_what_is_read(relationship: Relationship) -> None:
    async def parts() -> AsyncIterator[DiffOutline | MeasuredParameter]:
        yield outline(STRUCTURAL, relationship, 600)
        for each in PARAMETERS:
            yield MeasuredParameter(diff=each, read_bytes=100)

    heard: list[tuple[int, int]] = []
    answers = [message async for message in diff_messages(parts())]
    diff = read_diff(answers, lambda *step: heard.append(step))
    assert diff.structural == STRUCTURAL
    assert diff.contextual == PARAMETERS
    assert diff.relationship == relationship
    assert (diff.before, diff.after) == (model("base"), model("task"))
    assert diff.equal_parameters == 3
    assert heard[-1] == (600, 600)


async def test_a_diff_without_anything_is_equal() -> None:
    async def parts() -> AsyncIterator[DiffOutline | MeasuredParameter]:
        yield outline(StructuralDiff(), Relationship(kind=RelationshipKind.SAME), 0)

    heard: list[tuple[int, int]] = []
    diff = read_diff([message async for message in diff_messages(parts())], lambda *step: heard.append(step))
    assert not diff
    assert heard == []
