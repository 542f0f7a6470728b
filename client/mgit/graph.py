"""Questions to the lineage graph, and changes of its edges and tags."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, TypeVar

from mgit.connection import Connection
from mgit.values import (
    DuplicateGroup,
    Edge,
    Lineage,
    ModelReference,
    ModelSummary,
    Parent,
    Relation,
    Relative,
    Relatives,
    RevisionEdge,
    Tag,
    TensorUse,
    reference_of,
)
from mgit.wire import (
    read_duplicates,
    read_edge,
    read_lineage,
    read_revision,
    read_summary,
    read_tag,
    read_use,
    write_parent,
    write_relation,
)
from mgit_core.digest import digest_from_hex
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import lineage_pb2, types_pb2

__all__ = ["LineageCalls", "as_parent", "list_pages", "new_request_id"]

T = TypeVar("T")

_ANY = types_pb2.Relation.RELATION_UNSPECIFIED
_ANCESTORS = lineage_pb2.Direction.DIRECTION_ANCESTORS
_DESCENDANTS = lineage_pb2.Direction.DIRECTION_DESCENDANTS


def new_request_id() -> str:
    """What makes one intended change idempotent, however often it is sent."""
    return uuid.uuid4().hex


def list_pages(ask: Callable[[str], tuple[Iterable[T], str]]) -> Iterator[T]:
    """The entries of a list that comes in pages; ``ask`` takes a page's token and gives the next one's."""
    token = ""
    while True:
        entries, token = ask(token)
        yield from entries
        if not token:
            return


class LineageCalls:
    """The part of a repository that asks and changes the lineage graph."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tag(self, model: ModelReference, tag: str, *, force: bool = False) -> Tag:
        """Point a tag of the model's name to the model; nothing happens if it does already.

        Args:
            model: The model.
            tag: One segment of a name, not a number and not ``latest``.
            force: Whether a tag that points elsewhere is moved.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            InvalidArgumentError: INVALID_NAME.
            FailedPreconditionError: MODEL_REMOVED.
            ConflictError: TAG_MOVED: it points elsewhere, and ``force`` is not set.
        """
        request = lineage_pb2.PutTagRequest(
            model=reference_of(model), tag=tag, force=force, request_id=new_request_id()
        )
        return read_tag(self._connection.call(self._connection.lineage.PutTag, request).tag)

    def untag(self, name: str, tag: str) -> Tag:
        """Delete a tag of a model name; gives the tag as it was.

        Raises:
            NotFoundError: TAG_NOT_FOUND.
        """
        request = lineage_pb2.DeleteTagRequest(name=name, tag=tag, request_id=new_request_id())
        return read_tag(self._connection.call(self._connection.lineage.DeleteTag, request).tag)

    def tags(self, name: str) -> list[Tag]:
        """The tags of a model name, sorted; empty for a name that was never used."""
        request = lineage_pb2.ListTagsRequest(name=name)
        answer = self._connection.call(self._connection.lineage.ListTags, request)
        return [read_tag(tag) for tag in answer.tags]

    def link(self, child: ModelReference, parent: Parent | ModelReference) -> Edge:
        """Add a provenance edge between existing models: ``repo.link("sst2", mgit.finetuned("minilm"))``.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or PARENT_NOT_FOUND.
            AlreadyExistsError: EDGE_EXISTS.
            ConflictError: CYCLE; the details hold the path that the edge would close.
        """
        request = lineage_pb2.LinkModelsRequest(
            child=reference_of(child), parent=write_parent(as_parent(parent)), request_id=new_request_id()
        )
        return read_edge(self._connection.call(self._connection.lineage.LinkModels, request).edge)

    def unlink(
        self, child: ModelReference, parent: ModelReference, relation: Relation | str | None = None
    ) -> tuple[Edge, ...]:
        """Delete the provenance edges between two models, or the one of ``relation``; gives them as they were.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or EDGE_NOT_FOUND.
            InvalidArgumentError: INVALID_RELATION.
        """
        request = lineage_pb2.UnlinkModelsRequest(
            child=reference_of(child),
            parent=reference_of(parent),
            relation=_ANY if relation is None else write_relation(relation),
            request_id=new_request_id(),
        )
        answer = self._connection.call(self._connection.lineage.UnlinkModels, request)
        return tuple(map(read_edge, answer.edges))

    def link_revision(self, newer: ModelReference, older: ModelReference) -> RevisionEdge:
        """Add a version edge between existing models.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
            AlreadyExistsError: EDGE_EXISTS: the newer model has one.
            ConflictError: CYCLE.
        """
        request = lineage_pb2.LinkRevisionRequest(
            newer=reference_of(newer), older=reference_of(older), request_id=new_request_id()
        )
        return read_revision(self._connection.call(self._connection.lineage.LinkRevision, request).edge)

    def unlink_revision(self, newer: ModelReference, older: ModelReference) -> RevisionEdge:
        """Delete a version edge; gives it as it was.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or EDGE_NOT_FOUND.
        """
        request = lineage_pb2.UnlinkRevisionRequest(
            newer=reference_of(newer), older=reference_of(older), request_id=new_request_id()
        )
        return read_revision(self._connection.call(self._connection.lineage.UnlinkRevision, request).edge)

    def ancestors(
        self,
        model: ModelReference,
        *,
        relations: Collection[Relation | str] = (),
        depth: int | None = None,
        limit: int | None = None,
    ) -> Relatives:
        """What a model was made from, each once, by hops and then uid, as the answer arrives.

        Args:
            model: Where to start; it is not among the answers.
            relations: Edges to follow; empty means all.
            depth: Largest number of hops on the shortest path; None means no bound.
            limit: Largest number of models; None means all. Whether it cut the answer is said by ``truncated``.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND; here and below, when the iteration begins.
            InvalidArgumentError: INVALID_ARGUMENT or INVALID_RELATION.
        """
        return self._relatives(_relatives_request(model, _ANCESTORS, relations, depth, limit))

    def descendants(
        self,
        model: ModelReference,
        *,
        relations: Collection[Relation | str] = (),
        depth: int | None = None,
        limit: int | None = None,
    ) -> Relatives:
        """What was made from a model; otherwise as ``ancestors``."""
        return self._relatives(_relatives_request(model, _DESCENDANTS, relations, depth, limit))

    def ancestor_uids(
        self, model: ModelReference, *, relations: Collection[Relation | str] = (), depth: int | None = None
    ) -> list[str]:
        """The uids alone, in no order: the fastest way to many ancestors.

        Raises:
            MGitError: As ``ancestors``.
        """
        return self._uids(_relatives_request(model, _ANCESTORS, relations, depth, None))

    def descendant_uids(
        self, model: ModelReference, *, relations: Collection[Relation | str] = (), depth: int | None = None
    ) -> list[str]:
        """As ``ancestor_uids``, of descendants."""
        return self._uids(_relatives_request(model, _DESCENDANTS, relations, depth, None))

    def count_ancestors(
        self, model: ModelReference, *, relations: Collection[Relation | str] = (), depth: int | None = None
    ) -> int:
        """How many ``ancestors`` there are.

        Raises:
            MGitError: As ``ancestors``.
        """
        return self._count(_relatives_request(model, _ANCESTORS, relations, depth, None))

    def count_descendants(
        self, model: ModelReference, *, relations: Collection[Relation | str] = (), depth: int | None = None
    ) -> int:
        """How many ``descendants`` there are.

        Raises:
            MGitError: As ``ancestors``.
        """
        return self._count(_relatives_request(model, _DESCENDANTS, relations, depth, None))

    def lineage(
        self, models: Iterable[ModelReference] = (), *, max_models: int | None = None, facts: bool = False
    ) -> Lineage:
        """Models with all their ancestors and descendants, and every edge among them.

        Args:
            models: Where to start; empty means the whole graph.
            max_models: Largest number of models, 100,000 at most; None means 10,000.
            facts: Whether types, metadata, tags, sizes, test states, open bugs and data sets are told besides.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        if isinstance(models, str):
            models = [models]
        request = lineage_pb2.GetLineageRequest(
            models=map(reference_of, models),
            max_models=_bound("max_models", max_models),
            with_facts=facts,
        )
        return read_lineage(self._connection.collect(self._connection.lineage.GetLineage, request))

    def merge_bases(self, ours: ModelReference, theirs: ModelReference) -> tuple[ModelSummary, ...]:
        """Common ancestors, ends included, that are no ancestor of another common one, by uid.

        There may be none or several.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        """
        request = lineage_pb2.FindMergeBasesRequest(ours=reference_of(ours), theirs=reference_of(theirs))
        answer = self._connection.call(self._connection.lineage.FindMergeBases, request)
        return tuple(map(read_summary, answer.models))

    def models_with_tensor(self, digest: str) -> Iterator[TensorUse]:
        """The present models that hold a tensor, by uid and parameter.

        Args:
            digest: Digest of the tensor, hexadecimal, as a tensor's ``digest`` has it.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        wanted = digest_from_hex(digest)

        def ask(token: str) -> tuple[Iterable[TensorUse], str]:
            request = lineage_pb2.ListTensorUsesRequest(digest=wanted, page_size=1000, page_token=token)
            answer = self._connection.call(self._connection.lineage.ListTensorUses, request)
            return map(read_use, answer.uses), answer.next_page_token

        return list_pages(ask)

    def duplicates(self) -> Iterator[DuplicateGroup]:
        """Groups of present models with exactly equal parameters, by digest."""

        def ask(token: str) -> tuple[Iterable[DuplicateGroup], str]:
            request = lineage_pb2.ListDuplicatesRequest(page_token=token)
            answer = self._connection.call(self._connection.lineage.ListDuplicates, request)
            return map(read_duplicates, answer.groups), answer.next_page_token

        return list_pages(ask)

    def _relatives(self, request: lineage_pb2.ListRelativesRequest) -> Relatives:
        request.view = lineage_pb2.TraversalView.TRAVERSAL_VIEW_SUMMARIES

        def parts() -> Iterator[tuple[list[Relative], bool]]:
            method = self._connection.lineage.ListRelatives
            with self._connection.stream(method, request, is_bounded=True) as answers:
                for answer in answers:
                    found = [Relative(read_summary(each.model), each.hops) for each in answer.relatives]
                    yield found, answer.truncated

        return Relatives(parts())

    def _uids(self, request: lineage_pb2.ListRelativesRequest) -> list[str]:
        request.view = lineage_pb2.TraversalView.TRAVERSAL_VIEW_UIDS
        answers = self._connection.collect(self._connection.lineage.ListRelatives, request)
        return [uid for answer in answers for uid in answer.uids]

    def _count(self, request: lineage_pb2.ListRelativesRequest) -> int:
        counting = lineage_pb2.CountRelativesRequest(
            model=request.model,
            direction=request.direction,
            relations=request.relations,
            max_depth=request.max_depth,
        )
        return self._connection.call(self._connection.lineage.CountRelatives, counting).count


def as_parent(parent: Parent | ModelReference) -> Parent:
    """A bare reference as a parent that the child was derived from."""
    return parent if isinstance(parent, Parent) else Parent(parent)


def _relatives_request(
    model: ModelReference,
    direction: lineage_pb2.Direction.ValueType,
    relations: Collection[Relation | str],
    depth: int | None,
    limit: int | None,
) -> lineage_pb2.ListRelativesRequest:
    names: Collection[Any] = [relations] if isinstance(relations, str) else relations
    return lineage_pb2.ListRelativesRequest(
        model=reference_of(model),
        direction=direction,
        relations=[write_relation(relation) for relation in names],
        max_depth=_bound("depth", depth),
        limit=_bound("limit", limit),
    )


def _bound(name: str, value: int | None) -> int:
    """A bound for the wire, where 0 means none."""
    if value is None:
        return 0
    if not 1 <= value < 2**31:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"{name} is a whole number from 1, or None; found {value!r}."
        )
    return value
