"""Layer graphs: the modules of a model and how data flows between them, free of any framework."""
