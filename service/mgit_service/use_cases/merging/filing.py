"""The file list of a merged model: opaque files as planned, safetensors files laid out for its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.errors import InvalidArgumentError
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.manifest import Parameter
from mgit_core.merge.comparing import classify
from mgit_core.merge.files import FilePlan
from mgit_core.merge.layout import LaidOutFile, fits_layout, lay_out, safetensors_of
from mgit_core.merge.ties import merge_ties
from mgit_core.merge.values import ParameterClass
from mgit_core.ports.chunks import ChunkStore, ChunkWriter
from mgit_core.safetensors import build_header
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.merging.sides import MergeContents
from mgit_service.use_cases.transfer.file_headers import parameters_of_file
from mgit_service.use_cases.transfer.reading import ModelContent

__all__ = ["MergedFiles", "merge_files"]

_INDEX = ".safetensors.index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedFiles:
    """The files of a merged model.

    Attributes:
        files: The file list; None if there is nothing to say.
        notes: What a person should know.
    """

    files: FileList | None
    notes: tuple[str, ...] = ()


async def merge_files(
    backend: Backend, contents: MergeContents, plan: FilePlan, parameters: Sequence[Parameter]
) -> MergedFiles:
    """The files that go with ``parameters``; headers that are new are durable.

    A file of a side is taken over where its tensors have the same names, types and shapes still. Else every file gets a
    new header, and an index of several files is left out, since it would not be true.

    Raises:
        CorruptError: CHUNK_CORRUPT.
        ResourceExhaustedError: DISK_FULL.
    """
    return await in_thread(backend, _Filing(backend.chunks, contents, plan, parameters).make)


@dataclass(frozen=True, slots=True)
class _Filing:
    """Lays the files out; blocks."""

    chunks: ChunkStore
    contents: MergeContents
    plan: FilePlan
    parameters: Sequence[Parameter]

    def make(self) -> MergedFiles:
        """The merged files."""
        held, notes, is_new = self._weights()
        taken = {entry.path for entry in held}
        opaque = [entry for entry in self.plan.opaque if entry.path not in taken]
        if is_new and any(entry.path.endswith(_INDEX) for entry in opaque):
            opaque = [entry for entry in opaque if not entry.path.endswith(_INDEX)]
            notes = [*notes, "The index of the weight files was left out: it is not true of the merged ones."]
        ties = merge_ties(
            self.parameters, [tie for side in self._sides() if side.files for tie in side.files.ties]
        )
        entries = sorted([*opaque, *held], key=lambda entry: entry.path)
        if not (entries or ties or self.plan.source_format):
            return MergedFiles(files=None)
        files = FileList(
            algorithm=self.chunks.algorithm,
            source_format=self.plan.source_format,
            files=tuple(entries),
            ties=ties,
        )
        return MergedFiles(files=files, notes=tuple(notes))

    def _sides(self) -> tuple[ModelContent, ModelContent]:
        """The side first whose weight files count: theirs, if ours left those of the base as they were."""
        ours, theirs = self.contents.ours, self.contents.theirs
        held = [safetensors_of(each.files) for each in (self.contents.base, ours, theirs)]
        return (theirs, ours) if classify(*held) is ParameterClass.THEIRS else (ours, theirs)

    def _weights(self) -> tuple[list[FileEntry], list[str], bool]:
        """Weight files, notes, and whether any has a new header."""
        with_files = [side for side in self._sides() if safetensors_of(side.files)]
        for side in with_files:
            if fits_layout(self.parameters, side.manifest.parameters):
                return list(safetensors_of(side.files)), [], False
        layout = lay_out(self.parameters, [list(self._held(side)) for side in with_files])
        try:
            return self._write(layout), [], bool(layout)
        except InvalidArgumentError as error:
            return [], [f"The weight files were left out: {error.message}"], True

    def _held(self, side: ModelContent) -> Iterable[tuple[FileEntry, Sequence[Parameter]]]:
        for entry in safetensors_of(side.files):
            yield entry, parameters_of_file(self.chunks, side.manifest, entry)

    def _write(self, layout: Sequence[LaidOutFile]) -> list[FileEntry]:
        headers = [
            build_header(
                [(each.name.removeprefix(file.prefix), each.spec) for each in file.parameters],
                {"format": "pt"},
            )
            for file in layout
        ]
        with self.chunks.open_writer() as writer:
            return [_entry(writer, file, header) for file, header in zip(layout, headers, strict=True)]


def _entry(writer: ChunkWriter, file: LaidOutFile, header: bytes) -> FileEntry:
    cuts = [header[at : at + CHUNK_BYTES] for at in range(0, len(header), CHUNK_BYTES)]
    return FileEntry(
        path=file.path,
        kind=FileKind.SAFETENSORS,
        size_bytes=len(header) + sum(each.spec.size_bytes for each in file.parameters),
        stored_bytes=len(header),
        chunks=tuple(writer.write(cut, width=1) for cut in cuts),
        prefix=file.prefix,
    )
