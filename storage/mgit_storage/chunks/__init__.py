"""Chunks by digest, in packs with immutable indexes."""

from mgit_storage.chunks.store import PackChunkStore

__all__ = ["PackChunkStore"]
