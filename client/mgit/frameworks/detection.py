"""Finds out what a thing to be added is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from mgit.frameworks.arrays import read_arrays
from mgit.frameworks.folders import read_folder
from mgit.frameworks.safetensors import INDEX_SUFFIX, read_safetensors, read_sharded
from mgit.frameworks.source import Source
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError

__all__ = ["open_source"]

_TORCH_SUFFIXES = {".pt", ".pth", ".bin", ".ckpt"}
_ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")


def open_source(source: object) -> Source:
    """The model that ``source`` is.

    Args:
        source: Path of a safetensors file, an index of shards, a torch file, a folder or a Zarr group; a dict of
            numpy arrays; a torch module or state dict.

    Raises:
        NotFoundError: PATH_NOT_FOUND.
        InvalidArgumentError: UNREADABLE_INPUT, UNSAFE_PICKLE, UNKNOWN_DTYPE, SHAPE_MISMATCH, INVALID_NAME or
            DUPLICATE_PARAMETER.
        FailedPreconditionError: FRAMEWORK_MISSING.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(source))
    if _is_torch(source):
        from mgit.frameworks.torch import read_torch_object  # noqa: PLC0415 - torch only for torch inputs

        return read_torch_object(source)
    if isinstance(source, Mapping) and all(isinstance(name, str) for name in source):
        return read_arrays(source)
    raise InvalidArgumentError(
        ErrorReason.UNREADABLE_INPUT,
        "A model is a path, a dict of numpy arrays, a torch module or a state dict; found "
        f"{type(source).__name__}.",
    )


def _is_torch(source: object) -> bool:
    """Whether ``source`` is of torch; who has such a thing has imported torch already."""
    if "torch" not in sys.modules:
        return False
    from mgit.frameworks.torch import is_torch_object  # noqa: PLC0415 - torch only for torch inputs

    return is_torch_object(source)


def _open_path(path: Path) -> Source:
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise NotFoundError(ErrorReason.PATH_NOT_FOUND, f"There is no file or folder {path}.")
    if path.name.endswith(f".safetensors{INDEX_SUFFIX}"):
        return read_sharded(path)
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if path.suffix in _TORCH_SUFFIXES:
        from mgit.frameworks.torch import read_torch_file  # noqa: PLC0415 - torch only for torch inputs

        return read_torch_file(path)
    raise InvalidArgumentError(
        ErrorReason.UNREADABLE_INPUT,
        f"{path.name} is of no kind that is known by its name: .safetensors, .safetensors.index.json, "
        f"{', '.join(sorted(_TORCH_SUFFIXES))}, a folder, or a Zarr group.",
    )


def _open_folder(path: Path) -> Source:
    if any((path / mark).is_file() for mark in _ZARR_MARKS):
        from mgit.frameworks.zarr import read_zarr  # noqa: PLC0415 - zarr takes long to import

        return read_zarr(path)
    return read_folder(path)
