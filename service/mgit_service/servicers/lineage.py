"""LineageService: the graph over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias, TypeVar

import grpc.aio
from google.protobuf.message import Message
from typing_extensions import override

from mgit_core.lineage import Model, RequestKey
from mgit_core.ports.graph import Page
from mgit_proto.v1 import lineage_pb2 as pb
from mgit_proto.v1 import lineage_pb2_grpc
from mgit_service.servicers import convert
from mgit_service.servicers.facts import facts_answers
from mgit_service.servicers.paging import PagedList
from mgit_service.servicers.requests import request_key
from mgit_service.servicers.walks import walk_answer, walk_question
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.lineage import catalog, edges, traversal
from mgit_service.use_cases.lineage.facts import describe_models
from mgit_service.use_cases.lineage.walking import walk_models
from mgit_service.use_cases.references import find_readable

__all__ = ["LineageServicer"]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Item = TypeVar("Item")

# A summary takes up to about 300 bytes and an edge about 130, so that a message stays below 1 MiB.
_ITEMS_IN_A_MESSAGE = 2_000


class LineageServicer(lineage_pb2_grpc.LineageServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._lineage = backend.lineage
        self._algorithm = backend.chunks.algorithm

    @override
    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        model = await find_readable(self._lineage, request.model)
        return pb.GetModelResponse(model=convert.model_message(model))

    @override
    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        listed = PagedList("models", (request.name_prefix, request.type))
        page = listed.page(request.page_size, request.page_token)
        models = await catalog.list_models(
            self._lineage, page, prefix=request.name_prefix, type_name=request.type
        )
        return pb.ListModelsResponse(
            models=[convert.listed_model_message(model) for model in models],
            next_page_token=_token(listed, page, [model.name for model in models]),
        )

    @override
    async def ListVersions(
        self, request: pb.ListVersionsRequest, context: Context
    ) -> pb.ListVersionsResponse:
        listed = PagedList("versions", (request.name,))
        page = listed.page(request.page_size, request.page_token)
        models = await catalog.list_versions(self._lineage, request.name, page)
        return pb.ListVersionsResponse(
            models=[convert.listed_model_message(model) for model in models],
            next_page_token=_token(listed, page, [str(model.version) for model in models]),
        )

    @override
    async def ListCreationGroup(
        self, request: pb.ListCreationGroupRequest, context: Context
    ) -> pb.ListCreationGroupResponse:
        listed = PagedList("creation-group", (request.group,))
        page = listed.page(request.page_size, request.page_token)
        models = await catalog.list_created_together(self._lineage, request.group, page)
        return pb.ListCreationGroupResponse(
            models=[convert.listed_model_message(model) for model in models],
            next_page_token=_token(listed, page, [_member_of(model) for model in models]),
        )

    @override
    async def RemoveModel(self, request: pb.RemoveModelRequest, context: Context) -> pb.RemoveModelResponse:
        model = await catalog.remove_model(self._lineage, request.model, self._key(request))
        return pb.RemoveModelResponse(model=convert.model_message(model))

    @override
    async def PutTag(self, request: pb.PutTagRequest, context: Context) -> pb.PutTagResponse:
        tag = await catalog.put_tag(
            self._lineage, request.model, request.tag, force=request.force, request=self._key(request)
        )
        return pb.PutTagResponse(tag=convert.tag_message(tag))

    @override
    async def DeleteTag(self, request: pb.DeleteTagRequest, context: Context) -> pb.DeleteTagResponse:
        tag = await catalog.delete_tag(self._lineage, request.name, request.tag, self._key(request))
        return pb.DeleteTagResponse(tag=convert.tag_message(tag))

    @override
    async def ListTags(self, request: pb.ListTagsRequest, context: Context) -> pb.ListTagsResponse:
        tags = await catalog.list_tags(self._lineage, request.name)
        return pb.ListTagsResponse(tags=[convert.tag_message(tag) for tag in tags])

    @override
    async def LinkModels(self, request: pb.LinkModelsRequest, context: Context) -> pb.LinkModelsResponse:
        parent = convert.parent_request(request.parent)
        edge = await edges.link(self._lineage, request.child, parent, self._key(request))
        return pb.LinkModelsResponse(edge=convert.edge_message(edge))

    @override
    async def UnlinkModels(
        self, request: pb.UnlinkModelsRequest, context: Context
    ) -> pb.UnlinkModelsResponse:
        relation = convert.relation_value(request.relation)
        deleted = await edges.unlink(
            self._lineage, request.child, request.parent, relation, self._key(request)
        )
        return pb.UnlinkModelsResponse(edges=[convert.edge_message(edge) for edge in deleted])

    @override
    async def LinkRevision(
        self, request: pb.LinkRevisionRequest, context: Context
    ) -> pb.LinkRevisionResponse:
        edge = await edges.link_revision(self._lineage, request.newer, request.older, self._key(request))
        return pb.LinkRevisionResponse(edge=convert.revision_message(edge))

    @override
    async def UnlinkRevision(
        self, request: pb.UnlinkRevisionRequest, context: Context
    ) -> pb.UnlinkRevisionResponse:
        edge = await edges.unlink_revision(self._lineage, request.newer, request.older, self._key(request))
        return pb.UnlinkRevisionResponse(edge=convert.revision_message(edge))

    @override
    async def ListRelatives(
        self, request: pb.ListRelativesRequest, context: Context
    ) -> AsyncIterator[pb.ListRelativesResponse]:
        question = _question(request, limit=request.limit)
        if request.view == pb.TRAVERSAL_VIEW_UIDS:
            async for uids, is_truncated in traversal.list_uids(self._lineage, question):
                yield pb.ListRelativesResponse(uids=uids, truncated=is_truncated)
            return
        async for relatives, is_truncated in traversal.list_relatives(self._lineage, question):
            yield pb.ListRelativesResponse(
                relatives=[convert.related_message(relative) for relative in relatives],
                truncated=is_truncated,
            )

    @override
    async def CountRelatives(
        self, request: pb.CountRelativesRequest, context: Context
    ) -> pb.CountRelativesResponse:
        count = await traversal.count_relatives(self._lineage, _question(request))
        return pb.CountRelativesResponse(count=count)

    @override
    async def GetLineage(
        self, request: pb.GetLineageRequest, context: Context
    ) -> AsyncIterator[pb.GetLineageResponse]:
        graph = await traversal.lineage_graph(self._lineage, request.models, request.max_models)
        for models in _slices(graph.models):
            yield pb.GetLineageResponse(models=[convert.summary_message(model) for model in models])
        for part in _slices(graph.edges):
            yield pb.GetLineageResponse(edges=[convert.edge_message(edge) for edge in part])
        for revisions in _slices(graph.revisions):
            yield pb.GetLineageResponse(revisions=[convert.revision_message(edge) for edge in revisions])
        if request.with_facts:
            described = describe_models(self._lineage, [model.uid for model in graph.models])
            async for answer in facts_answers(described):
                yield answer
        yield pb.GetLineageResponse(truncated=graph.is_truncated)

    @override
    async def WalkModels(
        self, request: pb.WalkModelsRequest, context: Context
    ) -> AsyncIterator[pb.WalkModelsResponse]:
        async for part, is_truncated in walk_models(self._lineage, walk_question(request)):
            yield walk_answer(part, is_truncated=is_truncated)

    @override
    async def FindMergeBases(
        self, request: pb.FindMergeBasesRequest, context: Context
    ) -> pb.FindMergeBasesResponse:
        models = await traversal.find_merge_bases(self._lineage, request.ours, request.theirs)
        return pb.FindMergeBasesResponse(models=[convert.summary_message(model) for model in models])

    @override
    async def ListTensorUses(
        self, request: pb.ListTensorUsesRequest, context: Context
    ) -> pb.ListTensorUsesResponse:
        listed = PagedList("tensor-uses", (request.digest.hex(),))
        page = listed.page(request.page_size, request.page_token)
        uses = await catalog.tensor_uses(self._lineage, request.digest, page)
        return pb.ListTensorUsesResponse(
            uses=[convert.use_message(use) for use in uses],
            next_page_token=_token(listed, page, [f"{use.model.uid}/{use.parameter}" for use in uses]),
        )

    @override
    async def ListDuplicates(
        self, request: pb.ListDuplicatesRequest, context: Context
    ) -> pb.ListDuplicatesResponse:
        listed = PagedList("duplicates")
        page = listed.page(request.page_size, request.page_token)
        groups = await self._lineage.content.duplicates(page)
        return pb.ListDuplicatesResponse(
            groups=[convert.duplicate_message(group) for group in groups],
            next_page_token=_token(listed, page, [group.digest.hex() for group in groups]),
        )

    def _key(self, request: Message) -> RequestKey | None:
        return request_key(self._algorithm, request)


def _question(
    request: pb.ListRelativesRequest | pb.CountRelativesRequest, *, limit: int = 0
) -> traversal.RelativesQuestion:
    return traversal.RelativesQuestion(
        reference=request.model,
        direction=convert.direction_value(request.direction),
        relations=convert.followed_relations(request.relations),
        max_depth=request.max_depth,
        limit=limit,
    )


def _member_of(model: Model) -> str:
    assert model.creation is not None  # noqa: S101 - by it the models were found
    return model.creation.member


def _token(listed: PagedList, page: Page, keys: Sequence[str]) -> str:
    return listed.next_token(page, len(keys), keys[-1]) if keys else ""


def _slices(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[at : at + _ITEMS_IN_A_MESSAGE] for at in range(0, len(items), _ITEMS_IN_A_MESSAGE)]
