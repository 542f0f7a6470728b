"""Runs the demonstration: ``python -m examples.demo``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from examples.demo.story import tell_story

from mgit.errors import MGitError
from mgit.local.settings import read_stack_settings

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> int:
    """Runs the demonstration and gives the exit code: 0 if all of it held, 1 if not, 130 after an interrupt."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where results go (default: demo)")
    arguments = parser.parse_args()
    try:
        tell_story(arguments.folder, read_stack_settings())
    except KeyboardInterrupt:
        print("\nInterrupted. What is finished is kept: the same command goes on from here.", file=sys.stderr)
        return _INTERRUPTED
    except MGitError as error:
        print(f"\n{error.reason}: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
