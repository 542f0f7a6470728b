from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mgit.frameworks.detection import open_source
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError


@pytest.mark.parametrize("name", ["model.onnx", "weights.npz", "model", "model.index.json"])
def test_a_file_of_another_kind_is_refused_with_what_is_known(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InvalidArgumentError, match="safetensors") as caught:
        open_source(tmp_path / name)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_a_path_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        open_source(str(tmp_path / "nothing"))
    assert caught.value.reason is ErrorReason.PATH_NOT_FOUND


def test_a_device_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        open_source(Path(os.devnull))


@pytest.mark.slow
def test_files_of_safetensors_are_read_without_torch_and_zarr(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    code = (
        "import sys; from mgit.frameworks.detection import open_source; "
        f"open_source({str(path)!r}); print({{'torch', 'zarr'}} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
