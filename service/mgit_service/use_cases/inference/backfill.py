"""Sketches that models lack, made now instead of by and by."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from mgit_core.errors import CorruptError, MGitError, NotFoundError
from mgit_core.lineage import ParameterSet
from mgit_core.ports.graph import Page
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.maintenance.sketching import keep_sketch

__all__ = ["backfill_sketches"]

_PAGE = 1_000


async def backfill_sketches(backend: Backend) -> AsyncGenerator[tuple[int, int]]:
    """Make all sketches that are lacking; gives how many are done, and of how many.

    What is done stays done, so a repeat goes on after an interrupt.

    Raises:
        NotFoundError: OBJECT_NOT_FOUND or CHUNK_NOT_FOUND, after all others were made.
        CorruptError: MANIFEST_CORRUPT or CHUNK_CORRUPT, after all others were made.
        ResourceExhaustedError: DISK_FULL, at once.
    """
    lacking = await _lacking(backend)
    failure: MGitError | None = None
    yield 0, len(lacking)
    for done, parameter_set in enumerate(lacking, start=1):
        try:
            await keep_sketch(backend, parameter_set)
        except (NotFoundError, CorruptError) as error:
            failure = failure or error
        yield done, len(lacking)
    if failure is not None:
        raise failure


async def _lacking(backend: Backend) -> list[ParameterSet]:
    found: list[ParameterSet] = []
    while True:
        after = found[-1].digest.hex() if found else None
        page = await backend.lineage.sketches.lacking(Page(size=_PAGE, after=after))
        found += page
        if len(page) < _PAGE:
            return found
