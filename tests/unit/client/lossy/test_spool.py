"""Bytes that are put aside."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from mgit.errors import ErrorReason, ResourceExhaustedError
from mgit.lossy.spool import Spool, SpooledContent


def test_contents_of_a_spool_do_not_overlap() -> None:
    with Spool() as spool:
        first = SpooledContent(spool, spool.reserve(4))
        second = SpooledContent(spool, spool.reserve(3))
        second.write(0, b"xyz")
        first.write(2, b"cd")
        first.write(0, memoryview(b"ab"))
        assert (first.read(0, 4), second.read(1, 3)) == (b"abcd", b"yz")


def test_a_spool_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Spool() as spool:
        spool.write(0, b"content")
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_reads_and_writes_that_are_cut_short_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    write, read = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda file, content, at: write(file, content[:2], at))
    monkeypatch.setattr(os, "pread", lambda file, size, at: read(file, min(size, 3), at))
    with Spool() as spool:
        spool.write(1, b"abcdefg")
        assert spool.read(1, 8) == b"abcdefg"


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Spool() as spool:
        monkeypatch.setattr(os, "pwrite", fail)
        with pytest.raises(ResourceExhaustedError, match="No space left") as caught:
            spool.write(0, b"content")
    assert caught.value.reason == ErrorReason.DISK_FULL


def test_a_folder_for_temporary_files_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(ResourceExhaustedError, match="No such file"):
        Spool()
