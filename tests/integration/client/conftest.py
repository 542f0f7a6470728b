"""A repository on the running service of a test module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.running_service import RunningService

import mgit


@pytest.fixture(scope="module")
def repo(service: RunningService) -> Iterator[mgit.Repository]:
    with mgit.connect(service.address) as opened:
        yield opened
