"""Updates as JSON, and as tables and lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from mgit.cli.documents import Document, document_of_summary
from mgit.cli.formatting import format_moment, format_seconds, format_table
from mgit.cli.testing_forms import document_of_result
from mgit.updating import (
    CascadeState,
    LeaveOutReason,
    LeftOut,
    StepState,
    Update,
    UpdateParent,
    UpdateProgress,
    UpdateStep,
)
from mgit_core.creation import MERGE_ENTRY_POINT

__all__ = [
    "document_of_progress",
    "document_of_update",
    "held_lines",
    "outcome_lines",
    "plan_lines",
    "progress_line",
    "update_lines",
    "updates_lines",
]

_WHY = {
    LeaveOutReason.SKIPPED: ("it was to be skipped", ""),
    LeaveOutReason.STOPPED: ("it lies at or behind a model to stop at", ""),
    LeaveOutReason.NO_CREATION_FUNCTION: (
        "nobody recorded how it was created",
        "add it anew with --created-by MODULE:FUNCTION, or make it by hand",
    ),
    LeaveOutReason.UNCHANGED: ("none of its parents is made anew", ""),
    LeaveOutReason.REMOVED: ("it was removed", ""),
    LeaveOutReason.PARENT_REMOVED: (
        "a parent that it needs was removed, or the base of its merge is not here",
        "make it by hand",
    ),
    LeaveOutReason.PRECEDES_NEW: ("the new model follows it or was made from it", ""),
}
_MOST_ERROR_LINES = 12


def document_of_update(update: Update) -> Document:
    """An update with its steps, a model each, and what it leaves out."""
    return {
        "id": update.id or None,
        "state": None if update.state is None else update.state.value,
        "old": update.old.ref,
        "new": update.new.ref,
        "publish": update.publish.value,
        "stop_at_failed_tests": update.stop_at_failed_tests,
        "step_count": update.step_count,
        "done_count": update.done_count,
        "steps": [_document_of_step(step) for step in update.steps],
        "left_out": [
            {**document_of_summary(each.model), "reason": each.reason.value} for each in update.left_out
        ],
        "blocked_by": [document_of_summary(model) for model in update.blocked_by],
        "created_at": _moment(update.created_at),
        "updated_at": _moment(update.updated_at),
    }


def _document_of_step(step: UpdateStep) -> Document:
    return {
        "number": step.number,
        "old": step.old.ref,
        "new": None if step.new is None else step.new.ref,
        "uid": step.new_uid,
        "state": step.state.value,
        "function": step.entry_point,
        "parents": [
            {
                "ref": parent.ref,
                "uid": parent.uid,
                "relation": parent.relation.value,
                "step": parent.step,
                "pinned": parent.is_pinned,
            }
            for parent in step.parents
        ],
        "attempt": step.attempt,
        "worker": step.worker or None,
        "error": step.error or None,
        "failed_tests": list(step.failed_tests),
        "tests": [document_of_result(result) for result in step.tests],
    }


def document_of_progress(progress: UpdateProgress) -> Document:
    """How a worker left a step."""
    return {
        "id": progress.cascade_id,
        "number": progress.number,
        "old": list(progress.old),
        "state": None if progress.state is None else progress.state.value,
        "error": progress.error or None,
        "failed_tests": list(progress.failed_tests),
        "seconds": progress.seconds,
    }


def plan_lines(update: Update) -> Iterator[str]:
    """What an update would do: a table of steps, then what it leaves out."""
    if update.steps:
        makers = {step.new_uid: step for step in update.steps}
        rows = [
            (
                str(step.number),
                step.old.ref,
                ", ".join(_parent(parent, makers) for parent in step.parents),
                "merging again" if step.entry_point == MERGE_ENTRY_POINT else step.entry_point,
            )
            for step in update.steps
        ]
        yield from format_table(("STEP", "MODEL", "MADE ANEW FROM", "BY"), rows, "rlll")
        if (hidden := update.step_count - len({step.number for step in update.steps})) > 0:
            yield f"and {hidden:,} more steps"
    else:
        yield f"There is nothing to make anew: no model that was made from {update.old.ref} can be."
    yield from _left_out_lines(update.left_out)


def _parent(parent: UpdateParent, makers: dict[str, UpdateStep]) -> str:
    if parent.step is not None:
        return f"{makers[parent.uid].old.name} (step {parent.step})"
    return f"{parent.ref} (pinned)" if parent.is_pinned else parent.ref


def _left_out_lines(left_out: Sequence[LeftOut]) -> Iterator[str]:
    if not left_out:
        return
    yield ""
    yield "Left as they are:"
    rows = [(f"  {each.model.ref}", *_WHY[each.reason]) for each in left_out]
    yield from (line for line in list(format_table(("  MODEL", "WHY", "WHAT TO DO"), rows, "lll")))


def update_lines(update: Update) -> Iterator[str]:
    """How far an update is: its steps, and why some failed."""
    yield from (
        f"{name}  {value}"
        for name, value in (
            ("update ", update.id),
            ("state  ", "" if update.state is None else update.state.value),
            ("models ", f"{update.old.ref} -> {update.new.ref}"),
            ("started", "" if update.created_at is None else format_moment(update.created_at)),
        )
    )
    if update.steps:
        yield ""
        rows = [
            (
                str(step.number),
                step.old.ref,
                step.new_ref if step.state in {StepState.DONE, StepState.STAGED} else "-",
                step.state.value,
                str(step.attempt),
                _tests(step),
            )
            for step in update.steps
        ]
        headers = ("STEP", "MODEL", "NEW", "STATE", "TRIES", "TESTS")
        yield from format_table(headers, rows, "rlllrl")
    yield from _left_out_lines(update.left_out)
    yield ""
    yield from outcome_lines(update)


def _tests(step: UpdateStep) -> str:
    if step.failed_tests:
        return f"failed: {', '.join(step.failed_tests)}"
    count = len({result.key.test_uid for result in step.tests})
    return f"{count} ran" if count else ""


def outcome_lines(update: Update) -> Iterator[str]:
    """What came of an update, and what to do now."""
    yield from _failure_lines(update)
    match update.state:
        case CascadeState.PUBLISHED:
            made = " ".join(model.ref for model in update.models)
            count = len(update.models)
            yield f"Made {count} model{'' if count == 1 else 's'} anew{': ' if made else ''}{made}."
        case CascadeState.FAILED:
            yield (
                f"{update.done_count} of {update.step_count} steps are done. When the cause is mended: mgit update resume "
                f"{update.id}"
            )
            yield f"To number what is done: mgit update resume {update.id} --publish each"
            yield f"To give it up: mgit update cancel {update.id}"
        case CascadeState.BLOCKED:
            newer = " ".join(model.ref for model in update.blocked_by)
            yield f"Nothing was published: {newer} appeared meanwhile, beside what is made anew."
            yield f"To publish nevertheless: mgit update resume {update.id} --anyway"
            yield f"To give it up: mgit update cancel {update.id}"
        case CascadeState.RUNNING | CascadeState.BUILT:
            yield f"To go on: mgit update resume {update.id}"
        case CascadeState.CANCELLED:
            yield f"Update {update.id} was cancelled; its unpublished models are gone."
        case None:
            pass


def _failure_lines(update: Update) -> Iterator[str]:
    for number, steps in groupby(update.failed, lambda step: step.number):
        group = list(steps)
        lines = group[0].error.splitlines() or [f"failed tests: {', '.join(group[0].failed_tests)}"]
        yield f"Step {number}, {' '.join(step.old.ref for step in group)}, failed: {lines[0]}"
        if len(lines) > 1 + _MOST_ERROR_LINES:
            yield "  …"
        yield from (f"  {line}" for line in lines[1:][-_MOST_ERROR_LINES:])
    blocked = [step.old.ref for step in update.steps if step.state is StepState.BLOCKED]
    if blocked:
        yield f"Not made, since they need what failed: {' '.join(blocked)}"
    weak = [step for step in update.steps if step.failed_tests and step.state is StepState.DONE]
    for step in weak:
        yield f"{step.new_ref} does not pass {', '.join(step.failed_tests)}."


def held_lines(update: Update) -> Iterator[str]:
    """Which steps other workers hold, so that nobody wonders what is waited for."""
    for number, steps in groupby(update.steps, lambda step: step.number):
        step = next(iter(steps))
        if step.held_until is not None and step.state in {StepState.LEASED, StepState.STAGED}:
            until = step.held_until.astimezone().strftime("%H:%M:%S")
            yield f"step {number}, {step.old.ref}: worker {step.worker} has it; if that is dead, another takes it at {until}"


def updates_lines(updates: Sequence[Update]) -> Iterator[str]:
    """A table of updates."""
    rows = [
        (
            update.id,
            "" if update.state is None else update.state.value,
            f"{update.old.ref} -> {update.new.ref}",
            f"{update.done_count} of {update.step_count}",
            "" if update.created_at is None else format_moment(update.created_at),
        )
        for update in updates
    ]
    return format_table(("ID", "STATE", "MODELS", "DONE", "STARTED"), rows, "lllrl") if rows else iter(())


def progress_line(progress: UpdateProgress) -> str:
    """How a worker left a step, in one line."""
    models = " ".join(progress.old)
    took = format_seconds(progress.seconds)
    if progress.state is None:
        return f"step {progress.number}, {models}: another worker has it now"
    if progress.error:
        return f"step {progress.number}, {models}: {progress.state.value}, {progress.error.partition(chr(10))[0]}"
    failed = f", failed tests: {', '.join(progress.failed_tests)}" if progress.failed_tests else ""
    return f"step {progress.number}, {models}: {progress.state.value} in {took}{failed}"


def _moment(moment: object) -> str | None:
    isoformat = getattr(moment, "isoformat", None)
    return None if isoformat is None else str(isoformat(timespec="milliseconds"))
