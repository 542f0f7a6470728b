"""Where a model belongs, from weights alone: parents, relation, direction, and how sure that is. Pure."""
