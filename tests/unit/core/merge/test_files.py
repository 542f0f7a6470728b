"""Files of a merge: three-way by content, and weight files by what they can hold."""

from __future__ import annotations

import pytest
from tests.unit.core.merge.models import ALGORITHM, BASE, parameter, side

from mgit_core.digest import digest_of
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.manifest import Parameter
from mgit_core.merge.files import FilePlan, plan_files
from mgit_core.merge.layout import fits_layout, lay_out, safetensors_of
from mgit_core.merge.values import ConflictChoice, MergeSides, SideChange


def opaque(path: str, content: str) -> FileEntry:
    raw = content.encode()
    return FileEntry(
        path=path,
        kind=FileKind.OPAQUE,
        size_bytes=len(raw),
        stored_bytes=len(raw),
        chunks=(digest_of(ALGORITHM, raw),) if raw else (),
    )


def weights(path: str, prefix: str = "") -> FileEntry:
    return FileEntry(
        path=path,
        kind=FileKind.SAFETENSORS,
        size_bytes=9,
        stored_bytes=8,
        chunks=(digest_of(ALGORITHM, path.encode()),),
        prefix=prefix,
    )


def files(source_format: str = "folder", **contents: str) -> FileList:
    entries = tuple(opaque(path, content) for path, content in sorted(contents.items()))
    return FileList(algorithm=ALGORITHM, source_format=source_format, files=entries)


def plan(
    base: FileList | None,
    ours: FileList | None,
    theirs: FileList | None,
    choice: ConflictChoice | None = None,
) -> FilePlan:
    three = MergeSides(
        base=side(BASE, files=base), ours=side(BASE, files=ours), theirs=side(BASE, files=theirs)
    )
    return plan_files(three, lambda _path: choice)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "wanted"),
    [
        ({"config": "a"}, {"config": "b"}, {"config": "a"}, {"config": "b"}),
        ({"config": "a"}, {"config": "a"}, {"config": "b"}, {"config": "b"}),
        ({"config": "a"}, {"config": "b"}, {"config": "b"}, {"config": "b"}),
        ({"config": "a"}, {"config": "a"}, {}, {}),
        ({}, {"config": "a"}, {"words": "b"}, {"config": "a", "words": "b"}),
    ],
)
def test_a_file_follows_the_side_that_changed_it(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str], wanted: dict[str, str]
) -> None:
    found = plan(files(**base), files(**ours), files(**theirs))
    assert files(**wanted).files == found.opaque
    assert found.conflicts == ()


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        (None, None),
        (ConflictChoice.OURS, "b"),
        (ConflictChoice.THEIRS, "c"),
        (ConflictChoice.AVERAGE, "b"),
    ],
)
def test_a_file_that_both_changed_is_a_conflict(choice: ConflictChoice | None, kept: str | None) -> None:
    """Where numbers are to be computed, ours is taken and that is said."""
    found = plan(files(config="a"), files(config="b"), files(config="c"), choice)
    [conflict] = found.conflicts
    assert conflict.is_file
    assert conflict.why == "both changed it"
    assert (conflict.choice is None) is (kept is None)
    assert kept is None or files(config=kept).files == found.opaque
    assert bool(found.notes) is (choice is ConflictChoice.AVERAGE)


def test_a_file_that_one_changed_and_the_other_deleted_is_a_conflict() -> None:
    [conflict] = plan(files(config="a"), files(), files(config="c")).conflicts
    assert (conflict.ours, conflict.theirs) == (SideChange.DELETED, SideChange.CHANGED)


def test_models_without_files_have_none() -> None:
    assert FilePlan() == plan(None, None, None)


def test_a_file_that_became_a_folder_on_the_other_side_is_left_out() -> None:
    inner = FileList(algorithm=ALGORITHM, source_format="folder", files=(opaque("config/a", "1"),))
    found = plan(None, files(config="a"), inner)
    assert [entry.path for entry in found.opaque] == ["config/a"]
    assert "left out" in found.notes[0]


def test_the_source_format_follows_the_side_that_changed_it() -> None:
    assert plan(files("torch"), files("torch"), files("folder")).source_format == "folder"
    assert plan(files("torch"), files("safetensors"), files("folder")).source_format == "safetensors"


def test_a_layout_fits_where_names_and_shapes_are_the_same_in_any_order() -> None:
    one = [parameter("a", 1), parameter("b", 2)]
    assert fits_layout(one, [parameter("b", 3), parameter("a", 4)])
    assert not fits_layout(one, one[:1])


def test_each_parameter_goes_to_the_file_that_held_it() -> None:
    """Ours first; what only theirs has goes where theirs kept it; what is gone leaves its file."""
    ours = {"a": parameter("a", 1), "b": parameter("b", 2), "gone": parameter("gone", 3)}
    theirs = {"x.c": parameter("x.c", 5), "a": parameter("a", 6)}
    merged: list[Parameter] = [ours["a"], ours["b"], theirs["x.c"], parameter("nowhere", 1)]
    found = lay_out(
        merged,
        [
            [(weights("one"), [ours["b"], ours["a"]]), (weights("two"), [ours["gone"]])],
            [(weights("one"), [theirs["a"]]), (weights("x/one", "x."), [theirs["x.c"]])],
        ],
    )
    assert [(each.path, each.prefix, [one.name for one in each.parameters]) for each in found] == [
        ("one", "", ["b", "a"]),
        ("x/one", "x.", ["x.c"]),
    ]


def test_weight_files_are_told_from_others() -> None:
    listed = FileList(
        algorithm=ALGORITHM, source_format="folder", files=(opaque("config", "a"), weights("model"))
    )
    assert (weights("model"),) == safetensors_of(listed)
    assert safetensors_of(None) == ()
