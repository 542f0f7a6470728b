"""Every Cypher text of the project: literal constants, parameters only, by topic."""
