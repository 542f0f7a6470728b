"""Repack through generated stubs and the SDK, over real services: one, and two on one store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from tests.neo4j_server import TestServer, empty_graph
from tests.running_service import RunningService, Stubs, run_service, wait_until
from tests.uploads import link, upload

import mgit
from mgit_proto.v1 import lineage_pb2, maintenance_pb2, parameters_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

CALL_TIMEOUT_S = 120
SHAPE = (400, 700)
Tensors = Mapping[str, npt.NDArray[np.float32]]


def apparent_size(folder: Path) -> int:
    """What ``du --apparent-size --bytes`` says of a folder."""
    return sum(
        path.lstat().st_size
        for root, _, names in os.walk(folder)
        for path in (Path(root), *(Path(root) / name for name in names))
    )


def fresh(seed: int) -> dict[str, npt.NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    return {f"layer.{at}": generator.standard_normal(SHAPE).astype(np.float32) for at in range(3)}


def tuned(parent: Tensors, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    noise = fresh(seed)
    return {key: values + np.float32(1e-4) * noise[key] for key, values in parent.items()}


def add(stubs: Stubs, name: str, tensors: Tensors, parent: str = "") -> None:
    header = parameters_pb2.ModelHeader(name=name, parents=[link(parent)] if parent else [])
    upload(stubs, header, tensors)


def repack(stubs: Stubs, **request: int) -> maintenance_pb2.RepackResult:
    *_, last = stubs.maintenance.Repack(maintenance_pb2.RepackRequest(**request), timeout=CALL_TIMEOUT_S)
    return last.result


def statistics(stubs: Stubs) -> maintenance_pb2.GetStatisticsResponse:
    return stubs.maintenance.GetStatistics(maintenance_pb2.GetStatisticsRequest(), timeout=CALL_TIMEOUT_S)


def model_statistics(stubs: Stubs, model: str) -> maintenance_pb2.GetModelStatisticsResponse:
    request = maintenance_pb2.GetModelStatisticsRequest(model=model)
    [found] = stubs.maintenance.GetModelStatistics(request, timeout=CALL_TIMEOUT_S)
    return found


def check(repo: mgit.Repository, name: str, tensors: Tensors) -> None:
    loaded = repo.get(name).load()
    assert all(loaded[key].tobytes() == values.tobytes() for key, values in tensors.items())


def check_sums(stubs: Stubs, store: Path) -> maintenance_pb2.GetStatisticsResponse:
    """The parts make up the whole, and that is what lies in the folder."""
    found = statistics(stubs)
    parts = found.pack_bytes + found.index_bytes + found.manifest_bytes + found.other_bytes
    assert found.stored_bytes == parts == apparent_size(store)
    return found


@pytest.fixture
def quiet(neo4j_server: TestServer, tmp_path: Path) -> Iterator[RunningService]:
    """A service that does nothing by itself, so that the folder is still while it is measured."""
    empty_graph(neo4j_server)
    with run_service(neo4j_server, tmp_path / "store", MGIT_UPKEEP="off") as running:
        yield running
    empty_graph(neo4j_server)


def test_statistics_are_what_du_says_before_and_after_repack_and_collection(quiet: RunningService) -> None:
    with quiet.stubs() as stubs:
        base = fresh(1)
        child = tuned(base, 2)
        add(stubs, "base", base)
        add(stubs, "child", child, "base")
        add(stubs, "gone", tuned(base, 3), "base")
        stubs.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model="gone"))
        before = check_sums(stubs, quiet.store)
        done = repack(stubs)
        repacked = check_sums(stubs, quiet.store)
        assert (done.is_complete, done.damaged_chunks) == (True, 0)
        assert done.bytes_after == repacked.pack_bytes + repacked.index_bytes
        assert done.bytes_before == before.pack_bytes + before.index_bytes
        assert repacked.pack_bytes < before.pack_bytes
        request = maintenance_pb2.CollectGarbageRequest(grace_seconds=0)
        list(stubs.maintenance.CollectGarbage(request, timeout=CALL_TIMEOUT_S))
        collected = check_sums(stubs, quiet.store)
        assert collected.pack_bytes < repacked.pack_bytes
        assert collected.reclaimable_bytes == 0
        with mgit.connect(quiet.address) as repo:
            check(repo, "base", base)
            check(repo, "child", child)


def test_a_model_tells_what_its_tensors_are_predicted_from(quiet: RunningService) -> None:
    with quiet.stubs() as stubs:
        base = fresh(1)
        add(stubs, "base", base)
        add(stubs, "child", tuned(base, 2), "base")
        repack(stubs)
        parent, child = model_statistics(stubs, "base"), model_statistics(stubs, "child")
        assert child.stored_bytes == child.unique_bytes + child.shared_bytes
        assert (child.shared_bytes, parent.unique_bytes) == (parent.stored_bytes, 0)
        assert child.delta_bytes == child.unique_bytes > 0
        tensor = child.tensors[0]
        assert dict(tensor.predictors) == {"base": 2}
        assert dict(tensor.encodings) == {"grouped-pcodec": 2}
        assert dict(parent.tensors[0].predictors) == {"none": 2}
        with mgit.connect(quiet.address) as repo:
            found = repo.model_statistics("child")
        assert dict(found.tensors[0].predictors) == {"base": 2}


def test_progress_comes_before_the_result(quiet: RunningService) -> None:
    with quiet.stubs() as stubs:
        add(stubs, "base", fresh(1))
        answers = list(stubs.maintenance.Repack(maintenance_pb2.RepackRequest(), timeout=CALL_TIMEOUT_S))
    kinds = [answer.WhichOneof("kind") for answer in answers]
    assert kinds[-1] == "result"
    assert set(kinds[:-1]) <= {"progress"}


def test_a_cut_call_gives_the_lease_back_and_the_next_goes_on(quiet: RunningService) -> None:
    with quiet.stubs() as stubs:
        base = fresh(1)
        add(stubs, "base", base)
        call = stubs.maintenance.Repack(maintenance_pb2.RepackRequest(), timeout=CALL_TIMEOUT_S)
        call.cancel()

        def is_done() -> bool:
            try:
                return repack(stubs).is_complete
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.ABORTED:
                    raise
                return False

        wait_until(is_done, "the lease is given back")
        with mgit.connect(quiet.address) as repo:
            check(repo, "base", base)


def test_of_two_services_one_repacks_while_the_other_ingests_and_reads(
    quiet: RunningService, neo4j_server: TestServer
) -> None:
    models = {"base": fresh(1)}
    models |= {f"early-{at}": tuned(models["base"], 10 + at) for at in range(3)}
    with (
        quiet.stubs() as stubs,
        run_service(neo4j_server, quiet.store, MGIT_UPKEEP="off") as other,
        other.stubs() as other_stubs,
        mgit.connect(other.address) as repo,
        ThreadPoolExecutor(1) as thread,
    ):
        for name, tensors in models.items():
            add(stubs, name, tensors, "" if name == "base" else "base")
        results: list[maintenance_pb2.RepackResult] = []
        for round_number in range(3):
            running = thread.submit(repack, stubs)
            name = f"late-{round_number}"
            models[name] = tuned(models["base"], 20 + round_number)
            add(other_stubs, name, models[name], "base")
            read = 0
            while not running.done() or read < len(models):
                check(repo, *list(models.items())[read % len(models)])
                read += 1
            results.append(running.result())
        assert all(result.is_complete and not result.damaged_chunks for result in results)
        assert repack(other_stubs).damaged_chunks == 0
        assert repack(stubs).chunks == 0
        for name, tensors in models.items():
            check(repo, name, tensors)


def test_a_second_repack_at_once_is_told_that_one_runs(
    quiet: RunningService, neo4j_server: TestServer
) -> None:
    """Both services ask at once, until one of them meets the other at work."""
    with (
        quiet.stubs() as stubs,
        run_service(neo4j_server, quiet.store, MGIT_UPKEEP="off") as other,
        other.stubs() as other_stubs,
        ThreadPoolExecutor(2) as threads,
    ):
        add(stubs, "base", fresh(1))
        codes: set[grpc.StatusCode] = set()

        def ask(asked: Stubs) -> None:
            try:
                repack(asked)
            except grpc.RpcError as error:
                codes.add(error.code())

        def both_asked() -> bool:
            list(threads.map(ask, (stubs, other_stubs)))
            return bool(codes)

        wait_until(both_asked, "a repack met another")
        assert codes == {grpc.StatusCode.ABORTED}
