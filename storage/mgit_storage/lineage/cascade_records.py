"""Cascades and steps as rows of the graph, and back. What is only told, never asked for, is JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mgit_core.cascade.values import (
    Cascade,
    CascadeState,
    CascadeStep,
    LeaveOutReason,
    LeftOut,
    PublishMode,
    StepState,
    StepTarget,
    UpdatePlan,
)
from mgit_core.creation import CreationRecord
from mgit_core.lineage import EdgeOrigin, ModelSummary, ParentLink, Relation
from mgit_storage.lineage.creation_records import creation_from_row, described_creation
from mgit_storage.lineage.records import Row, moment_of, summary_from_row

__all__ = [
    "cascade_from_rows",
    "cascade_properties",
    "recorded_creation",
    "step_from_row",
    "step_properties",
    "summaries_text",
    "targets_of",
]

_OPEN = (CascadeState.RUNNING, CascadeState.BUILT, CascadeState.BLOCKED, CascadeState.FAILED)


def cascade_properties(cascade: Cascade) -> Row:
    """The properties of a new cascade."""
    plan = cascade.plan
    count = len(plan.steps)
    return {
        "id": cascade.id,
        "state": cascade.state.value,
        "is_open": True if cascade.state in _OPEN else None,
        "publish": cascade.publish.value,
        "stop_at_failed_tests": cascade.stop_at_failed_tests,
        "max_attempts": cascade.max_attempts,
        "created_at": cascade.created_at,
        "old": _text(_summary_row(plan.old)),
        "new": _text(_summary_row(plan.new)),
        "left_out": _text(
            [{"model": _summary_row(left.model), "reason": left.reason.value} for left in plan.left_out]
        ),
        "blocked_by": "[]",
        "accepted": [],
        "step_count": count,
        "open_steps": count,
        "done_steps": 0,
    }


def cascade_from_rows(row: Row, steps: Sequence[CascadeStep], *, is_listed: bool = False) -> Cascade:
    """A cascade from its row and its steps; one of a list does not say what was left out."""
    left_out = [] if is_listed else json.loads(row["left_out"])
    return Cascade(
        id=row["id"],
        state=CascadeState(row["state"]),
        plan=UpdatePlan(
            old=summary_from_row(json.loads(row["old"])),
            new=summary_from_row(json.loads(row["new"])),
            steps=tuple(steps),
            left_out=tuple(
                LeftOut(model=summary_from_row(left["model"]), reason=LeaveOutReason(left["reason"]))
                for left in left_out
            ),
        ),
        publish=PublishMode(row["publish"]),
        stop_at_failed_tests=row["stop_at_failed_tests"],
        max_attempts=row["max_attempts"],
        created_at=moment_of(row["created_at"]),
        updated_at=moment_of(row["updated_at"]),
        blocked_by=tuple(map(summary_from_row, json.loads(row["blocked_by"]))),
    )


def step_properties(cascade_id: str, step: CascadeStep, known: Mapping[str, Row]) -> Row:
    """The properties of a new step.

    Args:
        cascade_id: The cascade.
        step: The step.
        known: What is known of each model that is replaced, by its uid: ``last_version`` of its name and ``newer``.
    """
    olds = [target.old.uid for target in step.targets]
    return {
        "cascade_id": cascade_id,
        "number": step.number,
        "state": step.state.value,
        "attempt": 0,
        "failures": 0,
        "worker": "",
        "error": "",
        "failed_tests": [],
        "targets": _text([_target_row(target) for target in step.targets]),
        "target_uids": [target.uid for target in step.targets],
        "needs": list(step.needs),
        "waits_for": len(step.needs),
        "free_at": None if step.needs else 0,
        "known_versions": [known[uid]["last_version"] for uid in olds],
        "known_newer": sorted({uid for old in olds for uid in known[old]["newer"]}),
    }


def step_from_row(row: Row, made: Mapping[str, ModelSummary] | None = None) -> CascadeStep:
    """A step from its row; one of a list has no targets."""
    expires_at = row.get("expires_at")
    return CascadeStep(
        number=row["number"],
        targets=tuple(replace(target, made=(made or {}).get(target.uid)) for target in targets_of(row)),
        needs=tuple(row["needs"]),
        state=StepState(row["state"]),
        attempt=row["attempt"],
        worker=row["worker"],
        expires_at=None if expires_at is None else moment_of(expires_at * 1000),
        error=row["error"],
        failed_tests=tuple(row["failed_tests"]),
    )


def targets_of(row: Row) -> list[StepTarget]:
    """The targets of a step, from its row."""
    return [_target(each) for each in json.loads(row.get("targets", "[]"))]


def recorded_creation(record: CreationRecord) -> CreationRecord:
    """What a plan keeps of a creation record."""
    return replace(record, source="", environment={})


def summaries_text(models: Sequence[ModelSummary]) -> str:
    """Summaries as a cascade keeps them."""
    return _text([_summary_row(model) for model in models])


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _summary_row(model: ModelSummary) -> Row:
    return {
        "uid": model.uid,
        "name": model.name,
        "version": model.version,
        "state": model.state.value,
        "created_at": model.created_at.isoformat(),
    }


def _target_row(target: StepTarget) -> Row:
    return {
        "uid": target.uid,
        "old": _summary_row(target.old),
        "parents": [
            {
                "uid": link.parent_uid,
                "relation": link.relation.value,
                "weight": link.weight,
                "origin": link.origin.value,
                "confidence": link.confidence,
                "ref": reference,
            }
            for link, reference in zip(target.parents, target.parent_refs, strict=True)
        ],
        "creation": described_creation(recorded_creation(target.creation)),
    }


def _target(row: dict[str, Any]) -> StepTarget:
    creation = creation_from_row(row["creation"])
    assert creation is not None, "a target has a creation record"  # noqa: S101 - it was written with one
    return StepTarget(
        uid=row["uid"],
        old=summary_from_row(row["old"]),
        parents=tuple(
            ParentLink(
                parent_uid=link["uid"],
                relation=Relation(link["relation"]),
                weight=link["weight"],
                origin=EdgeOrigin(link["origin"]),
                confidence=link["confidence"],
            )
            for link in row["parents"]
        ),
        parent_refs=tuple(link["ref"] for link in row["parents"]),
        creation=creation,
    )
