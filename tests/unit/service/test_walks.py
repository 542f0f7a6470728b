"""Walks as messages: the quick way gives what the values give."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ModelState, ModelSummary
from mgit_core.walks.graph import WalkModel
from mgit_core.walks.question import WalkDirection, WalkEdges, WalkOrder
from mgit_proto.v1 import lineage_pb2 as pb
from mgit_service.servicers.convert import summary_message
from mgit_service.servicers.walks import walk_answer, walk_question
from mgit_service.use_cases.lineage.walking import WalkedModel, WalkQuestion


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 3, 1, 2, 3, 4, 567_891, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC)],
)
@pytest.mark.parametrize("state", ModelState)
def test_a_step_says_what_the_summary_says(moment: datetime, state: ModelState) -> None:
    summary = ModelSummary(uid="u", name="a/b", version=3, state=state, created_at=moment)
    part = [WalkedModel(WalkModel.of(summary), 4, ["x", "y"]), WalkedModel(WalkModel.of(summary), 0, ())]
    answer = walk_answer(part, is_truncated=True)
    assert [step.model for step in answer.steps] == [summary_message(summary)] * 2
    assert [(step.hops, list(step.older_uids)) for step in answer.steps] == [(4, ["x", "y"]), (0, [])]
    assert answer.truncated


def test_nothing_said_is_read_as_documented() -> None:
    assert walk_question(pb.WalkModelsRequest()) == WalkQuestion()


def test_every_value_has_its_number() -> None:
    for order in WalkOrder:
        number = pb.WalkOrder.Value(f"WALK_ORDER_{order.name}")
        assert walk_question(pb.WalkModelsRequest(order=number)).order is order
    for direction in WalkDirection:
        way = pb.WalkDirection.Value(f"WALK_DIRECTION_{direction.name}")
        assert walk_question(pb.WalkModelsRequest(direction=way)).direction is direction
    for edges in WalkEdges:
        kind = pb.WalkEdges.Value(f"WALK_EDGES_{edges.name}")
        assert walk_question(pb.WalkModelsRequest(edges=kind)).edges is edges


@pytest.mark.parametrize("field", ["order", "direction", "edges"])
def test_a_number_that_is_not_known_is_refused(field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        walk_question(pb.WalkModelsRequest(**{field: 99}))  # type: ignore[arg-type]
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
    assert caught.value.details == {"field": field}
