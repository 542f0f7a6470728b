"""Five siblings with one frozen encoder in memory: together, each alone, and the encoder with its heads."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.stack import new_home, running_stack
from bench.weights import write_changed_encoder
from safetensors.numpy import load_file

import mgit

__all__ = ["measure"]

_SIBLINGS = 5
_HEAD = (3, 384)
# The allocator and the interpreter keep some pages of their own.
_ROOM = 1.05


def measure() -> Report:
    """Memory that loading adds, after every byte was read."""
    with new_home() as home, running_stack(home / "stack") as state, mgit.connect(state.address) as repo:
        names, encoder_bytes, head_bytes = _add_siblings(repo, home)
        for _ in range(2):  # The first round pays for imports and for the connection's buffers.
            together = _growth(lambda: repo.load_many(names, progress=None))
            as_torch = _growth(lambda: repo.load_many(names, framework="torch", progress=None))
            alone = _growth(lambda: [repo.get(name).load(progress=None) for name in names])
    wanted = encoder_bytes + _SIBLINGS * head_bytes
    figures = [
        Figure(name="one encoder and all heads, in bytes", value=wanted / 1e6, unit="MB"),
        _figure("load_many, numpy", together, wanted),
        _figure("load_many, torch", as_torch, wanted),
        Figure(name="each loaded alone", value=alone / 1e6, unit="MB"),
        Figure(name="alone / together", value=alone / together, unit="times"),
    ]
    return Report(
        title=f"{_SIBLINGS} siblings with a frozen encoder in memory",
        machine=describe_machine(),
        figures=figures,
    )


def _add_siblings(repo: mgit.Repository, home: Path) -> tuple[list[str], int, int]:
    path = home / "encoder.safetensors"
    write_changed_encoder(path, seed=0)
    encoder = load_file(path)
    base = repo.add("encoder", encoder, progress=None)
    names = [f"task-{task}" for task in range(_SIBLINGS)]
    for task, name in enumerate(names):
        head = np.random.default_rng(task).standard_normal(_HEAD).astype(np.float32)
        repo.add(name, {**encoder, "head.weight": head}, parents=[mgit.finetuned(base)], progress=None)
    return names, base.size_bytes, head.nbytes


def _growth(load: Callable[[], Iterable[Mapping[str, Any]]]) -> int:
    gc.collect()
    before = _resident_bytes()
    loaded = load()
    for model in loaded:
        for tensor in model.values():
            float(tensor.sum())
    after = _resident_bytes()
    del loaded, model, tensor
    return after - before


def _resident_bytes() -> int:
    """Memory of this process, each page once however often it is mapped: files on disk do not count."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    sizes = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
    return sum(int(sizes[key].split()[0]) * 1024 for key in ("Pss_Anon", "Pss_Shmem"))


def _figure(name: str, value: int, wanted: int) -> Figure:
    return Figure(
        name=name,
        value=value / 1e6,
        unit="MB",
        goal=f"memory of one encoder plus heads, within {_ROOM - 1:.0%}",
        is_reached=value <= wanted * _ROOM,
    )
