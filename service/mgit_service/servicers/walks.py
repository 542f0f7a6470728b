"""Walks as messages."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ModelState
from mgit_core.walks.question import WalkDirection, WalkEdges, WalkOrder
from mgit_proto.v1 import lineage_pb2 as pb
from mgit_proto.v1 import types_pb2
from mgit_service.servicers import convert
from mgit_service.use_cases.lineage.walking import WalkedModel, WalkQuestion

__all__ = ["walk_answer", "walk_question"]

Choice = TypeVar("Choice", bound=enum.StrEnum)
Number = TypeVar("Number", bound=int)

_STATES = {state.value: types_pb2.ModelState.Value(f"MODEL_STATE_{state.name}") for state in ModelState}


_ORDERS = {
    pb.WALK_ORDER_UNSPECIFIED: WalkOrder.BREADTH_FIRST,
    **{pb.WalkOrder.Value(f"WALK_ORDER_{order.name}"): order for order in WalkOrder},
}
_DIRECTIONS = {
    pb.WALK_DIRECTION_UNSPECIFIED: WalkDirection.DESCENDANTS,
    **{pb.WalkDirection.Value(f"WALK_DIRECTION_{direction.name}"): direction for direction in WalkDirection},
}
_EDGES = {
    pb.WALK_EDGES_UNSPECIFIED: WalkEdges.PROVENANCE,
    **{pb.WalkEdges.Value(f"WALK_EDGES_{edges.name}"): edges for edges in WalkEdges},
}


def walk_question(request: pb.WalkModelsRequest) -> WalkQuestion:
    """The walk that is wanted.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    return WalkQuestion(
        references=tuple(request.models),
        direction=_choice(_DIRECTIONS, "direction", request.direction),
        order=_choice(_ORDERS, "order", request.order),
        edges=_choice(_EDGES, "edges", request.edges),
        relations=convert.followed_relations(request.relations),
        max_depth=request.max_depth,
        skip=tuple(request.skip),
        stop=tuple(request.stop),
        limit=request.limit,
        with_edges=request.with_edges,
    )


def walk_answer(part: list[WalkedModel], *, is_truncated: bool) -> pb.WalkModelsResponse:
    """A part of a walk."""
    answer = pb.WalkModelsResponse(truncated=is_truncated)
    for walked in part:
        # Straight from the row and field by field, a third of the time of values and messages made apart: a walk may
        # be of 100,000 models.
        model, step = walked.model, answer.steps.add(hops=walked.hops)
        summary, time = step.model, step.model.created_at
        summary.uid, summary.name, summary.version = model.uid, model.name, model.version
        summary.state = _STATES[model.state]
        time.seconds, microseconds = divmod(model.created_us, 1_000_000)
        time.nanos = 1_000 * microseconds
        if walked.older:
            step.older_uids.extend(walked.older)
    return answer


def _choice(choices: Mapping[Number, Choice], field: str, number: Number) -> Choice:
    choice = choices.get(number)
    if choice is None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"The {field} of a walk is one of {', '.join(dict.fromkeys(choices.values()))}; found number {number}, "
            "which this service does not know.",
            field=field,
        )
    return choice
