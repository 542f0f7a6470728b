"""MaintenanceService through generated stubs: what it adds up is what lies in the folder."""

from __future__ import annotations

import os
from pathlib import Path

import grpc
import numpy as np
import pytest
from tests.running_service import RunningService, Stubs
from tests.uploads import upload

from mgit_proto.v1 import lineage_pb2, maintenance_pb2, parameters_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


def apparent_size(folder: Path) -> int:
    """What ``du --apparent-size --bytes`` says of a folder."""
    return sum(
        path.lstat().st_size
        for root, _, names in os.walk(folder)
        for path in (Path(root), *(Path(root) / name for name in names))
    )


def statistics(stubs: Stubs) -> maintenance_pb2.GetStatisticsResponse:
    return stubs.maintenance.GetStatistics(maintenance_pb2.GetStatisticsRequest(), timeout=60)


def model_statistics(stubs: Stubs, model: str) -> maintenance_pb2.GetModelStatisticsResponse:
    """The parts joined."""
    request = maintenance_pb2.GetModelStatisticsRequest(model=model)
    first, *others = stubs.maintenance.GetModelStatistics(request, timeout=60)
    for other in others:
        assert not other.HasField("model")
        first.tensors.extend(other.tensors)
    return first


@pytest.fixture(scope="module")
def family(stubs: Stubs) -> None:
    """A base, a relative with another head, and a further one that is removed again."""
    generator = np.random.default_rng(3)
    body = {f"layer.{at}": generator.standard_normal((300, 300)).astype(np.float32) for at in range(4)}
    for name in ("base", "task", "gone"):
        head = generator.standard_normal(5000).astype(np.float32)
        header = parameters_pb2.ModelHeader(name=name, source_format="folder")
        upload(stubs, header, {**body, "head": head}, files={"config.json": b"{}" * 40})
    stubs.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model="gone"))


@pytest.mark.usefixtures("family")
def test_the_store_adds_up_to_what_lies_in_its_folder(stubs: Stubs, service: RunningService) -> None:
    found = statistics(stubs)
    parts = found.pack_bytes + found.index_bytes + found.manifest_bytes + found.other_bytes
    assert found.stored_bytes == parts == apparent_size(service.store)
    packs = sum(path.stat().st_size for path in (service.store / "packs").rglob("*") if path.is_file())
    assert found.pack_bytes == packs
    assert (found.models, found.edges, found.tensors) == (2, 0, 6)
    assert found.logical_bytes == 2 * (4 * 360_000 + 20_000 + 80)


@pytest.mark.usefixtures("family")
def test_models_and_what_is_reclaimable_make_up_the_packs(stubs: Stubs) -> None:
    """Shared bytes once, unique bytes of each, and the removed model's head: nothing else is in the packs."""
    base, task = model_statistics(stubs, "base"), model_statistics(stubs, "task")
    for found in (base, task):
        assert found.stored_bytes == found.unique_bytes + found.shared_bytes
        assert found.unique_bytes == found.tensors[-1].stored_bytes
        assert found.logical_bytes == 4 * 360_000 + 20_000 + 80
        assert [tensor.shared_with for tensor in found.tensors] == [1, 1, 1, 1, 0]
    assert base.shared_bytes == task.shared_bytes
    whole = statistics(stubs)
    chunks = base.shared_bytes + base.unique_bytes + task.unique_bytes + whole.reclaimable_bytes
    assert whole.reclaimable_bytes > 15_000
    assert 0 < whole.pack_bytes - chunks < 5_000  # Headers and tables of three packs.


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("none", grpc.StatusCode.NOT_FOUND),
        ("base@prod", grpc.StatusCode.NOT_FOUND),
        ("a@b@c", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_a_model_that_is_not_there_has_no_statistics(stubs: Stubs, model: str, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        model_statistics(stubs, model)
    assert caught.value.code() is code


def test_a_model_with_very_many_tensors_comes_in_parts(stubs: Stubs) -> None:
    ones = np.ones(1, np.float32)
    names = [f"{at:04}" for at in range(1201)]
    upload(stubs, parameters_pb2.ModelHeader(name="wide"), dict.fromkeys(names, ones))
    found = model_statistics(stubs, "wide")
    assert [tensor.name for tensor in found.tensors] == names
    assert {tensor.shared_with for tensor in found.tensors} == {1200}
