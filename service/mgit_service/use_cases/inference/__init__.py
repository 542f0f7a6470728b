"""Where models belong, from their weights: candidates, what is read of them, claims."""
