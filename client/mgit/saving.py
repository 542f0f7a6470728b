"""Writes models to files and folders: what was added comes back byte for byte, tensors bit for bit."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mgit.chunks import ChunkPlan, Sink
from mgit.content import ModelContent
from mgit.file_layouts import FileLayout, WeightsLayout, build_weights, layout_of_files
from mgit.files import NewFile, check_new, new_path
from mgit.loading import load_model
from mgit.progress import ProgressCounter
from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.files import FileKind, check_file_path
from mgit_core.manifest import Manifest, Parameter

__all__ = ["SaveFormat", "SaveJob", "save_model"]

_WEIGHTS_NAME = "model.safetensors"
_FORMAT_OF_SUFFIX = {
    ".safetensors": "safetensors",
    ".zarr": "zarr",
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt"), "torch"),
}


class SaveFormat(enum.StrEnum):
    """What a model is written as."""

    SAFETENSORS = "safetensors"
    FOLDER = "folder"
    ZARR = "zarr"
    TORCH = "torch"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveJob:
    """What is wanted.

    Attributes:
        to: File or folder to be made; it must not exist, its folder must.
        format: None means by the ending of ``to``, else as the model was added.
        tensors: Shell patterns over parameter names; empty means all.
    """

    to: Path
    format: str | None = None
    tensors: tuple[str, ...] = ()


def save_model(content: ModelContent, job: SaveJob, progress: ProgressCounter) -> Path:
    """Write a model; the path appears complete and durable, or not at all.

    Raises:
        AlreadyExistsError: PATH_EXISTS.
        NotFoundError: PATH_NOT_FOUND, or TENSOR_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT, or UNKNOWN_DTYPE for a type that the format lacks.
        ResourceExhaustedError: DISK_FULL.
        MGitError: As ``fetch_chunks``.
    """
    check_new(job.to)
    wanted = _choose_format(content, job)
    parameters = content.select(job.tensors)
    if wanted is SaveFormat.ZARR:
        _save_zarr(content, job.to, parameters, progress)
    elif wanted is SaveFormat.TORCH:
        _save_torch(content, job, progress)
    elif wanted is SaveFormat.FOLDER or _is_sharded(content, job):
        _write(content, job.to, _folder_layouts(content), progress, is_folder=True)
    else:
        _write(content, job.to, [_file_layout(content, job, parameters)], progress, is_folder=False)
    return job.to


def _choose_format(content: ModelContent, job: SaveJob) -> SaveFormat:
    text = job.format or _FORMAT_OF_SUFFIX.get(job.to.suffix.lower())
    if text is None:
        source = content.listing.files.source_format
        # Arrays have no format of their own, and a part of a folder is no folder.
        is_kept = source in set(SaveFormat) and not (source == SaveFormat.FOLDER and job.tensors)
        text = source if is_kept else SaveFormat.SAFETENSORS
    if text not in set(SaveFormat):
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"A format is one of {', '.join(SaveFormat)}; found {text[:80]!r}."
        )
    if text == SaveFormat.FOLDER and job.tensors:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            "A folder comes back whole: choose another format for some tensors of it.",
        )
    return SaveFormat(text)


def _is_sharded(content: ModelContent, job: SaveJob) -> bool:
    """Whether a model of several safetensors files is wanted back as it was, which is a folder of them."""
    files = content.listing.files
    return (
        files.source_format == SaveFormat.SAFETENSORS
        and len(files.files) > 1
        and not job.tensors
        and job.to.suffix.lower() != ".safetensors"
    )


def _folder_layouts(content: ModelContent) -> list[FileLayout | WeightsLayout]:
    """Every file of the model; parameters that lie in none of them get a file of their own."""
    layouts = layout_of_files(content)
    covered = {name for layout in layouts if isinstance(layout, WeightsLayout) for name, _ in layout.places}
    loose = [each for each in content.listing.manifest.parameters if each.name not in covered]
    if loose:
        taken = {layout.path for layout in layouts}
        names = (_WEIGHTS_NAME, *(f"model-{number}.safetensors" for number in range(2, len(taken) + 3)))
        layouts.append(build_weights(next(name for name in names if name not in taken), loose, {}))
    return layouts


def _file_layout(
    content: ModelContent, job: SaveJob, parameters: Sequence[Parameter]
) -> FileLayout | WeightsLayout:
    """One safetensors file: the one that was added if it holds all that is wanted, else a new one."""
    metadata: dict[str, str] = {}
    if any(entry.kind is FileKind.SAFETENSORS for entry in content.listing.files.files):
        weights = [each for each in layout_of_files(content) if isinstance(each, WeightsLayout)]
        wanted = {parameter.name for parameter in parameters}
        for layout in weights:
            if {name for name, _ in layout.places} == wanted and not layout.prefix:
                return layout
        for layout in weights:
            metadata = {**layout.metadata, **metadata}
    return build_weights(job.to.name, parameters, metadata)


def _write(
    content: ModelContent,
    to: Path,
    layouts: Sequence[FileLayout | WeightsLayout],
    progress: ProgressCounter,
    *,
    is_folder: bool,
) -> None:
    by_name = {parameter.name: parameter for parameter in content.listing.manifest.parameters}
    with new_path(to) as unfinished:
        plan = ChunkPlan()
        for layout in layouts:
            path = unfinished / PurePosixPath(check_file_path(layout.path)) if is_folder else unfinished
            file = NewFile.make(path, layout.size_bytes)
            if isinstance(layout, WeightsLayout):
                file.write(0, layout.header)
                for name, start in layout.places:
                    _plan_chunks(plan, by_name[name].chunk_sizes(), file, start)
            else:
                _plan_chunks(plan, layout.chunks, file, 0)
        progress.begin(plan.size_bytes)
        content.fetch(plan, progress)


def _plan_chunks(plan: ChunkPlan, chunks: Iterable[tuple[Digest, int]], sink: Sink, start: int) -> None:
    for digest, size_bytes in chunks:
        plan.add(digest, size_bytes, sink, start)
        start += size_bytes


def _save_torch(content: ModelContent, job: SaveJob, progress: ProgressCounter) -> None:
    """Write a state dict of torch, which is held in memory as a whole."""
    from mgit.frameworks.torch import to_state_dict, write_torch_file  # noqa: PLC0415 - for torch outputs only

    state = to_state_dict(load_model(content, job.tensors, progress), content.listing.dtypes)
    with new_path(job.to) as unfinished:
        write_torch_file(state, unfinished)


def _save_zarr(
    content: ModelContent, to: Path, parameters: Sequence[Parameter], progress: ProgressCounter
) -> None:
    from mgit.frameworks.zarr import plan_zarr  # noqa: PLC0415 - zarr takes long to import

    manifest = Manifest(content.listing.manifest.algorithm, tuple(parameters))
    with plan_zarr(to, manifest) as plan:
        progress.begin(plan.size_bytes)
        content.fetch(plan, progress)
