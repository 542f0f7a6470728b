"""Push of a fine-tune to a side that has its base: bytes at the socket beside the bytes that it takes in the store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from unittest import mock

import numpy as np
from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.stack import new_home, running_stack
from bench.weights import encoder_file
from bench.wire import Wire, counting_wire

import mgit
from mgit_core.safetensors import parse_header

__all__ = ["measure"]

_GOAL = 1.1
_STEP = 1e-4  # About what a short fine-tune moves a weight by.
_LAST_LAYER = "encoder.layer.5."


@dataclass(frozen=True, slots=True)
class _Pushed:
    """One push.

    Attributes:
        wire_bytes: Bytes at the socket, both ways.
        stored_bytes: Bytes of the chunks that only this model uses, where it came from.
        raw_bytes: Bytes of its tensors.
        seconds: How long it took.
    """

    wire_bytes: int
    stored_bytes: int
    raw_bytes: int
    seconds: float


def measure() -> Report:
    """The encoder, trained a little as a whole and in its last layer, as it was added and after a repack."""
    base = _encoder()
    with _two_stacks() as (repo, wire):
        repo.add("base", base, progress=None)
        repo.push("base", progress=None)
        pushed = {
            "fine-tune of all weights": _push_new(repo, wire, "all", _trained(base, 1, "")),
            "fine-tune of the last layer": _push_new(repo, wire, "last", _trained(base, 2, _LAST_LAYER)),
        }
        repo.add("dense", _trained(base, 3, ""), parents=[mgit.finetuned("base")], progress=None)
        repo.repack(progress=None)
        pushed["fine-tune of all weights, repacked before"] = _push(repo, wire, "dense")
        wire.reset()
        repo.push("dense", progress=None)
        again = wire.total_bytes
    figures = [_ratio(name, each) for name, each in pushed.items()]
    figures += [
        Figure(
            name=f"{name}: beside its file",
            value=each.wire_bytes / each.raw_bytes,
            unit="of its tensors' bytes",
        )
        for name, each in pushed.items()
    ]
    figures.append(Figure(name="a push of what is there", value=again / 1e3, unit="kB at the socket"))
    return Report(title="Models between services", machine=describe_machine(), figures=figures)


def _ratio(name: str, pushed: _Pushed) -> Figure:
    ratio = pushed.wire_bytes / pushed.stored_bytes
    return Figure(
        name=name,
        value=ratio,
        unit="bytes on the wire per stored byte",
        goal=f"at most {_GOAL}",
        is_reached=ratio <= _GOAL,
        note=f"{pushed.wire_bytes / 1e6:.2f} MB on the wire, {pushed.stored_bytes / 1e6:.2f} MB stored, "
        f"{pushed.raw_bytes / 1e6:.1f} MB of tensors, {pushed.seconds:.1f} s",
    )


@contextlib.contextmanager
def _two_stacks() -> Iterator[tuple[mgit.Repository, Wire]]:
    """A repository with a remote, and what counts the bytes between."""
    with (
        new_home() as home,
        new_home() as other_home,
        mock.patch.dict(os.environ, {"MGIT_HOME": str(home)}),
        running_stack(home) as here,
        running_stack(other_home) as there,
        counting_wire(there.address) as wire,
        mgit.connect(here.address) as repo,
    ):
        repo.remotes.add("origin", wire.address)
        yield repo, wire


def _push_new(repo: mgit.Repository, wire: Wire, name: str, tensors: dict[str, np.ndarray]) -> _Pushed:
    repo.add(name, tensors, parents=[mgit.finetuned("base")], progress=None)
    return _push(repo, wire, name)


def _push(repo: mgit.Repository, wire: Wire, name: str) -> _Pushed:
    statistics = repo.model_statistics(name)
    wire.reset()
    start = perf_counter()
    repo.push(name, progress=None)
    return _Pushed(
        wire_bytes=wire.total_bytes,
        stored_bytes=statistics.unique_bytes,
        raw_bytes=statistics.logical_bytes,
        seconds=perf_counter() - start,
    )


def _encoder() -> dict[str, np.ndarray]:
    content = Path(encoder_file()).read_bytes()
    header = parse_header(content, len(content))
    return {
        tensor.name: np.frombuffer(content[tensor.start : tensor.stop], tensor.spec.dtype).reshape(
            tensor.spec.shape
        )
        for tensor in header.tensors
    }


def _trained(base: dict[str, np.ndarray], seed: int, part: str) -> dict[str, np.ndarray]:
    """The base with every float of the parameters that have ``part`` in their names moved a little."""
    random = np.random.default_rng(seed)
    return {
        name: values + np.float32(_STEP) * random.standard_normal(values.shape, np.float32)
        if values.dtype == np.float32 and part in name
        else values
        for name, values in base.items()
    }
