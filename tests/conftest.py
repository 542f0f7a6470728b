"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
import tempfile

import hypothesis

# What a test trusts or starts is never the user's.
_HOME = tempfile.TemporaryDirectory(prefix="mgit-tests-home-")
os.environ["MGIT_HOME"] = _HOME.name

pytest_plugins = ["tests.neo4j_server", "tests.running_service"]

# Read by torch when it is first imported: threads that wait by spinning starve the servers beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A run in the background of a shell script inherits an ignored SIGINT, which its children would ignore too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every run; a slow machine is no failure.
hypothesis.settings.register_profile("mgit", deadline=None, derandomize=True)
hypothesis.settings.load_profile("mgit")
