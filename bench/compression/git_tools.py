"""Git with a filter for large files, where one is installed: git-lfs and git-theta.

Every member is a commit of one path on top of the commit of its base; bytes are those under ``.git``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.compression.schemes import Scheme, SchemeMissingError, Threads
from bench.compression.subjects import Subject, Weights

__all__ = ["GitFilter", "git_lfs", "git_theta"]

_FILE = "model.safetensors"
_TIMEOUT_S = 600


class GitFilter(Scheme):
    """A repository in a throw-away folder whose weight file goes through a filter.

    Args:
        set_up: Commands that turn the filter on, run in the new repository.
        needed: Programs that must be on the path.
        follows_base: Whether a member is committed on top of its base, which has to be checked out for it.
        keeps_file: Whether the file comes back, and not only its tensors under another header.
    """

    def __init__(
        self, set_up: Sequence[Sequence[str]], needed: Sequence[str], *, follows_base: bool, keeps_file: bool
    ) -> None:
        missing = [program for program in ("git", *needed) if shutil.which(program) is None]
        if missing:
            raise SchemeMissingError(f"not installed: no {' and no '.join(missing)} on the path")
        self._folder = Path(tempfile.mkdtemp(prefix="mgit-bench-"))
        self._follows_base, self._keeps_file = follows_base, keeps_file
        self._commits: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        try:
            self._root = self._set_up(set_up)
        except BaseException:
            self.close()
            raise

    def encode(self, subject: Subject, threads: Threads) -> int:
        del threads
        before = self._bytes()
        if self._follows_base:
            commit = self._commits.get(subject.base.ref if subject.base else "", self._root)
            self._git("checkout", "--quiet", "--force", "--detach", commit)
        (self._folder / _FILE).write_bytes(subject.weights.content)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", subject.ref, "--allow-empty")
        self._commits[subject.ref] = self._git("rev-parse", "HEAD")
        return self._bytes() - before

    def decode(self, subject: Subject, threads: Threads) -> Sequence[bytes | memoryview]:
        del threads
        (self._folder / _FILE).unlink(missing_ok=True)
        self._git("checkout", "--quiet", "--force", self._commits[subject.ref], "--", _FILE)
        path = self._folder / _FILE
        if self._keeps_file:
            return [path.read_bytes()]
        found = Weights(path).tensors
        return [subject.weights.header, *(found[name].content for name in subject.weights.tensors)]

    def _set_up(self, commands: Sequence[Sequence[str]]) -> str:
        """Makes the repository and gives its first commit."""
        self._git("init", "--quiet", "--initial-branch", "main")
        for command in commands:
            self._run(*command)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "Set up", "--allow-empty")
        return self._git("rev-parse", "HEAD")

    def close(self) -> None:
        shutil.rmtree(self._folder)

    def _git(self, *arguments: str) -> str:
        return self._run("git", *arguments)

    def _run(self, *command: str) -> str:
        environment = {
            **os.environ,
            "HOME": os.fspath(self._folder / ".git"),  # No one's settings.
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_THETA_CHECKPOINT_TYPE": "safetensors",
            "GIT_AUTHOR_NAME": "bench",
            "GIT_AUTHOR_EMAIL": "bench@localhost",
            "GIT_COMMITTER_NAME": "bench",
            "GIT_COMMITTER_EMAIL": "bench@localhost",
        }
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        if done.returncode:
            raise SchemeMissingError(
                f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-300:]}"
            )
        return done.stdout.strip()

    def _bytes(self) -> int:
        return sum(path.lstat().st_size for path in (self._folder / ".git").rglob("*") if path.is_file())


def git_lfs() -> Scheme:
    """git-lfs: each distinct file once.

    Raises:
        SchemeMissingError: It is not installed.
    """
    commands = (("git", "lfs", "install", "--local"), ("git", "lfs", "track", f"*{Path(_FILE).suffix}"))
    return GitFilter(commands, ["git-lfs"], follows_base=False, keeps_file=True)


def git_theta() -> Scheme:
    """git-theta: each distinct tensor once, with the smallest of its own kinds of updates; kept by git-lfs.

    Raises:
        SchemeMissingError: It is not installed.
    """
    commands = (
        ("git", "lfs", "install", "--local"),
        ("git", "theta", "install"),
        ("git", "theta", "track", _FILE),
    )
    return GitFilter(commands, ["git-lfs", "git-theta"], follows_base=True, keeps_file=False)
