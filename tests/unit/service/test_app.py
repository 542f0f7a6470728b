from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, UnavailableError
from mgit_service.app import SERVICES, check_store
from mgit_storage.store import Store, open_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(folder, DigestAlgorithm.BLAKE3)


def check_unavailable(folder: Path, store: Store) -> None:
    with pytest.raises(UnavailableError) as caught:
        check_store(folder, store)
    assert caught.value.reason is ErrorReason.STORE_UNAVAILABLE
    assert str(folder) not in caught.value.message


def test_a_store_that_is_there_passes(folder: Path, store: Store) -> None:
    check_store(folder, store)


def test_a_store_whose_folder_is_gone_is_unavailable(folder: Path, store: Store) -> None:
    shutil.rmtree(folder)
    check_unavailable(folder, store)
    assert not folder.exists()


def test_another_store_in_its_place_is_unavailable(folder: Path, store: Store) -> None:
    shutil.rmtree(folder)
    open_store(folder, DigestAlgorithm.BLAKE3)
    check_unavailable(folder, store)


def test_a_damaged_root_object_is_unavailable(folder: Path, store: Store) -> None:
    [root] = folder.glob("root*")
    root.chmod(0o600)
    root.write_bytes(b"{")
    check_unavailable(folder, store)


def test_a_store_that_cannot_be_written_is_unavailable(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a user without rights; the user of the tests may have all of them."""
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == folder and mode & os.W_OK))
    check_unavailable(folder, store)


def test_the_services_are_those_of_the_contract() -> None:
    assert set(SERVICES) == {
        "mgit.v1.LineageService",
        "mgit.v1.ParameterService",
        "mgit.v1.MaintenanceService",
        "mgit.v1.CompareService",
        "mgit.v1.ModelTestService",
        "mgit.v1.AuditService",
        "mgit.v1.CascadeService",
        "mgit.v1.ExchangeService",
    }
