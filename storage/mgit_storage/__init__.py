"""Where bytes and edges are kept: objects, chunks, parameter sets, and the lineage graph in Neo4j."""
