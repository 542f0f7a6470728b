"""A local stack in a throw-away home, for one benchmark."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mgit.local.settings import read_stack_settings
from mgit.local.stack import LocalStack
from mgit.local.state import StackState

__all__ = ["clean_environment", "new_home", "running_stack"]


def clean_environment(home: Path) -> dict[str, str]:
    """The process's environment without what would lead to another stack."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MGIT_", "NEO4J_"))}
    return {**kept, "MGIT_HOME": os.fspath(home)}


@contextlib.contextmanager
def new_home() -> Iterator[Path]:
    """An empty folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mgit-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def running_stack(home: Path) -> Iterator[StackState]:
    """The stack of ``home``, stopped afterwards."""
    stack = LocalStack(read_stack_settings(clean_environment(home)))
    try:
        yield stack.up(print_nothing)
    finally:
        stack.down()


def print_nothing(text: str) -> None:
    """Takes what a stack reports while it starts."""
    del text
