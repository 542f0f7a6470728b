"""One managed stack for all that need no stack of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.local.command_line import CommandLine


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line in a home where a stack runs; models of other tests may be in it."""
    mgit = CommandLine(tmp_path_factory.mktemp("stack") / "home")
    try:
        up = mgit.run("up", "--output", "json")
        assert up.code == 0, up.err
        yield mgit
    finally:
        mgit.run("down")
