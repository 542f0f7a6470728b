from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from mgit_service.algebra import keep_algebra_in_one_thread
keep_algebra_in_one_thread()
assert "numpy" not in sys.modules
print(os.environ["OPENBLAS_NUM_THREADS"])
"""


@pytest.mark.parametrize(("said", "kept"), [(None, "1"), ("3", "3")])
def test_algebra_takes_one_thread_unless_the_user_says_otherwise(said: str | None, kept: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    if said is not None:
        environment["OPENBLAS_NUM_THREADS"] = said
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == kept
