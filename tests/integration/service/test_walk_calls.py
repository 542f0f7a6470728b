"""LineageService.WalkModels through generated stubs, on the real service and the real Neo4j."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.running_service import Stubs
from tests.uploads import add, link

from mgit_proto.v1 import lineage_pb2 as pb
from mgit_proto.v1 import types_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

NOWHERE = "@01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def family(stubs: Stubs) -> dict[str, str]:
    """Uids: base <-- a <-- c, base <-- b <-- c, and a second version of base."""
    models = {"base": add(stubs, "k/base")}
    models["a"] = add(stubs, "k/a", [link("k/base")])
    models["b"] = add(stubs, "k/b", [link("k/base", "PRUNED")])
    models["c"] = add(stubs, "k/c", [link("k/a", "MERGED"), link("k/b", "MERGED")])
    models["base2"] = add(stubs, "k/base")
    return {name: model.summary.uid for name, model in models.items()}


def walk(stubs: Stubs, **question: Any) -> list[pb.WalkModelsResponse]:
    return list(stubs.lineage.WalkModels(pb.WalkModelsRequest(**question)))


def steps(stubs: Stubs, family: dict[str, str], **question: Any) -> list[tuple[str, int]]:
    """Names of the family with hops, as they come."""
    names = {uid: name for name, uid in family.items()}
    return [(names[step.model.uid], step.hops) for part in walk(stubs, **question) for step in part.steps]


def test_nothing_said_means_all_descendants_breadth_first(stubs: Stubs, family: dict[str, str]) -> None:
    expected = [("base", 0), ("a", 1), ("b", 1), ("c", 2)]
    assert steps(stubs, family, models=["k/base@1"]) == expected
    assert steps(stubs, family) == [("base", 0), ("base2", 0), ("a", 1), ("b", 1), ("c", 2)]


def test_every_value_of_the_wire_is_heeded(stubs: Stubs, family: dict[str, str]) -> None:
    def names(*models: str, **question: Any) -> str:
        return " ".join(name for name, _ in steps(stubs, family, models=models, **question))

    assert names("k/base@1", order=pb.WALK_ORDER_DEPTH_FIRST) == "base a c b"
    assert names("k/base@1", order=pb.WALK_ORDER_PARENTS_FIRST) == "base a b c"
    assert names("k/base@1", order=pb.WALK_ORDER_CHILDREN_FIRST) == "c a b base"
    assert names("k/c", direction=pb.WALK_DIRECTION_ANCESTORS) == "c a b base"
    assert names("k/a", direction=pb.WALK_DIRECTION_BOTH, max_depth=1) == "a base c"
    assert names("k/base@1", edges=pb.WALK_EDGES_VERSION) == "base base2"
    assert names("k/base@1", edges=pb.WALK_EDGES_ALL) == "base a b base2 c"
    assert names("k/base@1", relations=[types_pb2.RELATION_PRUNED]) == "base b"
    assert names("k/base@1", skip=["k/a"], stop=["k/c"]) == "base b"


def test_a_step_has_its_summary_and_its_edges(stubs: Stubs, family: dict[str, str]) -> None:
    [part] = walk(stubs, models=["k/base@1"], with_edges=True, stop=["k/a"])
    found = stubs.lineage.GetModel(pb.GetModelRequest(model="k/c")).model.summary
    assert part.steps[-1].model == found
    assert [list(step.older_uids) for step in part.steps] == [
        [],
        [family["base"]],
        [family["a"], family["b"]],
    ]
    [bare] = walk(stubs, models=["k/c"])
    assert not bare.steps[0].older_uids


def test_a_limit_that_cuts_is_told(stubs: Stubs, family: dict[str, str]) -> None:
    assert family
    for limit, is_cut in ((3, True), (4, False), (5, False)):
        parts = walk(stubs, models=["k/base@1"], limit=limit)
        assert sum(len(part.steps) for part in parts) == min(limit, 4)
        assert parts[-1].truncated == is_cut


@pytest.mark.parametrize(
    ("question", "code", "reason"),
    [
        ({"models": ["k/none"]}, "NOT_FOUND", "MODEL_NOT_FOUND"),
        ({"models": [NOWHERE]}, "NOT_FOUND", "MODEL_NOT_FOUND"),
        ({"models": ["k/base@prod"]}, "NOT_FOUND", "TAG_NOT_FOUND"),
        ({"stop": [NOWHERE]}, "NOT_FOUND", "MODEL_NOT_FOUND"),
        ({"models": [""]}, "INVALID_ARGUMENT", "INVALID_NAME"),
        ({"models": ["k/base"] * 1_001}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"skip": ["k/base"] * 1_001}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"max_depth": -1}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"limit": -1}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"order": 17}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"direction": 17}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"edges": 17}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"relations": [17]}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"relations": [0]}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ],
)
def test_a_walk_that_cannot_be_is_refused(
    stubs: Stubs, family: dict[str, str], question: dict[str, Any], code: str, reason: str
) -> None:
    assert family
    with pytest.raises(grpc.RpcError) as caught:
        walk(stubs, **question)
    status = rpc_status.from_call(caught.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert (caught.value.code().name, info.reason) == (code, reason)
