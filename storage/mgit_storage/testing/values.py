"""Small valid values for tests."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from mgit_core.bugs import Bug, BugSubject
from mgit_core.creation import CreationRecord
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.lineage import Model, ModelCommit, ParameterSet, ParentLink, Previous, Relation, TensorRecord
from mgit_core.loss import LossGuard, LossMethod, LossRecord, LossTensor
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import (
    ModelTest,
    ModelTestKind,
    ModelTestOutcome,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
    make_result_uid,
)
from mgit_core.names import make_uid

__all__ = [
    "UNKNOWN_UID",
    "fresh_uid",
    "make_bug",
    "make_commit",
    "make_creation",
    "make_loss",
    "make_model_test",
    "make_result",
    "make_tensors",
]

_SOME_DAY = datetime(2026, 3, 1, 12, 30, 15, 123_456, tzinfo=UTC)


UNKNOWN_UID = "01900000-0000-7000-8000-000000000000"
"""A uid that nobody has, the same in every process: names of tests must not depend on the run."""


def fresh_uid() -> str:
    """A uid that nobody has; later ones sort behind earlier ones, also within a millisecond."""
    unix_ms, rest_ns = divmod(time.time_ns(), 1_000_000)
    within = (rest_ns * 4096 // 1_000_000).to_bytes(2, "big")
    return make_uid(unix_ms, within + os.urandom(8))


def _digest(text: str) -> Digest:
    return digest_of(DigestAlgorithm.BLAKE3, text.encode())


def make_tensors(content: str, count: int) -> tuple[TensorRecord, ...]:
    """``count`` tensors whose digests follow from ``content``."""
    return tuple(
        TensorRecord(
            name=f"layer.{number}",
            digest=_digest(f"{content}/{number}"),
            dtype="float32",
            shape=(4, 2),
            size_bytes=32,
        )
        for number in range(count)
    )


def make_commit(
    name: str,
    *parents: ParentLink,
    content: str | None = None,
    tensors: int = 2,
    previous: Previous | None = None,
    epoch: int = 1,
) -> ModelCommit:
    """A commit of a model whose parameters follow from ``content``; new ones if it is None."""
    uid = fresh_uid()
    seed = uid if content is None else content
    records = make_tensors(seed, tensors)
    digest = _digest(f"set {seed} {tensors}")
    return ModelCommit(
        uid=uid,
        name=name,
        created_at=datetime.now(UTC),
        parameters=ParameterSet(
            digest=digest,
            manifest_key=f"manifests/{digest.hex()}/{uid.replace('-', '')}",
            size_bytes=32 * tensors,
            tensor_count=tensors,
        ),
        tensors=records,
        epoch=epoch,
        parents=parents,
        previous=previous or Previous(),
    )


def make_creation(code: str = "makers:tune", **changed: Any) -> CreationRecord:
    """How a model was created, with values that lose something where they are not kept exactly."""
    fields: dict[str, Any] = {
        "entry_point": code,
        "code_digest": _digest(code),
        "source": f"def {code.partition(':')[2]}(parents): ...  # \u00e9\n",
        "arguments": {"rate": 0.1, "steps": 2**40, "name": "", "is_frozen": True},
        "seed": 2**62,
        "environment": {"python": "3.11", "numpy": "2"},
    }
    return CreationRecord(**{**fields, **changed})


def make_loss(base_uid: str) -> LossRecord:
    """A record of loss with numbers that lose digits where they are not kept bit for bit."""
    return LossRecord(
        method=LossMethod.STEP,
        strength=0.1,
        base_uid=base_uid,
        original_digest=_digest("original"),
        largest_error=1 / 3,
        largest_relative_error=2 / 3,
        guard=LossGuard(
            entry_point="checks:accuracy",
            code_digest=_digest("code"),
            metric="accuracy",
            direction=MetricDirection.HIGHER,
            tolerance=0.005,
            before=0.9,
            after=0.1 + 0.2,
        ),
        tensors=(LossTensor(name="layer.\u00e9", step=0.25, largest_error=0.1),),
    )


def make_model_test(
    name: str, *, model: Model | None = None, type_name: str | None = None, **changed: Any
) -> ModelTest:
    """A test of a model, of a type, or of all models, as it is registered; ``changed`` are other fields."""
    scope = ModelTestScope.ALL if type_name is None else ModelTestScope.TYPE
    fields: dict[str, Any] = {
        "uid": fresh_uid(),
        "name": name,
        "scope": scope if model is None else ModelTestScope.MODEL,
        "kind": ModelTestKind.ENTRY_POINT,
        "code": "checks:accuracy",
        "metric": "accuracy",
        "created_at": _SOME_DAY,
        "updated_at": _SOME_DAY,
        "model_uid": None if model is None else model.uid,
        "type": type_name,
        "threshold": 0.5,
    }
    return ModelTest(**{**fields, **changed})


def make_result(
    test: ModelTest, model: Model | ModelCommit, value: float | None, *, at: int = 0, **changed: Any
) -> ModelTestResult:
    """A result as it is recorded, of a run that ended ``at`` microseconds after some moment."""
    run_at = _SOME_DAY + timedelta(microseconds=at)
    fields: dict[str, Any] = {
        "key": ResultKey(
            test_uid=test.uid,
            code_digest=test.code_digest,
            inputs_digest=test.inputs_digest,
            parameters_digest=b"" if model.parameters is None else model.parameters.digest,
        ),
        "model_uid": model.uid,
        "value": value,
        "is_truth": False,
        "outcome": ModelTestOutcome.ERROR if value is None else ModelTestOutcome.MEASURED,
        "error": "it raised" if value is None else "",
        "run_at": run_at,
        "seconds": 0.25,
        "uid": make_result_uid(run_at, os.urandom(8)),
    }
    return ModelTestResult(**{**fields, **changed})


def make_bug(title: str, *subjects: BugSubject, carried_by: tuple[Relation, ...] = tuple(Relation)) -> Bug:
    """An open bug of ``subjects`` that was reported now."""
    now = datetime.now(UTC)
    return Bug(
        id=fresh_uid(), title=title, affects=subjects, created_at=now, updated_at=now, carried_by=carried_by
    )
