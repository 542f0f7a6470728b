"""Reads folders as the Hugging Face tools write them, and keeps all their files.

What is kept, and how:

- Every regular file, hidden ones too, comes back byte for byte. Left out are empty folders and the folders
  ``.git``, ``.cache`` and ``__pycache__``, which belong to tools and not to the model. Modes and times are not kept.
- Every ``*.safetensors`` file gives its tensors as parameters. In a nested folder the folder's path stands
  before their names: ``unet/conv_in.weight``. A file whose names are taken already (a second precision, say) is
  kept as plain bytes.
- Only where no safetensors file is, the known weight files of torch (``pytorch_model.bin`` and the like) are
  read, weights-only. Then their tensors come back, in ``model.safetensors``, and not the pickle. Any other
  pickle is kept as plain bytes and never opened.
- A link to a file inside the folder is read through. One that leaves the folder is refused, except into the
  ``blobs`` of the Hub cache that the folder is a snapshot of.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgit.frameworks.links import LinkRule
from mgit.frameworks.safetensors import INDEX_SUFFIX, WeightsFile, check_index, open_weights, read_index
from mgit.frameworks.source import Source, SourceFile, SourceParameter, open_file
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.files import FileKind, check_file_path

__all__ = ["ADAPTER_CONFIG", "read_folder"]

ADAPTER_CONFIG = "adapter_config.json"
_LEFT_OUT = frozenset({".git", ".cache", "__pycache__"})
_MAX_FILES = 100_000
_TORCH_WEIGHTS = re.compile(
    r"(pytorch_model|adapter_model|diffusion_pytorch_model|model)(-\d+-of-\d+)?\.(bin|pt|pth)"
)


def read_folder(folder: Path) -> Source:
    """The model that a folder holds, with all its files.

    Raises:
        InvalidArgumentError: UNREADABLE_INPUT if no weights are found, an index names a missing shard, or a
            link leaves the folder; or as the readers of weights.
    """
    paths = sorted(_walk(folder))
    _check_indexes(folder, paths)
    weights = _read_weights(folder, paths)
    files = [
        weights.files.get(path) or _opaque(folder, path) for path in paths if path not in weights.replaced
    ]
    if not weights.parameters:
        raise InvalidArgumentError(
            ErrorReason.UNREADABLE_INPUT,
            f"Folder {folder.name!r} holds no weights: no *.safetensors file with tensors and no "
            f"pytorch_model.bin among its {len(paths)} files.",
        )
    return Source(
        source_format="folder",
        parameters=tuple(weights.parameters),
        files=tuple(files),
        ties=tuple(weights.ties),
        base_model=_base_model(folder),
        notes=tuple(weights.notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    """What the weight files of a folder give.

    Attributes:
        parameters: All tensors.
        files: Files of which only the header is kept.
        replaced: Files that are not kept.
        ties: Tied names.
        notes: What a person should know.
    """

    parameters: list[SourceParameter]
    files: dict[str, SourceFile]
    replaced: frozenset[str]
    ties: list[tuple[str, ...]]
    notes: list[str]


def _walk(folder: Path) -> Iterator[str]:
    links = LinkRule(folder)
    count = 0
    for parent, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if name not in _LEFT_OUT)
        for name in [*names, *files]:
            links.check(Path(parent, name))
        for name in files:
            count += 1
            if count > _MAX_FILES:
                raise _unreadable(folder, f"it holds more than {_MAX_FILES} files")
            yield check_file_path(Path(parent, name).relative_to(folder).as_posix())


def _check_indexes(folder: Path, paths: list[str]) -> None:
    for path in paths:
        if path.endswith(f".safetensors{INDEX_SUFFIX}"):
            index = folder / path
            shards = {name: open_weights(index.parent / name) for name in set(read_index(index).values())}
            check_index(index, {name: shard.header for name, shard in shards.items()})


def _read_weights(folder: Path, paths: list[str]) -> _Weights:
    weights = [path for path in paths if path.endswith(".safetensors")]
    if not weights:
        return _read_torch_weights(folder, paths)
    # A plain `model.safetensors` or a shard goes before variants such as `model.fp16.safetensors`.
    weights.sort(key=lambda path: (path.count("/"), Path(path).name.count("."), path))
    parameters: dict[str, SourceParameter] = {}
    files: dict[str, SourceFile] = {}
    notes: list[str] = []
    for path in weights:
        prefix = _prefix(path)
        file: WeightsFile = open_weights(folder / path)
        found = file.parameters(prefix)
        if any(parameter.name in parameters for parameter in found):
            notes.append(f"{path} names tensors that another file has already; it is kept as plain bytes.")
            continue
        parameters |= {parameter.name: parameter for parameter in found}
        files[path] = file.as_file(path, prefix)
    return _Weights(
        parameters=list(parameters.values()), files=files, replaced=frozenset(), ties=[], notes=notes
    )


def _read_torch_weights(folder: Path, paths: list[str]) -> _Weights:
    weights = [path for path in paths if _TORCH_WEIGHTS.fullmatch(Path(path).name)]
    parameters: list[SourceParameter] = []
    ties: list[tuple[str, ...]] = []
    if weights:
        from mgit.frameworks.torch import read_torch_file  # noqa: PLC0415 - torch only for torch inputs

        for path in weights:
            source = read_torch_file(folder / path, prefix=_prefix(path))
            parameters.extend(source.parameters)
            ties.extend(source.ties)
    indexes = {path for path in paths if path.endswith(f".bin{INDEX_SUFFIX}")}
    return _Weights(
        parameters=parameters,
        files={},
        replaced=frozenset({*weights, *indexes}),
        ties=ties,
        notes=[f"{path} is a pickle; its tensors are kept, not the file." for path in weights],
    )


def _prefix(path: str) -> str:
    parent, slash, _ = path.rpartition("/")
    return parent + slash


def _opaque(folder: Path, path: str) -> SourceFile:
    content = open_file(folder / path)
    return SourceFile(
        path=path,
        kind=FileKind.OPAQUE,
        size_bytes=content.size_bytes,
        stored_bytes=content.size_bytes,
        content=content,
    )


def _base_model(folder: Path) -> str | None:
    """The base that a PEFT adapter names; None for a folder that is no adapter."""
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        return None
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        base = document.get("base_model_name_or_path")
    except (ValueError, AttributeError, RecursionError) as error:
        raise _unreadable(folder, f"its {ADAPTER_CONFIG} is no JSON object") from error
    return base if isinstance(base, str) and base else None


def _unreadable(folder: Path, found: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        ErrorReason.UNREADABLE_INPUT, f"Folder {folder.name!r} cannot be added: {found}."
    )
