"""Runs the example: ``python -m examples.half_precision``."""

from __future__ import annotations

import sys

from examples.half_precision.story import tell_story
from examples.throwaway import run_example

if __name__ == "__main__":
    sys.exit(run_example(tell_story))
