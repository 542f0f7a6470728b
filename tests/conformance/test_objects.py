"""Every object store, and every wrapper around one, keeps the laws."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgit_storage.objects import LocalObjectStore, MemoryObjectStore, ObjectStore
from mgit_storage.testing.faults import FaultyObjectStore, FullDisk
from mgit_storage.testing.objects import ObjectStoreConformance
from mgit_storage.testing.power import ForgetfulObjectStore
from mgit_storage.testing.raw import RawFolder, RawMemory, RawObjects


class _OnDisk(ObjectStoreConformance):
    @pytest.fixture
    def raw(self, tmp_path: Path) -> RawObjects:
        return RawFolder(tmp_path / "store")


class TestLocal(_OnDisk):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return LocalObjectStore(tmp_path / "store")


class TestForgetful(_OnDisk):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return ForgetfulObjectStore(tmp_path / "store")


class TestFullDisk(_OnDisk):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return FullDisk(LocalObjectStore(tmp_path / "store"), 1 << 30)


class _InMemory(ObjectStoreConformance):
    @pytest.fixture
    def memory(self) -> MemoryObjectStore:
        return MemoryObjectStore()

    @pytest.fixture
    def raw(self, memory: MemoryObjectStore) -> RawObjects:
        return RawMemory(memory)


class TestMemory(_InMemory):
    @pytest.fixture
    def store(self, memory: MemoryObjectStore) -> ObjectStore:
        return memory


class TestFaulty(_InMemory):
    @pytest.fixture
    def store(self, memory: MemoryObjectStore) -> ObjectStore:
        return FaultyObjectStore(memory)
