"""Walks over the lineage: pure algorithms over numbered models and the edges among them."""
