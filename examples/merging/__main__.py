"""Runs the example: ``python -m examples.merging``."""

from __future__ import annotations

import sys

from examples.merging.story import tell_story
from examples.throwaway import run_example

if __name__ == "__main__":
    sys.exit(run_example(tell_story))
