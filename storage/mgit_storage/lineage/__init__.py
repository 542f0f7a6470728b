"""The lineage graph: in Neo4j, and in memory as its twin."""
