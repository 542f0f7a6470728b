"""Three-way merges of parameter sets: what each side changed, what conflicts, and how conflicts are resolved."""
