from __future__ import annotations

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from mgit_core.errors import ErrorReason, MGitError, error_for_reason
from mgit_service.servicers.status import CODES, DOMAIN, code_of, status_of


def subclasses(kind: type[MGitError]) -> set[type[MGitError]]:
    return {kind} | {found for below in kind.__subclasses__() for found in subclasses(below)}


def detail(status: status_pb2.Status, kind: type[Message]) -> Message | None:
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    return None


def test_every_class_of_error_has_a_code_of_its_own() -> None:
    assert set(CODES) == subclasses(MGitError) - {MGitError}
    assert len(set(CODES.values())) == len(CODES)
    assert grpc.StatusCode.OK not in CODES.values()


@pytest.mark.parametrize("reason", list(ErrorReason))
def test_every_reason_becomes_a_status_with_its_error_info(reason: ErrorReason) -> None:
    error = error_for_reason(reason, "It happened.", digest="00ff")
    status = status_of(error, "request-1")
    info = detail(status, error_details_pb2.ErrorInfo)
    assert (status.code, status.message) == (code_of(error).value[0], "It happened.")
    assert (info.domain, info.reason, dict(info.metadata)) == (DOMAIN, reason.value, {"digest": "00ff"})
    assert detail(status, error_details_pb2.RequestInfo).request_id == "request-1"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (ErrorReason.INVALID_NAME, error_details_pb2.BadRequest),
        (ErrorReason.MODEL_REMOVED, error_details_pb2.PreconditionFailure),
        (ErrorReason.DISK_FULL, error_details_pb2.QuotaFailure),
        (ErrorReason.UPLOAD_STALE, error_details_pb2.RetryInfo),
        (ErrorReason.MODEL_NOT_FOUND, error_details_pb2.ResourceInfo),
    ],
)
def test_a_status_has_the_standard_detail_of_its_kind(reason: ErrorReason, kind: type[Message]) -> None:
    assert detail(status_of(error_for_reason(reason, "It happened."), "r"), kind) is not None


def test_a_missing_model_is_named_as_a_resource() -> None:
    error = error_for_reason(ErrorReason.MODEL_NOT_FOUND, "There is no model x.", reference="x")
    resource = detail(status_of(error, "r"), error_details_pb2.ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("model", "x")


def test_a_long_message_and_long_details_are_cut_to_what_metadata_may_hold() -> None:
    """Peers refuse trailing metadata of more than 8 KiB, message and details in base64 together."""
    error = error_for_reason(
        ErrorReason.CYCLE,
        "ö" * 10_000,
        path="uid," * 10_000,
        **{f"detail{at}": "x" * 900 for at in range(50)},
    )
    status = status_of(error, "r" * 128)
    assert len(status.SerializeToString()) * 4 / 3 + len(status.message.encode()) * 3 < 12_000
    assert len(status.SerializeToString()) < 5_000
    assert status.message.endswith("...")
