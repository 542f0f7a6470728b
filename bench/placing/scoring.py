"""Claims of the service's own code about a pool, counted."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.placing.families import PoolModel, Tensors

from mgit_core.chunking import chunk_ranges
from mgit_core.digest import DigestAlgorithm
from mgit_core.lineage import Model, ModelCommit, ParameterSet, Previous, TensorRecord
from mgit_core.manifest import Manifest, Parameter, make_parameter
from mgit_core.ports.graph import Lineage
from mgit_core.tensor import TensorSpec, name_of_dtype
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.inference.inferring import Inference, InferenceJob, infer_parents
from mgit_service.use_cases.maintenance.sketching import keep_sketch
from mgit_storage.lineage import open_memory
from mgit_storage.store import open_store
from mgit_storage.testing.values import fresh_uid

__all__ = ["Score", "open_backend", "score_pool", "store_model"]

_ALGORITHM = DigestAlgorithm.BLAKE3
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Score:
    """Counts over a pool.

    Attributes:
        claims: Claims that were made.
        right: Claims whose parent and kinship are both true.
        parents: True edges.
        found: True edges that were claimed, whatever the kinship.
        roots: Models that were made from none.
        clean: Roots about which nothing was claimed.
        faults: What was wrong or missed, a line each.
    """

    claims: int = 0
    right: int = 0
    parents: int = 0
    found: int = 0
    roots: int = 0
    clean: int = 0
    faults: list[str] = field(default_factory=list)

    def count(self, model: PoolModel, found: Inference) -> None:
        """Add one model."""
        told = {claim.parent.name: claim.kinship for claim in found.claims}
        self.claims += len(told)
        self.right += sum(name in model.parents and kin is model.kinship for name, kin in told.items())
        self.parents += len(model.parents)
        self.found += len(told.keys() & set(model.parents))
        if not model.parents:
            self.roots += 1
            self.clean += not told
        is_right = told.keys() == set(model.parents) and set(told.values()) <= {model.kinship}
        if not is_right:
            said = ", ".join(f"{kin} from {name}" for name, kin in told.items()) or found.note
            self.faults.append(f"{model.name}: {model.kinship} from {', '.join(model.parents)}; told {said}")


async def score_pool(models: Sequence[PoolModel]) -> Score:
    """Add the models one after the other, without any edge, and ask for the parents of each."""
    score = Score()
    async with open_backend() as backend:
        for number, model in enumerate(models):
            stored = await store_model(backend, model.name, model.tensors, _BEGIN + timedelta(hours=number))
            found = await infer_parents(backend, f"@{stored.uid}", InferenceJob())
            score.count(model, found)
    return score


@asynccontextmanager
async def open_backend(lineage: Lineage | None = None) -> AsyncIterator[Backend]:
    """A store in a throw-away folder, and a graph in memory unless there is one."""
    with tempfile.TemporaryDirectory(prefix="mgit-bench-") as folder, ThreadPoolExecutor(4) as threads:
        store = open_store(Path(folder) / "store", _ALGORITHM)
        graph = lineage or open_memory()
        await graph.binding.bind(store.id, store_is_empty=True)
        yield Backend(
            store_id=store.id,
            chunks=store.chunks,
            parameters=store.parameters,
            lineage=graph,
            threads=threads,
        )


async def store_model(backend: Backend, name: str, tensors: Tensors, created_at: datetime) -> Model:
    """A model without edges, and its sketch."""
    manifest = _store_tensors(backend, tensors)
    parameters = ParameterSet(
        digest=manifest.digest,
        manifest_key=backend.parameters.write_manifest(manifest),
        size_bytes=manifest.size_bytes,
        tensor_count=len(manifest.parameters),
    )
    commit = ModelCommit(
        uid=fresh_uid(),
        name=name,
        created_at=created_at,
        parameters=parameters,
        tensors=tuple(map(_record, manifest.parameters)),
        epoch=await backend.lineage.binding.epoch(),
        previous=Previous(automatic=False),
    )
    model = (await backend.lineage.models.commit(commit)).model
    await keep_sketch(backend, parameters)
    return model


def _record(parameter: Parameter) -> TensorRecord:
    return TensorRecord(
        name=parameter.name,
        digest=parameter.digest,
        dtype=parameter.spec.dtype,
        shape=parameter.spec.shape,
        size_bytes=parameter.spec.size_bytes,
    )


def _store_tensors(backend: Backend, tensors: Tensors) -> Manifest:
    parameters = []
    with backend.chunks.open_writer() as writer:
        for name, array in tensors.items():
            spec = TensorSpec(name_of_dtype(array.dtype), array.shape)
            content = array.tobytes()
            digests = [
                writer.write(content[start:stop], width=spec.itemsize) for start, stop in chunk_ranges(spec)
            ]
            parameters.append(make_parameter(_ALGORITHM, name, spec, digests))
    return Manifest(_ALGORITHM, tuple(parameters))
