"""Immutable objects by key, on a disk or in memory."""

from mgit_storage.objects.base import ObjectState, ObjectStore, ObjectUsage, StagedObject, check_key
from mgit_storage.objects.local import LocalObjectStore
from mgit_storage.objects.memory import MemoryObjectStore

__all__ = [
    "LocalObjectStore",
    "MemoryObjectStore",
    "ObjectState",
    "ObjectStore",
    "ObjectUsage",
    "StagedObject",
    "check_key",
]
