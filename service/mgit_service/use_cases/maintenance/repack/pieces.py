"""What a repack has to encode again of a model, in pieces that fit its window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mgit_core.chunking import file_chunk_sizes
from mgit_core.coding.numbers import NumberFormat
from mgit_core.coding.plans import ChunkPlan, Effort
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, NotFoundError
from mgit_core.files import FileList
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest, Parameter
from mgit_core.ports.chunks import ChunkStore, ParameterStore
from mgit_service.use_cases.maintenance.repack.rewriting import Piece, PiecePlan
from mgit_service.use_cases.prediction.planning import TensorPlanner

__all__ = ["ChunkStates", "ModelDocuments", "file_pieces", "find_states", "read_documents", "tensor_pieces"]

# Two pieces fit the window: one is encoded while the next is read and planned.
_PIECE_BYTES = 32 << 20
_CHUNKS_AT_ONCE = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDocuments:
    """What a model is made of."""

    manifest: Manifest
    files: FileList | None

    def chunks(self) -> list[Digest]:
        """Its chunks, each once, in order of first use."""
        digests = [chunk for parameter in self.manifest.parameters for chunk in parameter.chunks]
        if self.files is not None:
            digests += [chunk for entry in self.files.files for chunk in entry.chunks]
        return list(dict.fromkeys(digests))


def read_documents(parameters: ParameterStore, model: Model) -> ModelDocuments | None:
    """Manifest and file list of a model; None if they cannot be read, or the model has none. Blocks."""
    if model.parameters is None:
        return None
    try:
        return ModelDocuments(
            manifest=parameters.read_manifest(model.parameters.manifest_key),
            files=None if model.files_key is None else parameters.read_file_list(model.files_key),
        )
    except (CorruptError, NotFoundError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkStates:
    """Chunks of a model that a repack has work with.

    Attributes:
        fast: Without a copy in a dense pack.
        doubled: With one, and others besides, as a repack leaves them that was cut before it dropped those.
    """

    fast: frozenset[Digest]
    doubled: frozenset[Digest]


def find_states(chunks: ChunkStore, digests: Sequence[Digest], dense_packs: AbstractSet[str]) -> ChunkStates:
    """What is to be done with these chunks. Blocks."""
    fast = set(digests)
    doubled: set[Digest] = set()
    for start in range(0, len(digests), _CHUNKS_AT_ONCE):
        counts: dict[Digest, int] = {}
        for part in chunks.maintenance.copies(digests[start : start + _CHUNKS_AT_ONCE]):
            for copy in part:
                counts[copy.digest] = counts.get(copy.digest, 0) + 1
                if copy.pack in dense_packs:
                    fast.discard(copy.digest)
        doubled.update(digest for digest, count in counts.items() if count > 1)
    return ChunkStates(fast=frozenset(fast), doubled=frozenset(doubled - fast))


def tensor_pieces(
    parameter: Parameter, wanted: AbstractSet[Digest], planner: TensorPlanner
) -> Iterator[Piece]:
    """The wanted chunks of a tensor."""
    positions: dict[Digest, int] = {}
    sizes: dict[Digest, int] = {}
    for position, (digest, size) in enumerate(parameter.chunk_sizes()):
        if digest in wanted:
            positions.setdefault(digest, position)
            sizes[digest] = size

    def plan(contents: Mapping[Digest, bytes]) -> PiecePlan:
        at_hand = {positions[digest]: content for digest, content in contents.items()}
        planned = planner.plan(parameter.name, parameter.spec, at_hand)
        plans = {digest: planned.chunks[positions[digest]] for digest in contents}
        return PiecePlan(plans=plans, factors=planned.factors)

    for part in _cut(sizes):
        yield Piece(
            chunks=tuple(part),
            size_bytes=sum(part.values()),
            width=parameter.spec.itemsize,
            plan=plan,
        )


def file_pieces(files: FileList, wanted: AbstractSet[Digest]) -> Iterator[Piece]:
    """The wanted chunks of files."""
    sizes = {
        digest: size
        for entry in files.files
        for digest, size in zip(entry.chunks, file_chunk_sizes(entry.stored_bytes), strict=True)
        if digest in wanted
    }
    for part in _cut(sizes):
        yield Piece(chunks=tuple(part), size_bytes=sum(part.values()), width=1, plan=_plan_bytes)


def _plan_bytes(contents: Mapping[Digest, bytes]) -> PiecePlan:
    plan = ChunkPlan(numbers=NumberFormat.UINT8, effort=Effort.DENSE)
    return PiecePlan(plans=dict.fromkeys(contents, plan))


def _cut(sizes: Mapping[Digest, int]) -> Iterator[dict[Digest, int]]:
    part: dict[Digest, int] = {}
    part_bytes = 0
    for digest, size in sizes.items():
        if part and part_bytes + size > _PIECE_BYTES:
            yield part
            part, part_bytes = {}, 0
        part[digest] = size
        part_bytes += size
    if part:
        yield part
