"""Merging two models against a common ancestor."""
