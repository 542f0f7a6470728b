"""Runs the example: ``python -m examples.federated``."""

from __future__ import annotations

import sys

from examples.federated.story import tell_story
from examples.throwaway import run_example

if __name__ == "__main__":
    sys.exit(run_example(tell_story))
