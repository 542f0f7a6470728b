"""Records of loss in drafts and commits, by a client that has generated stubs alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import grpc
import pytest
from tests.neo4j_server import TestServer
from tests.parameter_calls import (
    LocalModel,
    Service,
    add,
    draft,
    local_model,
    random_array,
    refusal,
    serving_neo4j,
)

from mgit_proto.v1 import lineage_pb2, types_pb2
from mgit_service.servicers.loss import loss_message
from mgit_storage.testing.values import fresh_uid, make_loss

pytestmark = pytest.mark.neo4j

Change: TypeAlias = Callable[[types_pb2.LossRecord], object]


@pytest.fixture(scope="module")
def service(neo4j_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_neo4j(neo4j_server, tmp_path_factory.mktemp("service") / "store") as running:
        yield running


@pytest.fixture(scope="module")
def base_uid(service: Service) -> str:
    return add(service, local_model("base", {"layer.é": random_array((3,), 0)})).model.summary.uid


def lossy_model(name: str, base_uid: str) -> LocalModel:
    model = local_model(
        name, {"layer.é": random_array((3,), 1)}, parents=[types_pb2.ParentLink(parent="base")]
    )
    model.header.loss.CopyFrom(loss_message(make_loss(base_uid)))
    return model


def test_a_record_is_kept_and_given_back(service: Service, base_uid: str) -> None:
    model = lossy_model("kept", base_uid)
    added = add(service, model, request_id="loss/kept").model
    assert added.loss == model.header.loss
    found = service.lineage.GetModel(lineage_pb2.GetModelRequest(model="kept")).model
    assert found.loss == model.header.loss
    assert add(service, model, request_id="loss/kept").model == added


def test_a_removed_model_keeps_its_record(service: Service, base_uid: str) -> None:
    gone = add(service, lossy_model("gone", base_uid)).model
    child = local_model(
        "child-of-gone", {"a": random_array((3,), 2)}, parents=[types_pb2.ParentLink(parent="gone")]
    )
    add(service, child)
    service.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model="gone"))
    request = lineage_pb2.GetModelRequest(model=f"@{gone.summary.uid}")
    assert service.lineage.GetModel(request).model.loss == gone.loss


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda loss: setattr(loss, "method", "magic"), "INVALID_ARGUMENT"),
        (lambda loss: setattr(loss, "strength", -1.0), "INVALID_ARGUMENT"),
        (lambda loss: setattr(loss, "base_uid", "base"), "INVALID_REFERENCE"),
        (lambda loss: setattr(loss, "original_digest", b"short"), "INVALID_ARGUMENT"),
        (lambda loss: setattr(loss.guard, "after", float("nan")), "INVALID_ARGUMENT"),
        (lambda loss: setattr(loss.guard, "direction", "up"), "INVALID_ARGUMENT"),
        (lambda loss: loss.ClearField("guard"), "INVALID_ARGUMENT"),
        (lambda loss: loss.tensors.add(name="", step=1.0), "INVALID_NAME"),
        (lambda loss: loss.tensors.add(name="absent", step=1.0), "INVALID_NAME"),
        (lambda loss: loss.tensors.add(name="layer.é", step=float("inf")), "INVALID_ARGUMENT"),
    ],
)
def test_a_record_that_cannot_be_is_refused_in_the_draft(
    service: Service, base_uid: str, change: Change, reason: str
) -> None:
    model = lossy_model("bad", base_uid)
    change(model.header.loss)
    with pytest.raises(grpc.RpcError) as caught:
        draft(service, model)
    refused = refusal(caught.value)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


def test_a_base_that_is_no_parent_is_refused(service: Service) -> None:
    model = lossy_model("orphan", fresh_uid())
    with pytest.raises(grpc.RpcError) as caught:
        add(service, model)
    refused = refusal(caught.value)
    assert (refused.reason, refused.details["field"]) == ("INVALID_ARGUMENT", "loss.base_uid")
