"""Several processes write and read one store at once, while one of them repacks it and merges its indexes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mgit_core.digest import DigestAlgorithm
from mgit_storage.store import open_store

WRITERS = 2
READERS = 2
SEALS = 90

# A digest goes into the log, in one write, only after the seal; what a reader finds there was sealed before
# it asks. The end of a writer is a line of its own.
_WRITE = """
import os, sys
from pathlib import Path
from mgit_core.digest import DigestAlgorithm
from mgit_storage.store import open_store
folder, log, number, seals = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = open_store(folder, DigestAlgorithm.BLAKE3)
descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
mine = {}
held = lambda: None
for seal in range(seals):
    with store.chunks.open_writer() as writer:
        content = f"{number} {seal}".encode() * 20
        digest = writer.write(content, width=1)
        mine[digest] = content
    os.write(descriptor, f"{digest.hex()}\\n".encode())
    if number == 0 and seal % 20 == 19:  # It alone is the one that holds the lease.
        with store.chunks.open_writer(rewrite=True) as writer:
            for content in mine.values():
                writer.write(content, width=1)
        packs = store.chunks.maintenance.packs()
        copies = [copy for part in store.chunks.maintenance.copies(list(mine)) for copy in part]
        older = [copy for copy in copies if not packs[copy.pack].is_dense]
        assert len(older) == 20, len(older)
        store.chunks.maintenance.drop(older, held)
        store.chunks.maintenance.merge_indexes(held)
os.write(descriptor, b"end\\n")
"""
_READ = """
import sys
from pathlib import Path
from mgit_core.digest import DigestAlgorithm
from mgit_storage.store import open_store
folder, log, writers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = open_store(folder, DigestAlgorithm.BLAKE3)
ends = read = asked = 0
with open(log) as lines:
    while ends < writers:
        fresh = []
        for line in lines.read().splitlines():
            if line == "end":
                ends += 1
            else:
                fresh.append(bytes.fromhex(line))
        if fresh:
            asked += 1
            missing = store.chunks.find_missing(fresh)
            assert not missing, (asked, [digest.hex() for digest in missing])
            read += sum(1 for _ in store.chunks.read_many(fresh))
        else:
            store.chunks.refresh()
print(read)
"""


@pytest.mark.slow
def test_no_chunk_is_called_missing_that_was_sealed_before_the_question(tmp_path: Path) -> None:
    folder, log = tmp_path / "store", tmp_path / "sealed.txt"
    log.touch()
    commands = [[_WRITE, str(folder), str(log), str(number), str(SEALS)] for number in range(WRITERS)] + [
        [_READ, str(folder), str(log), str(WRITERS)]
    ] * READERS
    running = [
        subprocess.Popen(
            [sys.executable, "-c", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    try:
        ended = [process.communicate(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [error for _, error in ended if error] == []
    assert [int(output) for output, _ in ended[WRITERS:]] == [WRITERS * SEALS] * READERS
    store = open_store(folder, DigestAlgorithm.BLAKE3)
    digests = [bytes.fromhex(line) for line in log.read_text().splitlines() if line != "end"]
    assert store.chunks.find_missing(digests) == []
    store.chunks.maintenance.merge_indexes(lambda: None)
    assert len(store.objects.list("indexes")) <= 64


@pytest.mark.slow
def test_two_processes_that_make_a_store_at_once_make_one(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mgit_core.digest import DigestAlgorithm; "
        "from mgit_storage.store import open_store; "
        "print(open_store(Path(sys.argv[1]), DigestAlgorithm(sys.argv[2])).id)"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "store"), algorithm],
            stdout=subprocess.PIPE,
            text=True,
        )
        for algorithm in ("blake3", "sha256", "blake3")
    ]
    ids = {process.communicate(timeout=60)[0] for process in running}
    assert len(ids) == 1
    assert ids == {f"{open_store(tmp_path / 'store', DigestAlgorithm.SHA256).id}\n"}
