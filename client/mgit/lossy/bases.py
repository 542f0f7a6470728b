"""The parent that changes are measured against, as it comes back from the store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mgit.chunks import ChunkPlan, WireChunkReader, fetch_chunks
from mgit.connection import Connection
from mgit.content import ModelContent
from mgit.lossy.spool import Spool, SpooledContent
from mgit.promises import promises_told
from mgit.wire import read_summary
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lattice import LOSSY_DTYPES
from mgit_core.manifest import Manifest, Parameter
from mgit_proto.v1 import lineage_pb2, types_pb2

__all__ = ["Base", "Pair", "fetch_pairs", "find_base"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A parent with tensors of the model's names.

    Attributes:
        uid: Its uid.
        ref: Its reference.
        parameters: Those of its parameters that a parameter of the model may be measured against, by name.
    """

    uid: str
    ref: str
    parameters: dict[str, Parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A parameter of the model that differs from the base's.

    Attributes:
        parameter: The model's.
        base: The base's bytes, of the same type and shape.
    """

    parameter: Parameter
    base: SpooledContent


def find_base(connection: Connection, links: Iterable[types_pb2.ParentLink], model: Manifest) -> Base:
    """The first declared parent with a tensor of the model's: same name, type and shape, of 16 or 32 bits.

    Its link is changed to name it by uid.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, if no parent has one.
        NotFoundError: PARENT_NOT_FOUND, MODEL_NOT_FOUND or TAG_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED.
    """
    looked_at: list[str] = []
    for link in links:
        request = lineage_pb2.GetModelRequest(model=link.parent)
        summary = read_summary(connection.call(connection.lineage.GetModel, request).model.summary)
        content = ModelContent(connection, WireChunkReader(connection), summary.uid)
        theirs = {parameter.name: parameter for parameter in content.listing.manifest.parameters}
        shared = {
            ours.name: theirs[ours.name]
            for ours in model.parameters
            if ours.name in theirs and ours.spec == theirs[ours.name].spec and ours.spec.dtype in LOSSY_DTYPES
        }
        if shared:
            link.parent = f"@{summary.uid}"  # A later version of the name would be another parent.
            return Base(uid=summary.uid, ref=summary.ref, parameters=shared)
        looked_at.append(summary.ref)
    found = f"none of {', '.join(looked_at)} has one" if looked_at else "no parent was declared"
    raise InvalidArgumentError(
        ErrorReason.INVALID_ARGUMENT,
        "Guarded loss measures changes against a parent with a tensor of the same name, type and shape, of type "
        f"{', '.join(sorted(LOSSY_DTYPES))}; {found}.",
        field="lossy",
    )


def fetch_pairs(
    connection: Connection, base: Base, parameters: Iterable[Parameter], spool: Spool
) -> list[Pair]:
    """The parameters that differ from the base's, with the base's bytes, fetched all at once.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT.
        UnavailableError: SERVICE_UNAVAILABLE.
        ResourceExhaustedError: DISK_FULL.
    """
    plan = ChunkPlan()
    pairs: list[Pair] = []
    for parameter in parameters:
        theirs = base.parameters.get(parameter.name)
        if theirs is None or theirs.digest == parameter.digest:
            continue
        content = SpooledContent(spool, spool.reserve(parameter.spec.size_bytes))
        start = 0
        for digest, size_bytes in theirs.chunk_sizes():
            plan.add(digest, size_bytes, content, start)
            start += size_bytes
        pairs.append(Pair(parameter=parameter, base=content))
    if pairs:
        with promises_told(connection, [base.uid]):
            fetch_chunks(connection, plan)
    return pairs
