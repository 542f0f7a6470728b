"""MaintenanceService: how the service is, what it stores, and the work that keeps the store in order."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from typing import Any, TypeAlias

import grpc.aio
from typing_extensions import override

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import maintenance_pb2 as pb
from mgit_proto.v1 import maintenance_pb2_grpc
from mgit_service.health import Watch
from mgit_service.servicers import convert
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.maintenance import statistics
from mgit_service.use_cases.maintenance.examining import ExaminedCheck, examine_graph
from mgit_service.use_cases.maintenance.fsck.checking import Checked, check_store
from mgit_service.use_cases.maintenance.fsck.findings import StoreProblem
from mgit_service.use_cases.maintenance.gc.collection import (
    DEFAULT_GRACE_S,
    Collected,
    CollectionJob,
    collect,
)
from mgit_service.use_cases.maintenance.repack.repacking import RepackDone, RepackJob, repack
from mgit_service.use_cases.maintenance.reporting import WorkProgress

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
            promised=found.counts.promised,
            promised_bytes=found.counts.promised_bytes,
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
            stored_bytes=found.stored_bytes,
            delta_bytes=found.delta_bytes,
            tensors=_tensors(found.tensors[:_TENSORS_IN_A_MESSAGE]),
        )
        yield first
        for start in range(_TENSORS_IN_A_MESSAGE, len(found.tensors), _TENSORS_IN_A_MESSAGE):
            part = found.tensors[start : start + _TENSORS_IN_A_MESSAGE]
            yield pb.GetModelStatisticsResponse(tensors=_tensors(part))

    @override
    async def CollectGarbage(
        self, request: pb.CollectGarbageRequest, context: Context
    ) -> AsyncIterator[pb.CollectGarbageResponse]:
        has_grace = request.HasField("grace_seconds")
        job = CollectionJob(
            dry_run=request.dry_run,
            grace_s=_at_least("grace_seconds", request.grace_seconds, 0) if has_grace else DEFAULT_GRACE_S,
            delete_everything=request.delete_everything,
        )
        async with contextlib.aclosing(collect(self._backend, job)) as steps:
            async for step in steps:
                if isinstance(step, WorkProgress):
                    yield pb.CollectGarbageResponse(progress=_progress(step))
                else:
                    yield pb.CollectGarbageResponse(result=_collected(step))

    @override
    async def Repack(self, request: pb.RepackRequest, context: Context) -> AsyncIterator[pb.RepackResponse]:
        job = RepackJob(
            seconds=_at_least("seconds", request.seconds, 0) if request.HasField("seconds") else None,
            cores=_at_least("cores", request.cores, 1) if request.HasField("cores") else None,
        )
        async with contextlib.aclosing(repack(self._backend, job)) as steps:
            async for step in steps:
                if isinstance(step, WorkProgress):
                    yield pb.RepackResponse(progress=_progress(step))
                else:
                    yield pb.RepackResponse(result=_repacked(step))

    @override
    async def CheckStore(
        self, request: pb.CheckStoreRequest, context: Context
    ) -> AsyncIterator[pb.CheckStoreResponse]:
        async with contextlib.aclosing(check_store(self._backend, repair=request.repair)) as steps:
            async for step in steps:
                if isinstance(step, WorkProgress):
                    yield pb.CheckStoreResponse(progress=_progress(step))
                elif isinstance(step, StoreProblem):
                    yield pb.CheckStoreResponse(problem=_problem(step))
                else:
                    yield pb.CheckStoreResponse(result=_checked(step))

    @override
    async def ExamineGraph(
        self, request: pb.ExamineGraphRequest, context: Context
    ) -> AsyncIterator[pb.ExamineGraphResponse]:
        checks = examine_graph(self._backend.lineage, max_problems=request.max_problems)
        async with contextlib.aclosing(checks):
            async for check in checks:
                yield _examined(check)


def _at_least(field: str, value: int, least: int) -> int:
    if value < least:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"{field} is at least {least}; found {value}.", field=field
        )
    return value


def _progress(step: WorkProgress) -> pb.Progress:
    return pb.Progress(phase=step.phase, done=step.done, total=step.total)


def _collected(result: Collected) -> pb.CollectGarbageResult:
    return pb.CollectGarbageResult(
        chunks=result.chunks,
        documents=result.documents,
        bytes_freed=result.bytes_freed,
        spared_chunks=result.spared_chunks,
        finished_earlier=result.finished_earlier,
    )


def _repacked(result: RepackDone) -> pb.RepackResult:
    return pb.RepackResult(
        chunks=result.chunks,
        bytes_before=result.bytes_before,
        bytes_after=result.bytes_after,
        is_complete=result.is_complete,
        damaged_chunks=result.damaged_chunks,
    )


def _problem(problem: StoreProblem) -> pb.StoreProblem:
    return pb.StoreProblem(
        reason=problem.reason.value,
        message=problem.message,
        subject=problem.subject,
        models=problem.models,
        repaired=problem.repaired,
    )


def _examined(check: ExaminedCheck) -> pb.ExamineGraphResponse:
    result = check.result
    return pb.ExamineGraphResponse(
        check=result.name,
        description=result.description,
        problems=[
            pb.GraphProblem(check=result.name, message=problem.message, subjects=problem.subjects)
            for problem in result.problems
        ],
        truncated=result.is_truncated,
        done=check.done,
        total=check.total,
    )


def _checked(result: Checked) -> pb.CheckStoreResult:
    return pb.CheckStoreResult(
        ok=result.ok,
        chunks=result.chunks,
        bytes=result.raw_bytes,
        documents=result.documents,
        missing=result.missing,
        promised=result.promised,
    )


def _tensors(tensors: Sequence[statistics.TensorStatistics]) -> list[pb.TensorStatistics]:
    return [
        pb.TensorStatistics(
            name=tensor.name,
            digest=tensor.digest,
            logical_bytes=tensor.logical_bytes,
            stored_bytes=tensor.stored_bytes,
            encodings=tensor.encodings,
            predictors=tensor.predictors,
            shared_with=tensor.shared_with,
        )
        for tensor in tensors
    ]
