"""Builds a family by hand: ``python -m examples.minilm --folder FOLDER [--full]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from examples.minilm.family import DEMO, FULL, Built, Progress, build

__all__ = ["main"]


def main() -> None:
    """Builds the family, with its progress on standard error and one line a member on standard output."""
    parser = argparse.ArgumentParser(prog="python -m examples.minilm", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the family lies or is to lie")
    parser.add_argument(
        "--full", action="store_true", help="the 21 models of the measurements, not the demo's"
    )
    arguments = parser.parse_args()
    built = build(FULL if arguments.full else DEMO, arguments.folder, _report)
    for member in built:
        print(_line(member))
    total = sum(member.size_bytes for member in built)
    seconds = sum(float(member.metadata["seconds"]) for member in built)
    print(f"{len(built)} members, {total / 1e6:.0f} MB, made in {seconds:.0f} s")


def _report(progress: Progress) -> None:
    if progress.step == 0:
        state = "is there" if progress.reused else "is being made"
        print(f"[{progress.position + 1}/{progress.members}] {progress.member.ref} {state}", file=sys.stderr)
    elif progress.step % 10 == 0 or progress.step == progress.steps:
        print(f"    step {progress.step} of {progress.steps}", file=sys.stderr)


def _line(built: Built) -> str:
    parents = ", ".join(f"{parent} ({relation})" for parent, relation in built.member.parents)
    known = " ".join(f"{key}={value}" for key, value in built.metadata.items())
    return f"{built.ref:28} {built.size_bytes / 1e6:6.1f} MB  from {parents or 'its package'}: {known}"


if __name__ == "__main__":
    main()
