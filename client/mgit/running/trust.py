"""Programs that tests may run here: those that were registered from here, and those that were trusted since.

A command is any program, and whoever may register a test could otherwise have it run on the machine of whoever
runs the tests. Functions need no such list: they run only if they lie here, with the source that was registered.
"""

from __future__ import annotations

import hashlib
import os

from mgit.settings import read_settings
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.model_tests import ModelTest, ModelTestKind

__all__ = ["check_trusted", "trust_command"]

_LIST = "trusted-commands"


def trust_command(command: str) -> None:
    """Let a command line run as a test here, from now on. Idempotent."""
    home = read_settings().home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _line(command) in _trusted():
        return
    # One short write at the end of the file: two at once do not mix.
    descriptor = os.open(home / _LIST, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{_line(command)}\n".encode("ascii"))
    finally:
        os.close(descriptor)


def check_trusted(test: ModelTest) -> None:
    """Refuse a command that was neither registered from here nor trusted here.

    Raises:
        FailedPreconditionError: TEST_NOT_TRUSTED.
    """
    if test.kind is ModelTestKind.COMMAND and _line(test.code) not in _trusted():
        raise FailedPreconditionError(
            ErrorReason.TEST_NOT_TRUSTED,
            f"Test {test.name} is a program that was registered elsewhere: {test.code[:200]!r}. If it may run on "
            f"this machine, say so once with 'mgit test trust {test.name}'.",
        )


def _trusted() -> frozenset[str]:
    try:
        return frozenset((read_settings().home / _LIST).read_text(encoding="ascii").split())
    except FileNotFoundError:
        return frozenset()


def _line(command: str) -> str:
    return hashlib.sha256(command.encode()).hexdigest()
