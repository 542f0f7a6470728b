"""Collection, checking and repacking: what their time follows, and what they take of memory.

Two stores hold as many models, tensors and chunks; in one a chunk has 4 KiB, in the other 1 MiB. Most models are small
changes of the first, so that they are stored as differences.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.memory import anonymous_mb
from bench.stack import new_home, running_stack

import mgit
from mgit.local.state import StackState

__all__ = ["measure"]

_MODELS = 20
_TENSORS = 32
_CHUNK_BYTES = {"4 KiB": 4 << 10, "1 MiB": 1 << 20}
_TIMES = 5
_EVERY_S = 0.02
_FLAT = 1.3


def measure() -> Report:
    """Time each work on both stores, the service's memory watched."""
    figures: list[Figure] = []
    seconds: dict[str, float] = {}
    for title, chunk_bytes in _CHUNK_BYTES.items():
        with new_home() as home, running_stack(home) as state, mgit.connect(state.address) as repo:
            raw_bytes = _add_models(repo, chunk_bytes)
            seconds[title] = _best(partial(repo.gc, grace=0, progress=None))
            figures.append(_collection(title, raw_bytes, seconds[title]))
            if chunk_bytes == max(_CHUNK_BYTES.values()):
                figures += [*_checking(repo, raw_bytes), *_memory(repo, state)]
    small, large = seconds.values()
    figures.append(
        Figure(
            name=f"gc: chunks of {' over those of '.join(reversed(_CHUNK_BYTES))}",
            value=large / small,
            unit="times",
            goal=f"at most {_FLAT} times",
            is_reached=large <= _FLAT * small,
        )
    )
    return Report(title="Maintenance", machine=describe_machine(), figures=figures)


def _add_models(repo: mgit.Repository, chunk_bytes: int) -> int:
    """A base and models made from it; their raw bytes."""
    rng = np.random.default_rng(5)
    items = chunk_bytes // 4
    base = {f"layer{n}": rng.normal(0, 0.02, items).astype(np.float32) for n in range(_TENSORS)}
    first = repo.add("base", base, progress=None)
    for number in range(1, _MODELS):
        near = {name: part + rng.normal(0, 1e-4, items).astype(np.float32) for name, part in base.items()}
        repo.add(f"near{number}", near, parents=[mgit.finetuned(first)], progress=None)
    return _MODELS * _TENSORS * chunk_bytes


def _best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of several times; the first pays for what is read anew."""
    taken = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _collection(title: str, raw_bytes: int, seconds: float) -> Figure:
    what = f"gc that finds nothing to delete: {_MODELS} models, {_MODELS * _TENSORS} chunks of {title}"
    return Figure(name=f"{what} ({raw_bytes / 1e6:,.0f} MB)", value=1e3 * seconds, unit="ms")


def _checking(repo: mgit.Repository, raw_bytes: int) -> list[Figure]:
    """Checking beside reading: both decode every chunk and compare it with its digest."""
    check = _best(partial(repo.fsck, progress=None))
    read = _best(lambda: [model.load(progress=None) for model in repo.models()])
    return [
        Figure(name="every model loaded through the SDK", value=raw_bytes / read / 1e9, unit="GB/s"),
        Figure(
            name="fsck, raw bytes",
            value=raw_bytes / check / 1e9,
            unit="GB/s",
            goal="as fast as reading them all",
            is_reached=check <= read,
            ceiling="every model loaded through the SDK",
            ratio=read / check,
        ),
    ]


def _memory(repo: mgit.Repository, state: StackState) -> list[Figure]:
    """What each work adds to the service's anonymous memory at rest."""
    pid = state.service.pid if state.service else 0
    works: dict[str, Callable[[], object]] = {
        "fsck": partial(repo.fsck, progress=None),
        "repack": partial(repo.repack, progress=None),
        "gc behind the repack": partial(repo.gc, grace=0, progress=None),
    }
    return [
        Figure(name=f"peak RssAnon of the service: {name}", value=_peak_mb(pid, work), unit="MB")
        for name, work in works.items()
    ]


def _peak_mb(pid: int, work: Callable[[], object]) -> float:
    peak, is_over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_over.wait(_EVERY_S):
            peak = max(peak, anonymous_mb(pid))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        work()
    finally:
        is_over.set()
        watching.join()
    return peak
