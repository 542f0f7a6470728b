"""The lineage graph in a real Neo4j keeps the laws."""

from __future__ import annotations

import pytest

from mgit_core.ports.graph import Lineage
from mgit_storage.testing.lineage import LineageConformance


class TestNeo4j(LineageConformance):
    @pytest.fixture
    def lineage(self, neo4j_lineage: Lineage) -> Lineage:
        return neo4j_lineage
