from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench.compression.git_tools import GitFilter, git_lfs
from bench.compression.running import run
from bench.compression.schemes import SchemeMissingError
from tests.unit.bench.conftest import MakeSubject


def test_a_filter_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SchemeMissingError, match="not installed: no git and no git-lfs on the path"):
        git_lfs()


@pytest.mark.slow
def test_git_itself_gives_every_file_back(make_subject: MakeSubject) -> None:
    base = make_subject("base", {"weight": np.arange(5000, dtype=np.float32)})
    tuned = make_subject("tuned", {"weight": np.arange(5000, dtype=np.float32) * 2}, base)

    ran = run(lambda: GitFilter((), (), follows_base=True, keeps_file=True), [base, tuned])

    assert all(size > 0 for size in ran.grown.values())


@pytest.mark.slow
def test_a_command_that_fails_is_said_and_leaves_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(SchemeMissingError, match="ended with"):
        GitFilter([("git", "no-such-command")], (), follows_base=True, keeps_file=True)
    assert list(tmp_path.iterdir()) == []
