"""A repository on the running service of a test module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.running_service import RunningService

import mgit


@pytest.fixture(scope="module")
def repo(service: RunningService) -> Iterator[mgit.Repository]:
    with mgit.connect(service.address) as opened:
        yield opened


@pytest.fixture
def asked(repo: mgit.Repository, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Digests of the chunks that are asked for from here on."""
    digests: list[bytes] = []
    stub = repo._connection.parameters
    read: Callable[..., Any] = stub.ReadChunks

    def count(request: Any, **options: Any) -> Any:
        digests.extend(request.digests)
        return read(request, **options)

    monkeypatch.setattr(stub, "ReadChunks", count)
    return digests
