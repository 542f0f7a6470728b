"""Opening a store of three million chunks: how long it takes, and what its index holds in memory.

Only the index objects are made, not the packs: opening a store reads no pack. Each part is measured in a
process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench.figures import Figure, Report, table_lines
from bench.machine import describe_machine

from mgit_core.digest import DigestAlgorithm
from mgit_storage.chunks.segment import Segment, index_key
from mgit_storage.objects import LocalObjectStore
from mgit_storage.store import open_store

__all__ = ["measure"]

_PACKS = 10_000
_CHUNKS_A_PACK = 300
_ASKED = 10_000
_GOAL_S = 3
_GOAL_MB = 200
# As merging leaves them: each object about as large as all smaller ones together, and some that wait.
_GROWN = (5_000, 2_500, 1_250, 600, 300, 150, 75, 35, *([1] * 90))
# As they would be if every process had been killed before it merged.
_NEVER_MERGED = (1,) * _PACKS


def measure() -> Report:
    """The store as it grows, and the worst that crashes can make of it."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="mgit-bench-") as folder:
        for name, packs in (("as merged while it grew", _GROWN), ("never merged", _NEVER_MERGED)):
            root = Path(folder) / name.replace(" ", "-")
            write_indexes(root, packs)
            figures += _figures(name, _probe(root), has_goal=packs is _GROWN)
    return Report(
        title=f"A store of {_PACKS * _CHUNKS_A_PACK:,} chunks in {_PACKS:,} packs",
        machine=describe_machine(),
        figures=figures,
    )


def write_indexes(root: Path, packs: Sequence[int]) -> None:
    """Make a store in ``root`` whose index objects name so many packs each; chunks have random digests."""
    objects = open_store(root, DigestAlgorithm.BLAKE3).objects
    random = np.random.default_rng(1)
    for count in packs:
        objects.put(index_key(uuid.uuid4().hex), _table(random, count).to_bytes())


def _table(random: np.random.Generator, packs: int) -> Segment:
    count = packs * _CHUNKS_A_PACK
    digests = random.integers(0, 2**64, (count, 4), np.uint64)
    digests = digests[np.argsort(digests[:, 0])]
    places = np.zeros(count, [("offset", "<u8"), ("length", "<u4"), ("pack", "<u4")])
    places["offset"] = np.arange(count) % _CHUNKS_A_PACK * 900_000
    places["length"] = 900_000
    places["pack"] = np.arange(count) % packs
    return Segment(
        packs=tuple(uuid.uuid4().hex for _ in range(packs)),
        replaced=(),
        prefixes=digests[:, 0].copy(),
        rests=np.ascontiguousarray(digests[:, 1:]).view(np.uint8),
        places=places,
    )


def _probe(root: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.storage_index", "probe", str(root)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def probe(root: Path) -> dict[str, float]:
    """Open the store and ask, and say what that took; memory in MB above what Python took before."""
    LocalObjectStore(root)
    before = _memory()
    start = time.perf_counter()
    store = open_store(root, DigestAlgorithm.BLAKE3)
    opened_s = time.perf_counter() - start
    after = _memory()
    asked = [uuid.uuid4().bytes * 2 for _ in range(_ASKED)]
    start = time.perf_counter()
    store.chunks.find_missing(asked)
    asked_s = time.perf_counter() - start
    start = time.perf_counter()
    with store.chunks.open_writer() as writer:
        writer.write(b"content", width=1)
    sealed_s = time.perf_counter() - start
    start = time.perf_counter()
    store.chunks.maintenance.merge_indexes(lambda: None)
    merged_s = time.perf_counter() - start
    return {
        "open_s": opened_s,
        "ask_s": asked_s,
        "seal_s": sealed_s,
        "merge_s": merged_s,
        "anonymous_mb": after["RssAnon"] - before["RssAnon"],
        "mapped_mb": after["RssFile"] - before["RssFile"],
    }


def _memory() -> dict[str, float]:
    rows = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = (row.split() for row in rows if row.startswith(("RssAnon", "RssFile")))
    return {field[0].removesuffix(":"): int(field[1]) / 1e3 for field in fields}


def _figures(name: str, found: dict[str, float], *, has_goal: bool) -> list[Figure]:
    resident_mb = found["anonymous_mb"] + found["mapped_mb"]
    return [
        Figure(
            name=f"{name}: open",
            value=found["open_s"],
            unit="s",
            goal=f"at most {_GOAL_S} s",
            is_reached=found["open_s"] <= _GOAL_S,
        ),
        Figure(
            name=f"{name}: resident memory of the index",
            value=resident_mb,
            unit="MB",
            goal=f"at most {_GOAL_MB} MB" if has_goal else "",
            is_reached=resident_mb <= _GOAL_MB if has_goal else None,
            note=f"{found['anonymous_mb']:.0f} MB anonymous, {found['mapped_mb']:.0f} MB mapped file",
        ),
        Figure(name=f"{name}: {_ASKED:,} unknown digests asked for", value=found["ask_s"] * 1e3, unit="ms"),
        Figure(name=f"{name}: one chunk written and sealed", value=found["seal_s"] * 1e3, unit="ms"),
        Figure(name=f"{name}: indexes merged", value=found["merge_s"] * 1e3, unit="ms"),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["probe"]:
        print(json.dumps(probe(Path(sys.argv[2]))))
    else:
        report = measure()
        if len(sys.argv) > 1:
            report.save(Path(sys.argv[1]))
        print("\n".join(table_lines(report)))
