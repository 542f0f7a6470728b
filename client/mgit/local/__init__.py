"""The local stack: a managed Neo4j and a service, in a home of their own."""
