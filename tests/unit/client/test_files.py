from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mgit.files import NewFile, check_new, new_path, translate_os_error
from mgit_core.errors import AlreadyExistsError, ErrorReason, NotFoundError, ResourceExhaustedError


def test_a_file_appears_complete_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with new_path(target) as unfinished:
        NewFile.make(unfinished, 6).write(2, b"cdef")
        NewFile(unfinished).write(0, b"ab")
        assert not target.exists()
    assert target.read_bytes() == b"abcdef"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_appears_complete_at_the_end(tmp_path: Path) -> None:
    with new_path(tmp_path / "out") as unfinished:
        NewFile.make(unfinished / "a" / "b.txt", 0)
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["a", "b.txt"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("is_folder", [True, False])
def test_an_interrupted_writing_leaves_nothing(
    tmp_path: Path, kind: type[BaseException], *, is_folder: bool
) -> None:
    def write() -> None:
        with new_path(tmp_path / "out") as unfinished:
            NewFile.make(unfinished / "file" if is_folder else unfinished, 3)
            raise kind

    with pytest.raises(kind):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_what_exists_is_never_overwritten(tmp_path: Path, make: object) -> None:
    target = tmp_path / "out"
    make(target)  # type: ignore[operator]
    with pytest.raises(AlreadyExistsError) as caught, new_path(target):
        pass
    assert caught.value.reason is ErrorReason.PATH_EXISTS
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_appears_meanwhile_is_not_overwritten_either(tmp_path: Path, *, is_folder: bool) -> None:
    target = tmp_path / "out"

    def write() -> None:
        with new_path(target) as unfinished:
            NewFile.make(unfinished / "file" if is_folder else unfinished, 3)
            target.write_text("precious")

    with pytest.raises(AlreadyExistsError):
        write()
    assert target.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        check_new(tmp_path / "missing" / "out")
    assert caught.value.reason is ErrorReason.PATH_NOT_FOUND


def test_two_paths_that_are_one_for_the_file_system_are_refused(tmp_path: Path) -> None:
    NewFile.make(tmp_path / "a", 1)
    with pytest.raises(AlreadyExistsError):
        NewFile.make(tmp_path / "a", 1)
    with pytest.raises(AlreadyExistsError):
        NewFile.make(tmp_path / "a" / "b", 1)


def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(ResourceExhaustedError) as caught, new_path(tmp_path / "out") as unfinished:
        NewFile.make(unfinished, 3).write(0, b"abc")
    assert caught.value.reason is ErrorReason.DISK_FULL
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_kinds_stay_what_they_are() -> None:
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        translate_os_error(error, Path("x"))
    assert caught.value is error


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    error = translate_os_error(PermissionError(errno.EACCES, "denied"), tmp_path)
    assert error.reason is ErrorReason.NOT_PERMITTED
