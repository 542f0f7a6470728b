"""Records of loss between messages and values."""

from __future__ import annotations

import pytest

from mgit.lossy.messages import read_loss, write_loss
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Model, ModelState
from mgit_proto.v1 import types_pb2
from mgit_service.servicers import convert
from mgit_service.servicers.loss import loss_message, loss_value
from mgit_storage.testing.values import fresh_uid, make_commit, make_loss

RECORD = make_loss(fresh_uid())


def test_a_record_is_the_same_on_both_sides_of_the_wire() -> None:
    message = loss_message(RECORD)
    assert message == write_loss(RECORD)
    assert loss_value(types_pb2.LossRecord.FromString(message.SerializeToString())) == RECORD
    assert read_loss(message) == RECORD


@pytest.mark.parametrize(
    ("field", "value"), [("method", "magic"), ("method", ""), ("direction", "up"), ("direction", "")]
)
def test_a_method_or_direction_that_is_not_known_is_refused(field: str, value: str) -> None:
    message = loss_message(RECORD)
    setattr(message if field == "method" else message.guard, field, value)
    with pytest.raises(InvalidArgumentError, match="step, epsilon") as caught:
        loss_value(message)
    assert (caught.value.reason, caught.value.details["field"]) == (ErrorReason.INVALID_ARGUMENT, "loss")


def test_an_empty_record_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        loss_value(types_pb2.LossRecord())


def test_a_step_that_is_no_number_is_refused() -> None:
    message = loss_message(RECORD)
    message.tensors[0].step = float("nan")
    with pytest.raises(InvalidArgumentError, match="finite number above 0"):
        loss_value(message)


def test_a_model_in_a_list_keeps_its_record_without_the_tensors() -> None:
    commit = make_commit("m")
    model = Model(
        uid=commit.uid,
        name="m",
        version=1,
        state=ModelState.PRESENT,
        created_at=commit.created_at,
        loss=RECORD,
    )
    assert convert.model_message(model).loss == loss_message(RECORD)
    listed = convert.listed_model_message(model).loss
    assert (listed.strength, len(listed.tensors)) == (0.1, 0)
