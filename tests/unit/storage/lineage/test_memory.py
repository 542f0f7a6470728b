"""What only the graph in memory has: its clock, and no need of a driver."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from mgit_core.errors import ErrorReason, FailedPreconditionError, UnavailableError
from mgit_core.lineage import RequestKey
from mgit_storage.lineage import open_memory
from mgit_storage.testing.values import fresh_uid, make_commit


async def test_an_answer_is_forgotten_after_a_week() -> None:
    moments = [datetime(2026, 1, 1, tzinfo=UTC)]
    lineage = open_memory(lambda: moments[-1])
    await lineage.binding.bind(fresh_uid(), store_is_empty=True)
    request = RequestKey(id="r", arguments_digest=b"\1" * 32)
    refs = []
    for days in (0, 7, 1):
        moments.append(moments[-1] + timedelta(days=days))
        refs.append((await lineage.models.commit(make_commit("m"), request)).model.ref)
    assert refs == ["m@1", "m@1", "m@2"]


async def test_an_unbound_graph_takes_no_commit() -> None:
    lineage = open_memory()
    with pytest.raises(UnavailableError):
        await lineage.models.commit(make_commit("m"))
    with pytest.raises(FailedPreconditionError):
        await lineage.binding.epoch()
    with pytest.raises(FailedPreconditionError) as error:
        await lineage.binding.bind(fresh_uid(), store_is_empty=False)
    assert error.value.reason is ErrorReason.STORE_MISMATCH
    await lineage.binding.close()


@pytest.mark.slow
def test_the_graph_in_memory_needs_no_driver() -> None:
    program = "import sys; from mgit_storage.lineage import open_memory; open_memory(); sys.exit('neo4j' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
