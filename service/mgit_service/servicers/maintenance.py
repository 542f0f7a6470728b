"""MaintenanceService: how the service is, and what it stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from typing import Any, TypeAlias

import grpc.aio
from typing_extensions import override

from mgit_proto.v1 import maintenance_pb2 as pb
from mgit_proto.v1 import maintenance_pb2_grpc
from mgit_service.health import Watch
from mgit_service.servicers import convert
from mgit_service.use_cases import statistics
from mgit_service.use_cases.backend import Backend

__all__ = ["MaintenanceServicer"]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# A tensor takes up to about 1,200 bytes, most of it for a long name.
_TENSORS_IN_A_MESSAGE = 500


class MaintenanceServicer(maintenance_pb2_grpc.MaintenanceServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend, watch: Watch) -> None:
        self._backend = backend
        self._watch = watch
        self._version = version("mgit-lineage")

    @override
    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        state = self._watch.state
        problem = state.problem
        return pb.GetStatusResponse(
            service_version=self._version,
            healthy=problem is None,
            problems=[] if problem is None else [f"{problem.message} ({problem.reason.value})"],
            store_id=state.store_id,
            epoch=state.epoch,
            neo4j_version=state.neo4j_version,
            neo4j_edition=state.neo4j_edition,
            digest_algorithm=self._backend.chunks.algorithm.value,
        )

    @override
    async def GetStatistics(
        self, request: pb.GetStatisticsRequest, context: Context
    ) -> pb.GetStatisticsResponse:
        found = await statistics.store_statistics(self._backend)
        return pb.GetStatisticsResponse(
            models=found.counts.models,
            edges=found.counts.edges,
            tensors=found.counts.tensors,
            logical_bytes=found.counts.logical_bytes,
            stored_bytes=found.stored_bytes,
            pack_bytes=found.usage.pack_bytes,
            index_bytes=found.usage.index_bytes,
            manifest_bytes=found.usage.manifest_bytes,
            other_bytes=found.usage.other_bytes,
            reclaimable_bytes=found.reclaimable_bytes,
            chunks=found.usage.chunk_count,
        )

    @override
    async def GetModelStatistics(
        self, request: pb.GetModelStatisticsRequest, context: Context
    ) -> AsyncIterator[pb.GetModelStatisticsResponse]:
        found = await statistics.model_statistics(self._backend, request.model)
        first = pb.GetModelStatisticsResponse(
            model=convert.summary_message(found.model),
            logical_bytes=found.logical_bytes,
            unique_bytes=found.unique_bytes,
            shared_bytes=found.shared_bytes,
            stored_bytes=found.unique_bytes + found.shared_bytes,
            delta_bytes=found.delta_bytes,
            tensors=_tensors(found.tensors[:_TENSORS_IN_A_MESSAGE]),
        )
        yield first
        for start in range(_TENSORS_IN_A_MESSAGE, len(found.tensors), _TENSORS_IN_A_MESSAGE):
            part = found.tensors[start : start + _TENSORS_IN_A_MESSAGE]
            yield pb.GetModelStatisticsResponse(tensors=_tensors(part))


def _tensors(tensors: Sequence[statistics.TensorStatistics]) -> list[pb.TensorStatistics]:
    return [
        pb.TensorStatistics(
            name=tensor.name,
            digest=tensor.digest,
            logical_bytes=tensor.logical_bytes,
            stored_bytes=tensor.stored_bytes,
            encodings=tensor.encodings,
            shared_with=tensor.shared_with,
        )
        for tensor in tensors
    ]
