"""A repository for an example: the service that ``MGIT_ADDRESS`` names, or a local stack that is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import mgit
from mgit.errors import MGitError
from mgit.local.settings import read_stack_settings
from mgit.local.stack import LocalStack
from mgit.settings import read_settings

__all__ = ["choose_prefix", "open_repository", "run_example", "tell_steps"]

_INTERRUPTED = 130


@contextlib.contextmanager
def open_repository(report: Callable[[str], None]) -> Generator[mgit.Repository]:
    """A repository to play with.

    Without ``MGIT_ADDRESS`` a stack is started in a folder of its own; Neo4j is fetched the first time ever.

    Args:
        report: Told what takes long.

    Raises:
        MGitError: As the local stack raises it.
    """
    if read_settings().address:
        with mgit.connect() as repository:
            yield repository
        return
    with tempfile.TemporaryDirectory(prefix="mgit-example-", ignore_cleanup_errors=True) as folder:
        given = {key: value for key, value in os.environ.items() if not key.startswith("MGIT_")}
        stack = LocalStack(read_stack_settings(given, home=Path(folder)))
        try:
            with mgit.connect(stack.up(report).address) as repository:
                yield repository
        finally:
            stack.down()


def choose_prefix(repository: mgit.Repository, wanted: str) -> str:
    """``wanted``, or with a number behind it if models of that prefix are there: a used service stays as it is."""
    number, prefix = 1, wanted
    while any(True for _ in repository.models(prefix=f"{prefix}/")):
        number += 1
        prefix = f"{wanted}-{number}"
    return prefix


def tell_steps(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """What tells how far an update is: its steps take long where models are trained."""
    return lambda done, total: say(f"   {done} of {total} steps are done")


def run_example(tell_story: Callable[[mgit.Repository, Callable[[str], None]], object]) -> int:
    """Tells a story on a repository of its own; the exit code: 0, 1 after an error, 130 after an interrupt."""
    try:
        with open_repository(lambda text: print(f"   {text}", file=sys.stderr, flush=True)) as repository:
            tell_story(repository, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return _INTERRUPTED
    except MGitError as error:
        print(f"\n{error.reason}: {error.message}", file=sys.stderr)
        return 1
    return 0
