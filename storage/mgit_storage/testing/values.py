"""Small valid values for tests."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.lineage import ModelCommit, ParameterSet, ParentLink, Previous, TensorRecord
from mgit_core.names import make_uid

__all__ = ["fresh_uid", "make_commit", "make_tensors"]


def fresh_uid() -> str:
    """A uid that nobody has; later ones sort behind earlier ones, also within a millisecond."""
    unix_ms, rest_ns = divmod(time.time_ns(), 1_000_000)
    within = (rest_ns * 4096 // 1_000_000).to_bytes(2, "big")
    return make_uid(unix_ms, within + os.urandom(8))


def _digest(text: str) -> Digest:
    return digest_of(DigestAlgorithm.BLAKE3, text.encode())


def make_tensors(content: str, count: int) -> tuple[TensorRecord, ...]:
    """``count`` tensors whose digests follow from ``content``."""
    return tuple(
        TensorRecord(
            name=f"layer.{number}",
            digest=_digest(f"{content}/{number}"),
            dtype="float32",
            shape=(4, 2),
            size_bytes=32,
        )
        for number in range(count)
    )


def make_commit(
    name: str,
    *parents: ParentLink,
    content: str | None = None,
    tensors: int = 2,
    previous: Previous | None = None,
    epoch: int = 1,
) -> ModelCommit:
    """A commit of a model whose parameters follow from ``content``; new ones if it is None."""
    uid = fresh_uid()
    seed = uid if content is None else content
    records = make_tensors(seed, tensors)
    digest = _digest(f"set {seed} {tensors}")
    return ModelCommit(
        uid=uid,
        name=name,
        created_at=datetime.now(UTC),
        parameters=ParameterSet(
            digest=digest,
            manifest_key=f"manifests/{digest.hex()}/{uid.replace('-', '')}",
            size_bytes=32 * tensors,
            tensor_count=tensors,
        ),
        tensors=records,
        epoch=epoch,
        parents=parents,
        previous=previous or Previous(),
    )
