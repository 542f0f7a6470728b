"""The lineage graph in memory keeps the laws."""

from __future__ import annotations

import pytest
from tests.conformance.conftest import STORE_ID

from mgit_core.ports.graph import Lineage
from mgit_storage.lineage import open_memory
from mgit_storage.testing.lineage import LineageConformance


class TestMemory(LineageConformance):
    @pytest.fixture
    async def lineage(self) -> Lineage:
        lineage = open_memory()
        await lineage.binding.bind(STORE_ID, store_is_empty=True)
        return lineage
