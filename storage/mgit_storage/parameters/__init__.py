"""Parameter sets over chunks: manifests, file lists and layer graphs."""

from mgit_storage.parameters.store import ObjectParameterStore

__all__ = ["ObjectParameterStore"]
