"""CompareService: how models are related, what differs between them, and how they are merged."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc.aio
from typing_extensions import override

from mgit_core.inference.kinship import Claim, Kinship
from mgit_proto.v1 import compare_pb2 as pb
from mgit_proto.v1 import compare_pb2_grpc, diff_pb2, merge_pb2
from mgit_service.servicers import convert
from mgit_service.servicers.diff_messages import diff_job, diff_messages
from mgit_service.servicers.merge_messages import merge_messages, merge_order, rebuild_message, staged_uid
from mgit_service.servicers.model_test_messages import count_fitting
from mgit_service.servicers.paging import PagedList
from mgit_service.servicers.requests import request_key
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.comparison.diffing import diff_models
from mgit_service.use_cases.inference.backfill import backfill_sketches
from mgit_service.use_cases.inference.inferring import InferenceJob, infer_lineage, infer_parents
from mgit_service.use_cases.merging.merging import decide_merge, merge_models
from mgit_service.use_cases.merging.rebuilding import rebuild_merge

__all__ = ["CompareServicer"]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_KINSHIPS = {kinship: pb.Kinship.Value(f"KINSHIP_{kinship.name}") for kinship in Kinship}


class CompareServicer(compare_pb2_grpc.CompareServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @override
    async def InferParents(
        self, request: pb.InferParentsRequest, context: Context
    ) -> pb.InferParentsResponse:
        job = InferenceJob(min_confidence=request.min_confidence, any_time=request.any_time)
        found = await infer_parents(self._backend, request.model, job)
        return pb.InferParentsResponse(claims=map(_claim, found.claims), note=found.note)

    @override
    async def InferLineage(
        self, request: pb.InferLineageRequest, context: Context
    ) -> AsyncIterator[pb.InferLineageResponse]:
        job = InferenceJob(
            min_confidence=request.min_confidence,
            any_time=request.any_time,
            only_orphans=request.only_orphans,
        )
        async with contextlib.aclosing(infer_lineage(self._backend, request.models, job)) as steps:
            async for step in steps:
                yield pb.InferLineageResponse(
                    model=convert.summary_message(step.model),
                    claims=map(_claim, step.claims),
                    note=step.note,
                    done=step.done,
                    total=step.total,
                )

    @override
    async def BackfillSketches(
        self, request: pb.BackfillSketchesRequest, context: Context
    ) -> AsyncIterator[pb.BackfillSketchesResponse]:
        async with contextlib.aclosing(backfill_sketches(self._backend)) as steps:
            async for done, total in steps:
                yield pb.BackfillSketchesResponse(done=done, total=total)

    @override
    async def DiffModels(
        self, request: diff_pb2.DiffModelsRequest, context: Context
    ) -> AsyncIterator[diff_pb2.DiffModelsResponse]:
        parts = diff_models(self._backend, request.before, request.after, diff_job(request))
        async with contextlib.aclosing(parts):
            async for message in diff_messages(parts):
                yield message

    @override
    async def MergeModels(
        self, request: merge_pb2.MergeModelsRequest, context: Context
    ) -> AsyncIterator[merge_pb2.MergeModelsResponse]:
        key = request_key(self._backend.chunks.algorithm, request)
        merge = merge_models(self._backend, merge_order(request), key)
        async with contextlib.aclosing(merge) as steps:
            async for step in steps:
                for message in merge_messages(step):
                    yield message

    @override
    async def DecideMerge(
        self, request: merge_pb2.DecideMergeRequest, context: Context
    ) -> merge_pb2.DecideMergeResponse:
        key = request_key(self._backend.chunks.algorithm, request)
        model = await decide_merge(
            self._backend, staged_uid(request.uid), is_published=request.publish, request=key
        )
        return merge_pb2.DecideMergeResponse(model=None if model is None else convert.model_message(model))

    @override
    async def ListStagedMerges(
        self, request: merge_pb2.ListStagedMergesRequest, context: Context
    ) -> merge_pb2.ListStagedMergesResponse:
        listed = PagedList("staged merges")
        page = listed.page(request.page_size, request.page_token)
        models = await self._backend.lineage.staging.list_undecided(page)
        answers = [convert.model_message(model) for model in models]
        count = count_fitting(answers)
        rows = page.size if count < len(answers) else count
        return merge_pb2.ListStagedMergesResponse(
            models=answers[:count],
            next_page_token=listed.next_token(page, rows, models[count - 1].uid) if models else "",
        )

    @override
    async def RebuildMerge(
        self, request: merge_pb2.RebuildMergeRequest, context: Context
    ) -> AsyncIterator[merge_pb2.RebuildMergeResponse]:
        async with contextlib.aclosing(rebuild_merge(self._backend, request.model)) as steps:
            async for step in steps:
                yield rebuild_message(step)


def _claim(claim: Claim) -> pb.Claim:
    message = pb.Claim(
        child=convert.summary_message(claim.child),
        parent=convert.summary_message(claim.parent),
        kinship=_KINSHIPS[claim.kinship],
        weight=claim.weight,
        confidence=claim.confidence,
        evidence=claim.evidence,
    )
    if claim.relation is not None:
        message.relation = convert.relation_message(claim.relation)
    return message
