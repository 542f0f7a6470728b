"""A team: a home with a local stack, and the command line in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Team"]


@dataclass(frozen=True, slots=True)
class Team:
    """Who types commands; another home is another world."""

    home: Path

    def run(self, *words: str) -> dict[str, Any]:
        """The JSON document that a command prints.

        Raises:
            RuntimeError: The command did not end well; says what it said.
        """
        given = {key: value for key, value in os.environ.items() if not key.startswith(("MGIT_", "NEO4J_"))}
        done = subprocess.run(
            [str(Path(sys.executable).with_name("mgit")), *words, "--output", "json", "--yes"],
            env={**given, "MGIT_HOME": os.fspath(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"mgit {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
        document: dict[str, Any] = json.loads(done.stdout)
        return document
