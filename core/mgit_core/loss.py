"""What guarded loss did to a model: the record that is kept with it.

Loss happens in the client, before anything is sent. The store keeps what the client made, bit for bit, and the
graph this record of how it was made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from mgit_core.digest import DIGEST_SIZE, Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.metric import MetricDirection
from mgit_core.names import check_parameter_name, parse_reference

__all__ = [
    "MAX_RECORD_BYTES",
    "LossGuard",
    "LossMethod",
    "LossRecord",
    "LossTensor",
    "check_loss",
]

MAX_RECORD_BYTES = 512 * 1024
"""Most bytes of a record as JSON: with all else that is said of a model it fits in one message."""

_LONGEST_TEXT = 500


class LossMethod(StrEnum):
    """How the step of a tensor is chosen."""

    STEP = "step"
    """A multiple k of the tensor's own root-mean-square change."""
    EPSILON = "epsilon"
    """``2 ln(1 + epsilon)`` for every tensor: the formula of the MGit paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossGuard:
    """The test that a lossy model had to pass.

    Attributes:
        entry_point: ``MODULE:FUNCTION``.
        code_digest: Digest of its source; empty if that is not at hand.
        metric: Name of what it measures.
        direction: Which values are better.
        tolerance: Largest loss that was allowed: in units of the metric with method ``step``, a share of the
            value before with method ``epsilon``.
        before: What it gave for the original.
        after: What it gave for the stored model.
    """

    entry_point: str
    code_digest: Digest
    metric: str
    direction: MetricDirection
    tolerance: float
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTensor:
    """What guarded loss did to a tensor.

    Attributes:
        name: Parameter name.
        step: Distance of two neighboring values that a weight could take; a float32.
        largest_error: Largest absolute error of a weight.
    """

    name: str
    step: float
    largest_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRecord:
    """What guarded loss did to a model before it was added.

    Attributes:
        method: How steps were chosen.
        strength: k, or epsilon.
        base_uid: The parent that changes were measured against.
        original_digest: Digest of the parameter set of the original, which is not kept.
        largest_error: Largest absolute error of any weight.
        largest_relative_error: Largest, over the tensors, of root-mean-square error divided by root-mean-square
            change.
        guard: The test that decided.
        tensors: What was done to each tensor that changed, in the order of the model; only the first of them
            where all do not fit, and none in lists of models.
    """

    method: LossMethod
    strength: float
    base_uid: str
    original_digest: Digest
    largest_error: float
    largest_relative_error: float
    guard: LossGuard
    tensors: tuple[LossTensor, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """The record as JSON values; digests are hexadecimal."""
        document = asdict(self)
        document["original_digest"] = self.original_digest.hex()
        document["guard"]["code_digest"] = self.guard.code_digest.hex()
        document["tensors"] = list(document["tensors"])
        return document

    def to_json(self) -> str:
        """The record as JSON text, which ``from_json`` reads; every number comes back bit for bit."""
        return json.dumps(self.as_document(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> LossRecord:
        """The record that ``to_json`` wrote."""
        document = json.loads(text)
        guard = document["guard"]
        document["method"] = LossMethod(document["method"])
        document["original_digest"] = bytes.fromhex(document["original_digest"])
        guard["code_digest"] = bytes.fromhex(guard["code_digest"])
        guard["direction"] = MetricDirection(guard["direction"])
        document["guard"] = LossGuard(**guard)
        document["tensors"] = tuple(LossTensor(**tensor) for tensor in document["tensors"])
        return cls(**document)

    def fitted(self) -> LossRecord:
        """The record with as many of its tensors, the first ones, as may be kept."""
        if len(self.to_json()) <= MAX_RECORD_BYTES:
            return self
        room = MAX_RECORD_BYTES - len(replace(self, tensors=()).to_json())
        kept = 0
        for tensor in self.tensors:
            room -= len(json.dumps(asdict(tensor), separators=(",", ":"))) + 1
            if room < 0:
                break
            kept += 1
        return replace(self, tensors=self.tensors[:kept])


def check_loss(record: LossRecord) -> LossRecord:
    """``record``, if it may be kept.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, with detail ``field``; INVALID_REFERENCE for what is no uid;
            INVALID_NAME for what names no parameter.
    """
    guard = record.guard
    uid = parse_reference(f"@{record.base_uid}").uid
    _refuse_wrong("a uid, lower case with hyphens", {"base_uid": uid == record.base_uid})
    digests: Mapping[str, bool] = {
        "original_digest": len(record.original_digest) == DIGEST_SIZE,
        "guard.code_digest": len(guard.code_digest) in {0, DIGEST_SIZE},
    }
    _refuse_wrong("a digest", digests)
    texts = {"guard.entry_point": guard.entry_point, "guard.metric": guard.metric}
    _refuse_wrong(
        f"1 to {_LONGEST_TEXT} printable characters",
        {name: 0 < len(text) <= _LONGEST_TEXT and text.isprintable() for name, text in texts.items()},
    )
    _refuse_wrong(
        "a finite number above 0",
        {"strength": _is_positive(record.strength)}
        | {f"step of {tensor.name[:80]!r}": _is_positive(tensor.step) for tensor in record.tensors},
    )
    sizes = {
        "largest_error": record.largest_error,
        "largest_relative_error": record.largest_relative_error,
        "guard.tolerance": guard.tolerance,
        **{f"largest_error of {tensor.name[:80]!r}": tensor.largest_error for tensor in record.tensors},
    }
    _refuse_wrong(
        "a finite number of at least 0",
        {name: math.isfinite(size) and size >= 0 for name, size in sizes.items()},
    )
    values = {"guard.before": guard.before, "guard.after": guard.after}
    _refuse_wrong("a finite number", {name: math.isfinite(value) for name, value in values.items()})
    for tensor in record.tensors:
        check_parameter_name(tensor.name)
    _refuse_wrong(f"{MAX_RECORD_BYTES} bytes at most", {"size": len(record.to_json()) <= MAX_RECORD_BYTES})
    return record


def _is_positive(number: float) -> bool:
    return math.isfinite(number) and number > 0


def _refuse_wrong(wanted: str, fields: Mapping[str, bool]) -> None:
    for name, is_right in fields.items():
        if not is_right:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"Of a record of loss, {name} is {wanted}; found something else.",
                field=f"loss.{name}",
            )
