"""The check of a store, and its repair."""
