"""The command line with nothing of the user's environment."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from mgit.cli import main

TIMEOUT_S = 200


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """What the JSON document on standard error says."""
        return json.loads(self.err)["error"]

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True)
class CommandLine:
    """Runs ``mgit`` in one home."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("MGIT_", "NEO4J_", "NO_COLOR"))
        }
        return {**inherited, "MGIT_HOME": str(self.home), **self.settings, **settings}

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """A command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", "from mgit.cli import main; main()", *arguments],
            env=self.environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **settings: str) -> Ended:
        """A command in this process, which saves the start of another one."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment(settings), clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main(arguments)
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str) -> Any:
        """The document of a command that is done."""
        ended = self.run(*arguments, "--output", "json")
        assert ended.code == 0, ended.err
        return ended.document

    def quiet(self, *arguments: str) -> list[str]:
        """The lines of a command that is done."""
        ended = self.run("--output", "quiet", *arguments)
        assert (ended.code, ended.err) == (0, "")
        return ended.lines


def end_of(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=TIMEOUT_S)
    return Ended(process.returncode, out, err)
