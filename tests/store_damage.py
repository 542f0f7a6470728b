"""Reaches around the store: its objects damaged, lost and grown old."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tests.memory_world import ALGORITHM, World

from mgit_service.use_cases.backend import SeenEpoch
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.store import Store, open_objects
from mgit_storage.testing.faults import FaultyObjectStore


@dataclass
class Clock:
    """Seconds that pass when the test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def content_of(store: Store) -> dict[str, bytes]:
    """The objects of a store in memory, to be changed at will."""
    objects = store.objects
    inner = objects.inner if isinstance(objects, FaultyObjectStore) else objects
    assert isinstance(inner, MemoryObjectStore)
    return inner.content


def keys(store: Store, folder: str) -> list[str]:
    """The keys in a folder, oldest first."""
    return [key for key in content_of(store) if key.startswith(f"{folder}/")]


def damage(store: Store, key: str, at: int = -1) -> None:
    """Turn one byte of an object over; of a pack the last byte of its first frame for want of another place."""
    content = bytearray(content_of(store)[key])
    content[at] ^= 0xFF
    content_of(store)[key] = bytes(content)


def reopened(world: World) -> World:
    """The same store and graph, as another process sees them."""
    store = open_objects(world.store.objects, ALGORITHM)
    backend = dataclasses.replace(
        world.backend, chunks=store.chunks, parameters=store.parameters, seen=SeenEpoch()
    )
    return World(store, backend)
