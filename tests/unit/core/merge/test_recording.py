"""What a merge was asked for is kept as a creation record, and read back from one."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.creation import (
    MERGE_ENTRY_POINT,
    CreationRecord,
    check_creation,
    is_merge,
    merge_base_of,
    with_merge_base,
)
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ParentLink, Relation
from mgit_core.merge.recording import MergeCall, merge_sides, read_merge_call, record_merge
from mgit_core.merge.values import ConflictChoice, MergeOptions

BASE = "01890000-0000-7000-8000-000000000000"
OTHER = "01890000-0000-7000-8000-000000000001"
numbers = st.floats(allow_nan=False, allow_infinity=False).filter(bool)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
options = st.builds(
    MergeOptions,
    on_conflict=st.none() | st.sampled_from(ConflictChoice),
    choices=st.lists(st.tuples(texts, st.sampled_from(ConflictChoice)), max_size=4).map(tuple),
    scale=numbers,
    density=st.floats(0, 1, exclude_min=True),
)


@given(options=options, is_accepted=st.booleans())
def test_a_recorded_call_is_read_back(options: MergeOptions, *, is_accepted: bool) -> None:
    call = MergeCall(base_uid=BASE, options=options, is_accepted=is_accepted)
    record = record_merge(call)
    kept = replace(record, arguments=json.loads(json.dumps(record.arguments)))
    assert read_merge_call(kept) == call
    assert record_merge(read_merge_call(kept)) == record
    assert check_creation(record) is record


def test_a_record_names_no_module() -> None:
    """Whatever lies in the current folder, no import finds it."""
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(MERGE_ENTRY_POINT.partition(":")[0])


def test_another_base_leaves_all_else() -> None:
    record = record_merge(MergeCall(base_uid=BASE, is_accepted=True))
    assert read_merge_call(with_merge_base(record, OTHER)) == MergeCall(base_uid=OTHER, is_accepted=True)
    assert (merge_base_of(record), is_merge(record)) == (BASE, True)


def test_a_creation_function_has_no_base() -> None:
    record = CreationRecord(entry_point="makers:tune", code_digest=bytes(32), arguments={"base": BASE})
    assert (merge_base_of(record), is_merge(record)) == (None, False)
    with pytest.raises(InvalidArgumentError) as refused:
        read_merge_call(record)
    assert refused.value.reason is ErrorReason.INVALID_CREATION


@pytest.mark.parametrize(
    "changed",
    [
        {"base": "reviews"},
        {"base": BASE.upper().replace("-", "")},
        {"on_conflict": "mine"},
        {"choices": "*=ours"},
        {"choices": "[" * 30_000},
        {"choices": '[["*"]]'},
        {"scale": "much"},
        {"scale": 0.0},
        {"density": True},
        {"density": 2.0},
        {"accept": 1},
    ],
)
def test_what_no_merge_was_asked_for_is_refused(changed: dict[str, str | float | bool]) -> None:
    record = record_merge(MergeCall(base_uid=BASE))
    with pytest.raises(InvalidArgumentError) as refused:
        read_merge_call(replace(record, arguments={**record.arguments, **changed}))
    assert refused.value.reason is ErrorReason.INVALID_CREATION
    assert len(refused.value.message) < 1_000


def test_choices_that_take_too_much_room_are_no_record() -> None:
    """The service merges all the same, and says that nobody can do it again."""
    choices = tuple((f"{number:0100}", ConflictChoice.OURS) for number in range(1_000))
    with pytest.raises(InvalidArgumentError):
        record_merge(MergeCall(base_uid=BASE, options=MergeOptions(choices=choices)))


def test_sides_are_the_first_two_merged_parents() -> None:
    """A parent that somebody linked since is none."""
    relations = (Relation.DERIVED, Relation.MERGED, Relation.MERGED, Relation.MERGED)
    links = [ParentLink(parent_uid=str(at), relation=relation) for at, relation in enumerate(relations)]
    assert merge_sides(links) == ("1", "2")
