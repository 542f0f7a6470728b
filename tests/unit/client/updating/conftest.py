"""A cascade service that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.client.updating.faulty_cascades import FaultyCascades, serve_cascades

from mgit.connection import Connection


@pytest.fixture
def cascades() -> FaultyCascades:
    return FaultyCascades()


@pytest.fixture
def connection(cascades: FaultyCascades) -> Iterator[Connection]:
    with serve_cascades(cascades) as opened:
        yield opened
