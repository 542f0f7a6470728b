"""Diffs of models: which layers and data flow differ, which parameters do, and by how much."""
