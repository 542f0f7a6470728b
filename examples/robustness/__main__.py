"""Runs the example: ``python -m examples.robustness``."""

from __future__ import annotations

import sys

from examples.robustness.story import tell_story
from examples.throwaway import run_example

if __name__ == "__main__":
    sys.exit(run_example(tell_story))
