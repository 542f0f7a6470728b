from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.faulty_binding import STORE_ID, FaultyBinding, FaultyStore, make_watch

from mgit_core.errors import (
    DeadlineExceededError,
    ErrorReason,
    FailedPreconditionError,
    MGitError,
    UnauthenticatedError,
    UnavailableError,
)
from mgit_service.health import ServiceState, Watch

DOWN = UnavailableError(ErrorReason.NEO4J_UNAVAILABLE, "Neo4j cannot be reached.")
GONE = UnavailableError(ErrorReason.STORE_UNAVAILABLE, "The store is gone.")
MISMATCH = FailedPreconditionError(ErrorReason.STORE_MISMATCH, "They do not belong together.", store_id="x")
WRONG = UnauthenticatedError(ErrorReason.NEO4J_CREDENTIALS_WRONG, "Neo4j refused the password.")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def test_the_first_look_binds_and_tells_of_the_server(threads: ThreadPoolExecutor) -> None:
    binding = FaultyBinding()
    state = await make_watch(binding, threads).look()
    assert state == ServiceState(
        problem=None, store_id=STORE_ID, epoch=7, neo4j_version="5.26.0", neo4j_edition="community"
    )
    assert (binding.calls, binding.given_empty) == (["bind", "epoch", "server"], True)


async def test_a_further_look_asks_one_thing_only(threads: ThreadPoolExecutor) -> None:
    binding = FaultyBinding()
    watch = make_watch(binding, threads)
    await watch.look()
    binding.calls.clear()
    await watch.look()
    assert binding.calls == ["epoch"]


async def test_a_graph_that_is_down_at_the_start_is_bound_when_it_comes(threads: ThreadPoolExecutor) -> None:
    binding = FaultyBinding(DOWN)
    watch = make_watch(binding, threads)
    state = await watch.look()
    assert (state.problem, state.store_id) == (DOWN, "")
    binding.failure = None
    assert (await watch.look()).is_healthy
    assert binding.calls == ["bind", "bind", "epoch", "server"]


async def test_a_graph_that_goes_and_comes_back_is_not_bound_again(threads: ThreadPoolExecutor) -> None:
    binding = FaultyBinding()
    watch = make_watch(binding, threads)
    await watch.look()
    binding.failure = DOWN
    state = await watch.look()
    assert (state.is_healthy, state.store_id, state.neo4j_version) == (False, STORE_ID, "")
    binding.failure = None
    binding.calls.clear()
    assert (await watch.look()).neo4j_version == "5.26.0"
    assert binding.calls == ["epoch", "server"]


async def test_a_graph_that_was_emptied_is_bound_again(threads: ThreadPoolExecutor) -> None:
    binding = FaultyBinding()
    watch = make_watch(binding, threads)
    await watch.look()
    binding.failure = MISMATCH
    assert (await watch.look()).store_id == ""
    binding.failure = None
    binding.calls.clear()
    await watch.look()
    assert binding.calls[0] == "bind"


async def test_a_store_that_is_gone_is_told_before_the_graph_is_asked(threads: ThreadPoolExecutor) -> None:
    binding, store = FaultyBinding(), FaultyStore()
    watch = make_watch(binding, threads, store)
    store.failure = GONE
    assert (await watch.look()).problem is GONE
    assert binding.calls == []
    store.failure = None
    assert (await watch.look()).is_healthy


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), KeyError("x")])
async def test_a_bug_does_not_end_the_watch_and_is_not_shown(
    threads: ThreadPoolExecutor, failure: Exception
) -> None:
    binding = FaultyBinding(failure)
    watch = make_watch(binding, threads)
    problem = (await watch.look()).problem
    assert problem is not None
    assert (problem.reason, "bug" in problem.message) == (ErrorReason.INTERNAL, False)
    binding.failure = None
    assert (await watch.look()).is_healthy


async def test_a_graph_that_does_not_answer_in_time_counts_as_down(threads: ThreadPoolExecutor) -> None:
    problem = (await make_watch(FaultyBinding(TimeoutError()), threads).look()).problem
    assert problem is not None
    assert problem.reason is ErrorReason.NEO4J_UNAVAILABLE


async def test_one_slow_look_is_forgiven_and_a_second_is_not(threads: ThreadPoolExecutor) -> None:
    binding = FaultyBinding()
    watch = make_watch(binding, threads)
    await watch.look()
    binding.failure = TimeoutError()
    assert [(await watch.look()).is_healthy for _ in range(3)] == [True, False, False]
    binding.failure = None
    assert (await watch.look()).is_healthy
    binding.failure = DeadlineExceededError(ErrorReason.DEADLINE_EXCEEDED, "It took too long.")
    assert (await watch.look()).is_healthy


@pytest.mark.parametrize(
    ("problem", "kind", "reason"),
    [
        (DOWN, UnavailableError, ErrorReason.NEO4J_UNAVAILABLE),
        (MISMATCH, FailedPreconditionError, ErrorReason.STORE_MISMATCH),
        # The caller's own credentials are right, so it must not hear UNAUTHENTICATED.
        (WRONG, UnavailableError, ErrorReason.NEO4J_UNAVAILABLE),
    ],
)
async def test_calls_hear_of_the_problem(
    threads: ThreadPoolExecutor, problem: MGitError, kind: type[MGitError], reason: ErrorReason
) -> None:
    watch = make_watch(FaultyBinding(problem), threads)
    await watch.look()
    with pytest.raises(kind) as caught:
        await watch.require_healthy()
    assert (type(caught.value), caught.value.reason) == (kind, reason)
    assert caught.value is not problem


async def test_a_call_waits_for_the_first_look(threads: ThreadPoolExecutor) -> None:
    watch = make_watch(FaultyBinding(), threads)
    waiting = asyncio.create_task(watch.require_healthy())
    await asyncio.sleep(0)  # Lets the task run up to its wait.
    assert not waiting.done()
    await watch.look()
    await waiting


async def test_the_watch_looks_rarely_at_health_and_often_at_trouble(threads: ThreadPoolExecutor) -> None:
    binding = FaultyBinding()
    pauses: list[float] = []
    heard: list[ServiceState] = []
    failures: list[Exception | None] = [DOWN, WRONG, None]

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if not failures:
            raise asyncio.CancelledError
        binding.failure = failures.pop(0)

    async def tell(state: ServiceState) -> None:
        heard.append(state)

    watch = Watch(store=FaultyStore().watched(), binding=binding, threads=threads, pause=pause)
    with pytest.raises(asyncio.CancelledError):
        await watch.run(tell)
    assert [state.problem for state in heard] == [None, DOWN, WRONG, None]
    assert pauses == [2.0, 0.5, 6.0, 2.0]


async def test_a_call_that_met_trouble_makes_the_watch_look_at_once(threads: ThreadPoolExecutor) -> None:
    """Without the call the second look would come after two seconds."""
    looks = asyncio.Queue[ServiceState]()
    watch = make_watch(FaultyBinding(), threads)
    running = asyncio.create_task(watch.run(looks.put))
    await looks.get()
    watch.look_soon()
    async with asyncio.timeout(1.5):
        await looks.get()
    running.cancel()
