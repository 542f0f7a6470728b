"""Generators begin alike, that of torch too if it is imported afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from mgit.creating.seeding import seed_generators
if sys.argv[1] == "before":
    import torch
seed_generators(int(sys.argv[2]))
import random
import numpy as np
import torch
print(random.random(), np.random.rand(), torch.rand(1).item(), len(sys.meta_path))
print(torch.__spec__.loader.get_filename("torch") == torch.__file__)
"""


@pytest.mark.slow
def test_torch_begins_alike_whenever_it_is_imported() -> None:
    drawn = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, when, seed], capture_output=True, text=True, check=True
        ).stdout
        for when, seed in (("before", "5"), ("after", "5"), ("after", "6"))
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0].endswith("True\n")
    assert drawn[1].split()[:3] != drawn[2].split()[:3]
