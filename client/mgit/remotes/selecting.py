"""Which models travel: what was named with all that it was made from, or everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mgit.remotes.sides import Side
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason
from mgit_proto.v1 import exchange_pb2, lineage_pb2, types_pb2

__all__ = ["Candidate", "Selection", "export_models", "select_models"]

# What one request may name.
_MOST_NAMED = 1_000
_MOST_UIDS = 10_000

_REMOVED = types_pb2.ModelState.MODEL_STATE_REMOVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model of the source, as far as the choice of what travels needs it.

    Attributes:
        uid: UID.
        name: Name at the source.
        version: Version number.
        is_removed: Whether it is a tombstone.
        parameters_digest: Digest of its parameter set; empty for a tombstone.
        files_digest: Digest of its file list; empty for none.
        size_bytes: Bytes of its tensors and attached files.
        tensor_count: Number of its parameters.
        tags: Tags that point to it.
        older: UIDs of its parents and of the model that it is a newer version of.
        is_promised: Whether the source lacks some of its chunks.
    """

    uid: str
    name: str
    version: int
    is_removed: bool
    parameters_digest: Digest
    files_digest: Digest
    size_bytes: int
    tensor_count: int
    tags: tuple[str, ...]
    older: tuple[str, ...]
    is_promised: bool

    @property
    def ref(self) -> str:
        """``NAME@VERSION`` at the source."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The models that travel.

    Attributes:
        candidates: Parents first.
        named: UIDs of those that were named; empty if everything travels.
        before: UIDs of those whose parameters stay at the source.
    """

    candidates: tuple[Candidate, ...]
    named: frozenset[str]
    before: frozenset[str]


def select_models(source: Side, references: Sequence[str], since: str | None) -> Selection:
    """The models that references name, with their ancestors over edges of both kinds; all without a reference.

    Args:
        source: Where they are.
        references: Models of the source.
        since: A model of the source: its parameters and those of its ancestors stay there.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
    """
    hops: dict[str, int] = {}
    for start in range(0, max(1, len(references)), _MOST_NAMED):
        # What is reached from one part holds all ancestors of its models, so parents stay first when parts are joined.
        for uid, found in _walk(source, references[start : start + _MOST_NAMED]):
            hops[uid] = min(found, hops.get(uid, found))
    before = frozenset() if since is None else frozenset(uid for uid, _ in _walk(source, [since]))
    return Selection(
        candidates=tuple(map(_read_candidate, export_models(source, list(hops)))),
        named=frozenset(uid for uid, found in hops.items() if not found) if references else frozenset(),
        before=before,
    )


def export_models(source: Side, uids: Sequence[str]) -> Iterator[types_pb2.Model]:
    """Models in order, with all that is imported elsewhere.

    Raises:
        NotFoundError: MODEL_NOT_FOUND.
        CorruptError: MANIFEST_CORRUPT, for a source that answers something else than it was asked.
    """
    for start in range(0, len(uids), _MOST_UIDS):
        wanted = list(uids[start : start + _MOST_UIDS])
        found = _export(source, wanted)
        if [model.summary.uid for model in found] != wanted:
            raise CorruptError(
                ErrorReason.MANIFEST_CORRUPT,
                f"The service at {source.address} gave other models than it was asked for; nothing of them was taken.",
            )
        yield from found


def _export(source: Side, uids: Sequence[str]) -> list[types_pb2.Model]:
    request = exchange_pb2.ExportModelsRequest(uids=uids)
    answers = source.collect(source.connection.exchange.ExportModels, lambda: request)
    return [model for answer in answers for model in answer.models]


def _walk(source: Side, references: Sequence[str]) -> Iterator[tuple[str, int]]:
    request = lineage_pb2.WalkModelsRequest(
        models=references,
        direction=lineage_pb2.WalkDirection.WALK_DIRECTION_ANCESTORS,
        order=lineage_pb2.WalkOrder.WALK_ORDER_PARENTS_FIRST,
        edges=lineage_pb2.WalkEdges.WALK_EDGES_ALL,
    )
    for answer in source.collect(source.connection.lineage.WalkModels, lambda: request):
        for step in answer.steps:
            yield step.model.uid, step.hops


def _read_candidate(model: types_pb2.Model) -> Candidate:
    older = [edge.parent_uid for edge in model.parents]
    if model.HasField("previous"):
        older.append(model.previous.uid)
    return Candidate(
        uid=model.summary.uid,
        name=model.summary.name,
        version=model.summary.version,
        is_removed=model.summary.state == _REMOVED,
        parameters_digest=model.parameters_digest,
        files_digest=model.files_digest,
        size_bytes=model.size_bytes + model.files_bytes,
        tensor_count=model.tensor_count,
        tags=tuple(model.tags),
        older=tuple(dict.fromkeys(older)),
        is_promised=model.HasField("promised_by"),
    )
