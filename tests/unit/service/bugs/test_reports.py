"""Reporting, fixing, closing and finding bugs, over the graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from mgit_core.bugs import Bug, BugState, BugSubject, DatasetSubject, ModelSubject, TensorSubject
from mgit_core.errors import (
    ConflictError,
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
    ResourceExhaustedError,
)
from mgit_core.lineage import Dataset, RequestKey
from mgit_core.ports.bugs import ReachQuery
from mgit_core.ports.graph import Lineage, Page
from mgit_service.use_cases.bugs import reports
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.lineage.steps import add, refused
from mgit_storage.testing.values import UNKNOWN_UID, make_bug

STORE_ID = "00000000-0000-4000-8000-000000000001"
KEY = RequestKey(id="r", arguments_digest=b"a" * 32)


@pytest.fixture
async def lineage() -> AsyncIterator[Lineage]:
    graph = open_memory_graph()
    await graph.binding.bind(STORE_ID, store_is_empty=True)
    yield graph
    await graph.binding.close()


def draft(*subjects: BugSubject | str, **changed: Any) -> Bug:
    told = [ModelSubject("", each) if isinstance(each, str) else each for each in subjects]
    return replace(make_bug("a bug", *told), id="", **changed)


async def report(
    lineage: Lineage, *subjects: BugSubject | str, request: RequestKey | None = None, **changed: Any
) -> Bug:
    return await reports.report_bug(lineage, draft(*subjects, **changed), request)


async def test_the_service_chooses_id_state_and_times(lineage: Lineage) -> None:
    model = await add(lineage, "m")
    told = draft("m", title="  spaced ", state=BugState.CLOSED, fixed_in=(model,))
    bug = await reports.report_bug(lineage, told, None)
    assert (bug.id[14], bug.title, bug.state, bug.fixed_in) == ("7", "spaced", BugState.OPEN, ())
    assert bug.created_at == bug.updated_at > told.created_at


@pytest.mark.parametrize("reference", ["m", "m@1", "m@latest", "m@prod", "@UID"])
async def test_a_model_is_named_by_any_reference(lineage: Lineage, reference: str) -> None:
    model = await add(lineage, "m")
    await lineage.tags.put(model.uid, "prod")
    bug = await report(lineage, reference.replace("UID", model.uid))
    assert bug.affects == (ModelSubject(model.uid, "m@1"),)
    listed = await reports.list_bugs(
        lineage, Page(), state=None, reference=reference.replace("UID", model.uid)
    )
    assert listed == [bug]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("nobody", ErrorReason.MODEL_NOT_FOUND),
        ("m@prod", ErrorReason.TAG_NOT_FOUND),
        (f"@{UNKNOWN_UID}", ErrorReason.MODEL_NOT_FOUND),
        ("", ErrorReason.INVALID_NAME),
        ("@x", ErrorReason.INVALID_REFERENCE),
        (TensorSubject(bytes(32)), ErrorReason.TENSOR_NOT_FOUND),
        (TensorSubject(b"short"), ErrorReason.INVALID_BUG),
        (DatasetSubject(Dataset(name="docs")), ErrorReason.DATASET_NOT_FOUND),
        (DatasetSubject(Dataset(name="docs", version="1")), ErrorReason.DATASET_NOT_FOUND),
        (DatasetSubject(Dataset(name="")), ErrorReason.INVALID_BUG),
    ],
)
async def test_a_bug_of_what_is_not_there_is_refused(
    lineage: Lineage, subject: BugSubject | str, reason: ErrorReason
) -> None:
    await add(lineage, "m")
    with pytest.raises(MGitError) as error:
        await report(lineage, "m", subject)
    assert error.value.reason is reason
    assert await lineage.bugs.list_page(Page()) == []


async def test_what_is_no_bug_is_refused_before_the_graph_is_asked(lineage: Lineage) -> None:
    for changed in ({"title": " "}, {"title": "two\nlines"}, {"affects": ()}):
        with refused(InvalidArgumentError, ErrorReason.INVALID_BUG):
            await report(lineage, "nobody", **changed)


async def test_a_repeat_gets_the_first_answer_although_its_reference_is_gone(lineage: Lineage) -> None:
    model = await add(lineage, "m")
    await lineage.tags.put(model.uid, "prod")
    first = await report(lineage, "m@prod", request=KEY)
    fixed = await reports.fix_bug(lineage, first.id, "m@prod", force=False, request=replace(KEY, id="fix"))
    await lineage.tags.delete("m", "prod")
    assert await report(lineage, "m@prod", request=KEY) == first
    again = await reports.fix_bug(lineage, first.id, "m@prod", force=False, request=replace(KEY, id="fix"))
    assert again == fixed
    with refused(ConflictError, ErrorReason.REQUEST_ID_REUSED):
        await report(lineage, "m", request=replace(KEY, arguments_digest=b"b" * 32))
    with refused(NotFoundError, ErrorReason.TAG_NOT_FOUND):
        await report(lineage, "m@prod", request=replace(KEY, id="other"))


async def test_a_bug_is_named_by_how_its_id_begins(lineage: Lineage) -> None:
    await add(lineage, "m")
    bug = await report(lineage, "m")
    for beginning in (bug.id, bug.id[:8], bug.id[:1], f" {bug.id[:9].upper()} "):
        assert await reports.find_bug(lineage, beginning) == bug
        assert await reports.resolve_bug(lineage, beginning) == bug.id
    closed = await reports.set_bug_state(lineage, bug.id[:8], BugState.CLOSED, None)
    assert closed.state is BugState.CLOSED
    fixed = await reports.fix_bug(lineage, bug.id[:8], "m", force=False, request=None)
    assert [model.ref for model in fixed.fixed_in] == ["m@1"]


async def test_a_beginning_of_several_ids_names_two_of_them(lineage: Lineage) -> None:
    await add(lineage, "m")
    bugs = [await report(lineage, "m") for _ in range(3)]
    with pytest.raises(InvalidArgumentError) as error:
        await reports.find_bug(lineage, bugs[0].id[:2])
    assert error.value.reason is ErrorReason.INVALID_ARGUMENT
    # Ids of one millisecond are in no order.
    assert sum(bug.id in error.value.message for bug in bugs) == 2
    assert "more" in error.value.message


@pytest.mark.parametrize("beginning", ["f", "xyz", "0%", "f" * 36, "f" * 37, "0189'; MATCH", "\u0660"])
async def test_an_id_that_none_begins_with_is_not_found(lineage: Lineage, beginning: str) -> None:
    await add(lineage, "m")
    await report(lineage, "m")
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: reports.find_bug(lineage, beginning),
        lambda: reports.fix_bug(lineage, beginning, "m", force=True, request=None),
        lambda: reports.set_bug_state(lineage, beginning, BugState.CLOSED, None),
    ]
    for call in calls:
        with refused(NotFoundError, ErrorReason.BUG_NOT_FOUND):
            await call()


async def test_an_empty_id_is_bad_input(lineage: Lineage) -> None:
    for call in (reports.find_bug(lineage, " "), reports.resolve_bug(lineage, "")):
        with refused(InvalidArgumentError, ErrorReason.INVALID_ARGUMENT):
            await call


async def test_a_fix_in_no_descendant_says_how_to_force_it(lineage: Lineage) -> None:
    base = await add(lineage, "base")
    await add(lineage, "child", base)
    await add(lineage, "stranger")
    bug = await report(lineage, "child")
    for reference in ("base", "stranger"):
        with pytest.raises(FailedPreconditionError, match="force") as error:
            await reports.fix_bug(lineage, bug.id, reference, force=False, request=None)
        assert error.value.reason is ErrorReason.MODEL_NOT_AFFECTED
    forced = await reports.fix_bug(lineage, bug.id, "stranger", force=True, request=None)
    assert [model.ref for model in forced.fixed_in] == ["stranger@1"]


async def test_a_bug_has_at_most_a_thousand_fixes(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgit_storage.lineage.bug_checks.MAX_FIXES", 2)
    for name in ("a", "b", "c"):
        await add(lineage, name)
    bug = await report(lineage, "a", "b", "c")
    for name in ("a", "b", "b"):
        await reports.fix_bug(lineage, bug.id, name, force=False, request=None)
    with refused(ResourceExhaustedError, ErrorReason.LIMIT_EXCEEDED):
        await reports.fix_bug(lineage, bug.id, "c", force=False, request=None)
    assert await lineage.bugs.count(ReachQuery(bug_id=bug.id)) == 1
