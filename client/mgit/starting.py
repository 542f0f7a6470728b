"""A repository on the local stack, started if need be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgit.repository import Repository

__all__ = ["local"]


def local(home: Path | str | None = None) -> Repository:
    """A repository on the local stack, which is started if it does not run.

    Takes some seconds the first time, and minutes where Neo4j has to be fetched. What takes long is told on
    standard error if that is a terminal. The stack stays up; ``mgit down`` ends it.

    Args:
        home: Folder with all of the stack; None means ``MGIT_HOME`` or the platform's user data folder.

    Raises:
        FailedPreconditionError: MAVEN_MISSING, NEO4J_START_FAILED or SERVICE_START_FAILED.
        UnavailableError: SERVICE_UNAVAILABLE.
        UnauthenticatedError: NEO4J_CREDENTIALS_WRONG, for the Neo4j that ``NEO4J_URI`` names.
        ResourceExhaustedError: PORT_IN_USE.
    """
    # Only those who start a stack pay for these.
    from mgit.local.settings import read_stack_settings  # noqa: PLC0415
    from mgit.local.stack import LocalStack  # noqa: PLC0415
    from mgit.repository import connect  # noqa: PLC0415

    stack = LocalStack(read_stack_settings(home=None if home is None else Path(home)))
    return connect(stack.up(_tell_terminal).address)


def _tell_terminal(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")
