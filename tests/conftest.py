"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
import tempfile

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# What a test trusts or starts is never the user's.
_HOME = tempfile.TemporaryDirectory(prefix="mgit-tests-home-")
os.environ["MGIT_HOME"] = _HOME.name

_MOST_PROCESSES = 4
_TOGETHER = frozenset({"tests/integration/collaborate", "tests/integration/local"})

pytest_plugins = ["tests.neo4j_server", "tests.running_service", "tests.second_stack"]

# Read by torch when it is first imported: threads that wait by spinning starve the servers beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A run in the background of a shell script inherits an ignored SIGINT, which its children would ignore too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every run; a slow machine is no failure.
hypothesis.settings.register_profile("mgit", deadline=None, derandomize=True)
hypothesis.settings.load_profile("mgit")


class _Scheduling(LoadScopeScheduling):
    """Keeps the tests of a file in one process, and those of a folder whose services are for all of it."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder in _TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Scheduling:
    return _Scheduling(config, log)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process for each core, each with a Neo4j of its own; a single one where a Neo4j was named for the tests."""
    del config
    is_shared = bool(os.environ.get("MGIT_TEST_NEO4J_URI"))
    return 1 if is_shared else min(os.cpu_count() or 1, _MOST_PROCESSES)
