"""Chunk stores and parameter stores keep the laws, on a disk, in memory and behind wrappers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mgit_core.digest import DigestAlgorithm
from mgit_core.ports.chunks import ChunkStore, ParameterStore
from mgit_storage.objects import LocalObjectStore, MemoryObjectStore, ObjectStore
from mgit_storage.store import Store, open_objects
from mgit_storage.testing.bases import ChunkBasesConformance
from mgit_storage.testing.chunks import ChunkStoreConformance
from mgit_storage.testing.faults import FaultyObjectStore, FullDisk
from mgit_storage.testing.maintenance import ChunkMaintenanceConformance
from mgit_storage.testing.parameters import ParameterStoreConformance
from mgit_storage.testing.power import ForgetfulObjectStore
from mgit_storage.testing.raw import RawFolder, RawMemory, RawObjects


@dataclass(frozen=True)
class Opened:
    first: Store
    second: Store
    raw: RawObjects


class _Fixtures:
    """What a subclass gives as fixture ``opened``, part by part."""

    algorithm = DigestAlgorithm.BLAKE3

    def open(self, objects: ObjectStore, others: ObjectStore, raw: RawObjects) -> Opened:
        return Opened(open_objects(objects, self.algorithm), open_objects(others, self.algorithm), raw)

    @pytest.fixture
    def store(self, opened: Opened) -> ChunkStore:
        return opened.first.chunks

    @pytest.fixture
    def parameters(self, opened: Opened) -> ParameterStore:
        return opened.first.parameters

    @pytest.fixture
    def raw(self, opened: Opened) -> RawObjects:
        return opened.raw


class _Chunks(_Fixtures, ChunkStoreConformance, ChunkBasesConformance, ChunkMaintenanceConformance):
    @pytest.fixture
    def other(self, opened: Opened) -> ChunkStore:
        return opened.second.chunks


class _Parameters(_Fixtures, ParameterStoreConformance):
    @pytest.fixture
    def other(self, opened: Opened) -> ParameterStore:
        return opened.second.parameters


class _OnDisk(_Fixtures):
    wrap: Callable[[Path], ObjectStore] = staticmethod(LocalObjectStore)

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Opened:
        root = tmp_path / "store"
        return self.open(self.wrap(root), LocalObjectStore(root), RawFolder(root))


class _InMemory(_Fixtures):
    wrap: Callable[[ObjectStore], ObjectStore] = staticmethod(lambda objects: objects)

    @pytest.fixture
    def opened(self) -> Opened:
        objects = MemoryObjectStore()
        return self.open(self.wrap(objects), objects, RawMemory(objects))


class TestChunksOnDisk(_OnDisk, _Chunks):
    pass


class TestChunksInMemory(_InMemory, _Chunks):
    pass


class TestChunksNamedBySha256(_InMemory, _Chunks):
    algorithm = DigestAlgorithm.SHA256


class TestChunksOnAForgetfulDisk(_OnDisk, _Chunks):
    wrap = staticmethod(ForgetfulObjectStore)


class TestChunksOnADiskThatFills(_InMemory, _Chunks):
    wrap = staticmethod(lambda objects: FullDisk(objects, 1 << 30))


class TestChunksOnAFaultyDisk(_InMemory, _Chunks):
    wrap = staticmethod(FaultyObjectStore)


class TestParametersOnDisk(_OnDisk, _Parameters):
    pass


class TestParametersInMemory(_InMemory, _Parameters):
    pass
