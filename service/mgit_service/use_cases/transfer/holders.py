"""Which models suffer from a damaged chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, MGitError
from mgit_core.lineage import Model
from mgit_core.ports.chunks import ParameterStore
from mgit_core.ports.graph import Page
from mgit_service.use_cases.backend import Backend, in_thread

__all__ = ["name_holders"]

_MOST_HOLDERS = 10
_PAGE_SIZE = 200
# The caller waits for an error; in this time some ten thousand manifests are read.
_TIMEOUT_S = 20.0


async def name_holders(backend: Backend, error: CorruptError) -> CorruptError:
    """``error`` with detail ``models``: references of up to 10 present models that hold its chunk.

    Reads the manifests of all present models, for 20 s at most, so it is for the case that something is broken.
    Where the graph cannot be asked, ``error`` stays as it is.
    """
    digest = bytes.fromhex(error.details.get("digest", ""))
    if not digest:
        return error
    holders: list[str] = []
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            async for refs in _holders(backend, digest):
                holders += refs
                if len(holders) >= _MOST_HOLDERS:
                    break
    except (MGitError, TimeoutError):
        if not holders:
            return error
    named = sorted(holders[:_MOST_HOLDERS])
    suffering = f"Held by {', '.join(named)}." if named else "No present model holds it."
    return CorruptError(
        error.reason,
        f"{error.message.rstrip('.')}. {suffering}",
        **{**error.details, "models": ",".join(named)},
    )


async def _holders(backend: Backend, digest: Digest) -> AsyncGenerator[list[str]]:
    after: str | None = None
    while models := await backend.lineage.content.parameter_sets(Page(size=_PAGE_SIZE, after=after)):
        yield await in_thread(backend, _holders_among, backend.parameters, models, digest)
        after = models[-1].uid


def _holders_among(parameters: ParameterStore, models: Sequence[Model], digest: Digest) -> list[str]:
    return [model.ref for model in models if _holds(parameters, model, digest)]


def _holds(parameters: ParameterStore, model: Model, digest: Digest) -> bool:
    try:
        if model.parameters is not None:
            manifest = parameters.read_manifest(model.parameters.manifest_key)
            if any(digest in parameter.chunks for parameter in manifest.parameters):
                return True
        if model.files_key is not None:
            files = parameters.read_file_list(model.files_key)
            return any(digest in entry.chunks for entry in files.files)
    except MGitError:
        # A second damage must not hide the first; reading that model will tell its own.
        return False
    return False
