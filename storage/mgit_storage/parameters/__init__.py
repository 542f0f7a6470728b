"""Parameter sets over chunks: manifests and file lists."""

from mgit_storage.parameters.store import ObjectParameterStore

__all__ = ["ObjectParameterStore"]
