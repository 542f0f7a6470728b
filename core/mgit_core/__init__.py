"""The ideas as pure functions on values: lineage, chunk rule, manifests, coding. No input, no output."""
