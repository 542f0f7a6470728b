"""Models, versions, tags and edges: what a service is asked of the graph."""
