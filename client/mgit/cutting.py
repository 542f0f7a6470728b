"""Cuts a source into chunks and digests them, on all cores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mgit.frameworks.source import Content, Source, SourceFile, SourceParameter
from mgit_core.chunking import chunk_ranges, file_chunk_sizes
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.files import FileEntry, FileList
from mgit_core.manifest import Manifest, Parameter, make_parameter

__all__ = ["CutSource", "Location", "cut_source"]

_BATCH_BYTES = 8 << 20  # One task for a thread: long beside the cost of a task, short beside a model.


@dataclass(frozen=True, slots=True)
class Location:
    """Where the bytes of a chunk lie.

    Attributes:
        content: What holds them.
        start: First byte.
        stop: Behind the last byte.
        number_bytes: Bytes of one number, 1 for files.
    """

    content: Content
    start: int
    stop: int
    number_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CutSource:
    """A source by reference, with the places of its chunks.

    Attributes:
        manifest: Its parameters.
        files: Its files and ties.
        locations: One place of each distinct chunk.
    """

    manifest: Manifest
    files: FileList
    locations: dict[Digest, Location]

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors and kept files."""
        return (
            sum(parameter.spec.size_bytes for parameter in self.manifest.parameters) + self.files.stored_bytes
        )


def cut_source(source: Source, algorithm: DigestAlgorithm) -> CutSource:
    """Cut by chunk rule ``c1`` and digest each chunk once; nothing is kept in memory but digests.

    Raises:
        InvalidArgumentError: INVALID_NAME, DUPLICATE_PARAMETER, or UNREADABLE_INPUT for a source without
            parameters.
    """
    if not source.parameters:
        raise InvalidArgumentError(
            ErrorReason.UNREADABLE_INPUT, "A model has at least one parameter; found none."
        )
    first_of_tie = {name: tie[0] for tie in source.ties for name in tie[1:]}
    cut = [parameter for parameter in source.parameters if parameter.name not in first_of_tie]
    places = [list(_places_of_parameter(parameter)) for parameter in cut]
    places += [list(_places_of_file(file)) for file in source.files]
    digests = _digest_all([place for group in places for place in group], algorithm)
    grouped = [tuple(next(digests) for _ in group) for group in places]
    locations: dict[Digest, Location] = {}
    for group, chunk_digests in zip(places, grouped, strict=True):
        for place, digest in zip(group, chunk_digests, strict=True):
            locations.setdefault(digest, place)
    chunks = {parameter.name: found for parameter, found in zip(cut, grouped, strict=False)}
    parameters = tuple(_refer(algorithm, parameter, chunks, first_of_tie) for parameter in source.parameters)
    entries = map(_refer_file, source.files, grouped[len(cut) :])
    files = FileList(
        algorithm=algorithm,
        source_format=source.source_format,
        files=tuple(sorted(entries, key=lambda entry: entry.path)),
        ties=source.ties,
    )
    return CutSource(manifest=Manifest(algorithm, parameters), files=files, locations=locations)


def _refer(
    algorithm: DigestAlgorithm,
    parameter: SourceParameter,
    chunks: dict[str, tuple[Digest, ...]],
    first_of_tie: dict[str, str],
) -> Parameter:
    name = first_of_tie.get(parameter.name, parameter.name)
    return make_parameter(algorithm, parameter.name, parameter.spec, chunks[name])


def _refer_file(file: SourceFile, chunks: tuple[Digest, ...]) -> FileEntry:
    return FileEntry(
        path=file.path,
        kind=file.kind,
        size_bytes=file.size_bytes,
        stored_bytes=file.stored_bytes,
        chunks=chunks,
        prefix=file.prefix,
    )


def _places_of_parameter(parameter: SourceParameter) -> Iterator[Location]:
    for start, stop in chunk_ranges(parameter.spec):
        yield Location(parameter.content, start, stop, parameter.spec.number_bytes)


def _places_of_file(file: SourceFile) -> Iterator[Location]:
    start = 0
    for size_bytes in file_chunk_sizes(file.stored_bytes):
        yield Location(file.content, start, start + size_bytes, 1)
        start += size_bytes


def _digest_all(places: Sequence[Location], algorithm: DigestAlgorithm) -> Iterator[Digest]:
    def digest_batch(batch: Sequence[Location]) -> list[Digest]:
        return [digest_of(algorithm, place.content.read(place.start, place.stop)) for place in batch]

    with ThreadPoolExecutor(os.cpu_count() or 1, "mgit-digest") as pool:
        try:
            for digests in pool.map(digest_batch, _batches(places)):
                yield from digests
        finally:
            pool.shutdown(cancel_futures=True)


def _batches(places: Sequence[Location]) -> Iterator[list[Location]]:
    batch: list[Location] = []
    size_bytes = 0
    for place in places:
        batch.append(place)
        size_bytes += place.stop - place.start
        if size_bytes >= _BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
