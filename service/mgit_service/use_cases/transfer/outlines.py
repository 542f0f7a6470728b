"""What an upload of chunks says of itself before the first chunk: where the chunks belong, and to which model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mgit_core.coding.plans import Effort
from mgit_core.digest import Digest
from mgit_core.manifest import Parameter
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.prediction.lattices import LatticeHint, find_lattices
from mgit_service.use_cases.prediction.planning import TensorPlanner
from mgit_service.use_cases.prediction.relatives import relatives_of_draft
from mgit_service.use_cases.transfer.ingest import ChunkPlace

__all__ = ["ChunkPlaces", "UploadPlan", "plan_upload"]


class ChunkPlaces:
    """Where each chunk belongs that some parameters name; a chunk with several places has the first."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self._places: dict[Digest, tuple[int, int, int]] = {}
        for at, parameter in enumerate(parameters):
            for position, (digest, size_bytes) in enumerate(parameter.chunk_sizes()):
                self._places.setdefault(digest, (at, position, size_bytes))

    def find(self, digest: Digest, size_bytes: int) -> ChunkPlace | None:
        """The place of a chunk; None if no parameter names it, or with another size."""
        at, position, wanted = self._places.get(digest, (0, 0, None))
        if wanted != size_bytes:
            return None
        parameter = self._parameters[at]
        return ChunkPlace(parameter.name, parameter.spec, position)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPlan:
    """How the chunks of an upload are to be stored.

    Attributes:
        planner: Finds what to predict each tensor from.
        places: Where the chunks belong.
        unused: Parameters whose hints cannot be used, as far as that is known before the chunks come.
    """

    planner: TensorPlanner
    places: ChunkPlaces
    unused: tuple[str, ...]

    def unused_hints(self, limit: int) -> list[str]:
        """Parameters whose hints were not used, at most ``limit``; final after the last chunk."""
        return list(dict.fromkeys((*self.unused, *self.planner.unused_lattices)))[:limit]


async def plan_upload(
    backend: Backend, header: DraftHeader, parameters: Sequence[Parameter], hints: Sequence[LatticeHint] = ()
) -> UploadPlan:
    """How to store chunks of ``parameters``, which are some of a draft's.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND, for a parent or a version that is named.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    relatives = await relatives_of_draft(backend, header)
    lattices = await find_lattices(backend, parameters, hints)
    return UploadPlan(
        planner=TensorPlanner(backend.chunks, relatives, Effort.FAST, lattices=lattices),
        places=ChunkPlaces(parameters),
        unused=tuple(hint.parameter for hint in hints if hint.parameter not in lattices),
    )
