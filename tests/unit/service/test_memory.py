from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
from mgit_service.memory import keep_freed_memory
is_kept = keep_freed_memory()
for _ in range(3):
    bytearray(8 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    bytearray(8 << 20)
print(is_kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_a_large_block_is_not_mapped_anew_each_time() -> None:
    """100 blocks of 8 MiB are 204,800 pages; kept memory is faulted in once, before the count begins."""
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    is_kept, faults = answer.stdout.split()
    assert is_kept == "False" or int(faults) < 4096
