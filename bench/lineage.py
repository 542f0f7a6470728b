"""Lineage questions and registrations on random graphs of 1,000 to 100,000 models, directly and through gRPC."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
from bench.figures import Figure, Report
from bench.lineage_graph import RandomLineage, diamonds, load, new_model
from bench.machine import describe_machine
from bench.stack import new_home, running_stack

from mgit.local.state import HomeLayout
from mgit_core.lineage import Direction
from mgit_core.ports.graph import Lineage, TraversalQuery
from mgit_proto.v1 import lineage_pb2 as pb
from mgit_proto.v1 import lineage_pb2_grpc
from mgit_storage.lineage import open_neo4j
from mgit_storage.testing.values import make_tensors

__all__ = ["measure"]

_SEED = 1
_SIZES = (1_000, 10_000, 100_000)
_FEW, _MANY, _BELOW = 79, 79_312, 98_564
# The server compiles what it runs often; a figure of the first calls would be one of its compiler.
_WARM_UP, _REPEATS = 150, 31
_LONG_WARM_UP, _LONG_REPEATS = 5, 7
_TENSORS, _PARENTS = 105, 4
_WRITERS, _EACH = 4, 50
_UP, _DOWN = pb.DIRECTION_ANCESTORS, pb.DIRECTION_DESCENDANTS
_ORDERS = {
    pb.WALK_ORDER_BREADTH_FIRST: "breadth first",
    pb.WALK_ORDER_DEPTH_FIRST: "depth first",
    pb.WALK_ORDER_PARENTS_FIRST: "parents first",
    pb.WALK_ORDER_CHILDREN_FIRST: "children first",
}


@dataclass(slots=True)
class _Bench:
    """What the questions need, and the figures so far."""

    graph: RandomLineage
    lineage: Lineage
    stub: lineage_pb2_grpc.LineageServiceStub
    figures: list[Figure] = field(default_factory=list)
    fresh: itertools.count[int] = field(default_factory=itertools.count)

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

    def note_rate(self, name: str, rate: float, goal: float) -> None:
        """Add a figure whose goal is a lower bound."""
        self.figures.append(
            Figure(name=name, value=rate, unit="/s", goal=f"at least {goal:g} /s", is_reached=rate >= goal)
        )
        print(f"{name}: {rate:.3g} /s", flush=True)


def measure() -> Report:
    """Grow one graph through three sizes and ask at each; the last one answers the large questions."""
    with new_home() as home, running_stack(home / "stack") as state:
        password = HomeLayout(home / "stack").password_file.read_text(encoding="utf-8").strip()
        lineage = open_neo4j(state.neo4j_uri, state.username, password)
        figures = asyncio.run(_measure(lineage, state.address))
    return Report(title="Lineage", machine=describe_machine(), figures=figures)


async def _measure(lineage: Lineage, address: str) -> list[Figure]:
    async with grpc.aio.insecure_channel(address) as channel:
        graph = RandomLineage.grow(_SIZES[-1], _SEED)
        bench = _Bench(graph, lineage, lineage_pb2_grpc.LineageServiceStub(channel))
        few = _nearest(range(_FEW, _SIZES[0]), graph.ancestors, _FEW)
        registered, asked = [], []
        await load(lineage, graph, 0, 100)
        registered.append(await _register(bench, 100))
        begin = 100
        for size in _SIZES:
            start = time.perf_counter()
            await load(lineage, graph, begin, size)
            bench.note(f"loading, models a second, up to {size:,}", _rate(size - begin, start), "/s")
            begin = size
            registered.append(await _register(bench, size))
            asked.append(await _few_ancestors(bench, few, size))
        _note_growth(bench, "registering", registered, 1.3)
        _note_growth(bench, f"{_FEW} ancestors", asked, 1.5)
        await _large_answers(bench)
        await _walks(bench)
        await _diamonds(bench)
        await _writers(bench)
        await lineage.binding.close()
    return bench.figures


def _note_growth(bench: _Bench, what: str, medians: Sequence[float], goal: float) -> None:
    """Compare with the best of the smaller sizes: the first ones are slower while the server compiles itself."""
    name = f"{what}: {_SIZES[-1]:,} models over the best of fewer"
    bench.note(name, medians[-1] / min(medians[:-1]), "times", goal)


async def _few_ancestors(bench: _Bench, number: int, size: int) -> float:
    """Median of a small question through gRPC, in ms; directly too."""
    uid = bench.graph.uid(number)
    count = bench.graph.ancestors(number)
    query = TraversalQuery(uid=uid, direction=Direction.ANCESTORS)
    direct = await _median_ms(lambda: _direct(bench, query, count))
    bench.note(f"{count} ancestors as ids, {size:,} models, without gRPC", direct, "ms")
    rows = await _median_ms(lambda: _ask_in_full(bench, uid, _UP, count))
    bench.note(f"{count} ancestors with names and hops, {size:,} models", rows, "ms", 10)
    through = await _median_ms(lambda: _ask(bench, uid, _UP, count))
    bench.note(f"{count} ancestors as ids, {size:,} models", through, "ms", 10)
    return through


async def _large_answers(bench: _Bench) -> None:
    graph = bench.graph
    high = _nearest(range(80_000, 90_000, 250), graph.ancestors, _MANY)
    low = _nearest(range(0, 400, 10), graph.descendants, _BELOW)
    for number, way, count, seconds, counted_s in (
        (high, _UP, graph.ancestors(high), 0.5, 0.12),
        (low, _DOWN, graph.descendants(low), 0.8, 0.3),
    ):
        uid, what = graph.uid(number), "ancestors" if way == _UP else "descendants"
        ms = await _median_ms(lambda: _ask(bench, uid, way, count), _LONG_REPEATS)  # noqa: B023 - awaited here
        bench.note(f"all {count:,} {what} as ids", ms / 1e3, "s", seconds)
        ms = await _median_ms(lambda: _count(bench, uid, way, count), _LONG_REPEATS)  # noqa: B023 - as above
        bench.note(f"count of {count:,} {what}", ms / 1e3, "s", counted_s)
        ms = await _median_ms(lambda: _ask_in_full(bench, uid, way, 100))  # noqa: B023 - as above
        bench.note(f"first 100 of {count:,} {what}, with names and hops", ms, "ms", 20)


async def _walks(bench: _Bench) -> None:
    """Walks of nearly all models, summaries streamed."""
    count = bench.graph.descendants(0) + 1
    for order, name in _ORDERS.items():
        request = pb.WalkModelsRequest(models=[f"@{bench.graph.uid(0)}"], order=order)
        ms = await _median_ms(lambda: _walk(bench, request, count), _LONG_REPEATS)  # noqa: B023 - awaited here
        bench.note_rate(f"walk of {count:,} models, {name}", count / (ms / 1e3), 20_000)
    first = pb.WalkModelsRequest(models=[f"@{bench.graph.uid(0)}"], limit=100)
    ms = await _median_ms(lambda: _walk(bench, first, 100), _LONG_REPEATS)
    bench.note(f"first 100 models of a walk of {count:,}, breadth first", ms, "ms")


async def _walk(bench: _Bench, request: pb.WalkModelsRequest, count: int) -> None:
    found: set[str] = set()
    steps = 0
    async for part in bench.stub.WalkModels(request):
        found.update([step.model.uid for step in part.steps])
        steps += len(part.steps)
    _check(len(found), count)
    if steps > len(found):
        raise SystemExit(f"A walk of {len(found)} models gave {steps}: some came twice.")


async def _diamonds(bench: _Bench) -> None:
    commits = diamonds(30)
    await bench.lineage.models.commit_batch(commits)
    ms = await _median_ms(lambda: _ask(bench, commits[-1].uid, _UP, 90))
    bench.note("30 stacked diamonds, 90 of 90", ms, "ms", 15)
    for order, name in _ORDERS.items():
        request = pb.WalkModelsRequest(models=[f"@{commits[0].uid}"], order=order)
        ms = await _median_ms(lambda: _walk(bench, request, 91))  # noqa: B023 - awaited here
        bench.note(f"walk of 30 stacked diamonds, {name}, each of 91 once", ms, "ms")


async def _register(bench: _Bench, size: int) -> float:
    """Median time of registering a model with four parents and 105 new tensors, in ms."""
    ms = await _median_ms(lambda: _register_one(bench, size))
    bench.note(f"registering a model: 4 parents, 105 new tensors, {size:,} models", ms, "ms", 40)
    return ms


async def _register_one(bench: _Bench, size: int) -> None:
    number = next(bench.fresh)
    parents = [bench.graph.uid((number * 31 + offset * 7) % min(size, 100)) for offset in range(_PARENTS)]
    tensors = make_tensors(f"registered {size} {number}", _TENSORS)
    await bench.lineage.models.commit(new_model(f"registered-{size}-{number}", parents, tensors))


async def _writers(bench: _Bench) -> None:
    async def write() -> None:
        for _ in range(_EACH):
            await _register_one(bench, _SIZES[-1])

    start = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(_WRITERS)))
    bench.note_rate(f"registering from {_WRITERS} writers", _rate(_WRITERS * _EACH, start), 60)


async def _direct(bench: _Bench, query: TraversalQuery, count: int) -> None:
    found = [len(part) async for part in bench.lineage.traversal.uids(query)]
    _check(sum(found), count)


async def _ask(bench: _Bench, uid: str, way: pb.Direction, count: int) -> None:
    request = pb.ListRelativesRequest(model=f"@{uid}", direction=way, view=pb.TRAVERSAL_VIEW_UIDS)
    found = 0
    async for part in bench.stub.ListRelatives(request):
        found += len(part.uids)
    _check(found, count)


async def _ask_in_full(bench: _Bench, uid: str, way: pb.Direction, count: int) -> None:
    """The first ``count`` relatives with names and hops."""
    request = pb.ListRelativesRequest(
        model=f"@{uid}", direction=way, limit=count, view=pb.TRAVERSAL_VIEW_SUMMARIES
    )
    found = 0
    async for part in bench.stub.ListRelatives(request):
        found += len(part.relatives)
    _check(found, count)


async def _count(bench: _Bench, uid: str, way: pb.Direction, count: int) -> None:
    answer = await bench.stub.CountRelatives(pb.CountRelativesRequest(model=f"@{uid}", direction=way))
    # Models that were registered for the figures descend from the first ones too.
    if answer.count < count:
        _check(answer.count, count)


def _check(found: int, count: int) -> None:
    if found < count:
        raise SystemExit(f"{found} relatives came where {count} are known: the answer is not whole.")


async def _median_ms(action: Callable[[], Awaitable[None]], times: int = _REPEATS) -> float:
    for _ in range(_WARM_UP if times == _REPEATS else _LONG_WARM_UP):
        await action()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        await action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e3


def _rate(count: int, start: float) -> float:
    return count / (time.perf_counter() - start)


def _nearest(numbers: Sequence[int], measure_one: Callable[[int], int], wanted: int) -> int:
    """The model whose relatives are nearest to the number that is wanted."""
    return min(numbers, key=lambda number: abs(measure_one(number) - wanted))


if __name__ == "__main__":
    measure().save(Path("bench/results/lineage.json"))
