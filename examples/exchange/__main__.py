"""Runs the example: ``python -m examples.exchange``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from examples.exchange.story import tell_story
from examples.exchange.teams import Team

_INTERRUPTED = 130


def main() -> int:
    """Tells the story with two stacks that are gone afterwards; the exit code."""
    with tempfile.TemporaryDirectory(prefix="mgit-example-", ignore_cleanup_errors=True) as folder:
        teams = Team(Path(folder) / "ours"), Team(Path(folder) / "theirs")
        try:
            print("   Starting a service and a Neo4j for each of two teams …", file=sys.stderr, flush=True)
            for team in teams:
                team.run("up")
            tell_story(*teams, lambda line: print(line, flush=True))
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            return _INTERRUPTED
        except RuntimeError as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        finally:
            for team in teams:
                team.run("down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
