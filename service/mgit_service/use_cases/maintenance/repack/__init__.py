"""Repack: stored chunks are encoded again, densely."""
