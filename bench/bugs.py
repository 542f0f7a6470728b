"""Whom bugs reach: 30 diamonds with a fix, and 100,000 models with 400,000 edges, through gRPC."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
from bench.figures import Figure, Report
from bench.lineage_graph import RandomLineage, diamonds, load
from bench.machine import describe_machine
from bench.stack import new_home, running_stack

from mgit.local.state import HomeLayout
from mgit_core.bugs import Bug, BugSubject, ModelSubject, TensorSubject
from mgit_core.ports.graph import Lineage
from mgit_proto.v1 import audit_pb2 as pb
from mgit_proto.v1 import audit_pb2_grpc
from mgit_storage.lineage import open_neo4j
from mgit_storage.testing.values import make_bug, make_tensors

__all__ = ["measure"]

_SEED = 1
_MODELS = 100_000
_BASE = 50
_FIXED = range(100, 2_000, 100)
# More than walks are begun for; what is behind them is found hop by hop.
_MANY = range(0, 200, 10)
# The server compiles what it runs often; a figure of the first calls would be one of its compiler.
_WARM_UP, _REPEATS = 150, 31
_LONG_WARM_UP, _LONG_REPEATS = 5, 7


@dataclass(slots=True)
class _Bench:
    """What the questions need, and the figures so far."""

    graph: RandomLineage
    lineage: Lineage
    stub: audit_pb2_grpc.AuditServiceStub
    figures: list[Figure] = field(default_factory=list)

    def note(self, name: str, value: float, unit: str, goal: float | None = None) -> None:
        """Add a figure whose goal, if it has one, is an upper bound."""
        self.figures.append(
            Figure(
                name=name,
                value=value,
                unit=unit,
                goal="" if goal is None else f"at most {goal:g} {unit}",
                is_reached=None if goal is None else value <= goal,
            )
        )
        print(f"{name}: {value:.3g} {unit}", flush=True)


def measure() -> Report:
    """Report bugs on one large graph, and ask whom they reach; the answers are checked against the edges."""
    with new_home() as home, running_stack(home / "stack") as state:
        password = HomeLayout(home / "stack").password_file.read_text(encoding="utf-8").strip()
        lineage = open_neo4j(state.neo4j_uri, state.username, password)
        figures = asyncio.run(_measure(lineage, state.address))
    return Report(title="Bugs", machine=describe_machine(), figures=figures)


async def _measure(lineage: Lineage, address: str) -> list[Figure]:
    async with grpc.aio.insecure_channel(address) as channel:
        graph = RandomLineage.grow(_MODELS, _SEED)
        bench = _Bench(graph, lineage, audit_pb2_grpc.AuditServiceStub(channel))
        await _diamonds(bench)
        await load(lineage, graph, 0, _MODELS)
        await _large_answers(bench)
        await lineage.binding.close()
    return bench.figures


async def _diamonds(bench: _Bench) -> None:
    """One side of the first diamond is fixed, so that 90 of 91 models are affected."""
    commits = diamonds(30)
    await bench.lineage.models.commit_batch(commits)
    bug = await _report(bench, [ModelSubject(commits[0].uid)], [commits[1].uid])
    ms = await _median_ms(lambda: _list(bench, bug, 90))
    bench.note("affected on 30 diamonds with a fix: 90 of 91, with witnesses", ms, "ms", 50)
    ms = await _median_ms(lambda: _count(bench, bug, 90))
    bench.note("the same, counted", ms, "ms", 50)


async def _large_answers(bench: _Bench) -> None:
    graph = bench.graph
    one = await _report(bench, [ModelSubject(graph.uid(_BASE))])
    fixed = await _report(bench, [ModelSubject(graph.uid(_BASE))], map(graph.uid, _FIXED))
    tensor = await _report(bench, [TensorSubject(make_tensors("shared 0", 1)[0].digest)])
    many = await _report(bench, [ModelSubject(graph.uid(number)) for number in _MANY])
    for what, bug, starts, stopped in (
        ("a model", one, {_BASE}, ()),
        (f"a model, {len(_FIXED)} fixes", fixed, {_BASE}, _FIXED),
        ("a tensor that 100 models hold", tensor, range(100), ()),
    ):
        count = _reached(graph, starts, stopped)
        ms = await _median_ms(lambda: _count(bench, bug, count), _LONG_REPEATS)  # noqa: B023 - awaited here
        bench.note(f"count of {count:,} affected by a bug of {what}", ms / 1e3, "s", 0.5)
    count = _reached(graph, _MANY)
    ms = await _median_ms(lambda: _count(bench, many, count), _LONG_REPEATS)
    bench.note(f"count of {count:,} affected by a bug of {len(_MANY)} models", ms / 1e3, "s")
    count = _reached(graph, {_BASE}, _FIXED)
    ms = await _median_ms(lambda: _list(bench, fixed, count), _LONG_REPEATS)
    bench.note(f"all {count:,} affected, with names, tags and witnesses", ms / 1e3, "s")


def _reached(graph: RandomLineage, starts: Collection[int], stopped: Collection[int] = ()) -> int:
    """How many models the bug reaches; parents have lower numbers than their children."""
    reached: set[int] = set()
    for number, parents in enumerate(graph.parents):
        if number not in stopped and (number in starts or not reached.isdisjoint(parents)):
            reached.add(number)
    return len(reached)


async def _report(bench: _Bench, subjects: list[BugSubject], fixed: Iterable[str] = ()) -> Bug:
    bug = await bench.lineage.bugs.report(make_bug("measured", *subjects))
    for uid in fixed:
        bug = await bench.lineage.bugs.fix(bug.id, uid, force=True)
    return bug


async def _count(bench: _Bench, bug: Bug, count: int) -> None:
    answer = await bench.stub.CountAffected(pb.CountAffectedRequest(id=bug.id))
    _check(answer.count, count)


async def _list(bench: _Bench, bug: Bug, count: int) -> None:
    found = 0
    async for part in bench.stub.ListAffected(pb.ListAffectedRequest(id=bug.id)):
        found += len(part.affected)
    _check(found, count)


def _check(found: int, count: int) -> None:
    if found != count:
        raise SystemExit(f"{found} affected models came where {count} are: the answer is wrong.")


async def _median_ms(action: Callable[[], Awaitable[None]], times: int = _REPEATS) -> float:
    for _ in range(_WARM_UP if times == _REPEATS else _LONG_WARM_UP):
        await action()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        await action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e3


if __name__ == "__main__":
    measure().save(Path("bench/results/bugs.json"))
