"""All ports on one Neo4j."""

from __future__ import annotations

from mgit_core.ports.graph import Lineage
from mgit_storage.lineage.audit import Neo4jAuditQueries
from mgit_storage.lineage.binding import Neo4jStoreBinding
from mgit_storage.lineage.bugs import Neo4jBugs
from mgit_storage.lineage.cascades import Neo4jCascades
from mgit_storage.lineage.content import Neo4jContentQueries
from mgit_storage.lineage.edges import Neo4jEdges
from mgit_storage.lineage.exchange import Neo4jExchange
from mgit_storage.lineage.facts import Neo4jFacts
from mgit_storage.lineage.graph_checks import Neo4jGraphChecks
from mgit_storage.lineage.leases import Neo4jLeases
from mgit_storage.lineage.model_tests import Neo4jModelTests
from mgit_storage.lineage.models import Neo4jModels
from mgit_storage.lineage.session import GraphSession
from mgit_storage.lineage.sketches import Neo4jSketches
from mgit_storage.lineage.staging import Neo4jStagedModels
from mgit_storage.lineage.tags import Neo4jTags
from mgit_storage.lineage.traversal import Neo4jTraversal

__all__ = ["open_graph"]


def open_graph(session: GraphSession, *, is_warmed: bool) -> Lineage:
    """The lineage graph behind a session."""
    return Lineage(
        models=Neo4jModels(session),
        tags=Neo4jTags(session),
        edges=Neo4jEdges(session),
        traversal=Neo4jTraversal(session),
        content=Neo4jContentQueries(session),
        binding=Neo4jStoreBinding(session, is_warmed=is_warmed),
        leases=Neo4jLeases(session),
        sketches=Neo4jSketches(session),
        facts=Neo4jFacts(session),
        bugs=Neo4jBugs(session),
        model_tests=Neo4jModelTests(session),
        staging=Neo4jStagedModels(session),
        cascades=Neo4jCascades(session),
        exchange=Neo4jExchange(session),
        audit=Neo4jAuditQueries(session),
        graph_checks=Neo4jGraphChecks(session),
    )
