"""Parameters of which chunks are in another store: what may be read of them, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, FailedPreconditionError, MGitError
from mgit_core.lineage import Model, ParameterSet
from mgit_service.use_cases.backend import Backend, in_thread

__all__ = ["check_here", "check_whole"]

_DIGESTS_AT_ONCE = 10_000


def check_whole(model: Model) -> None:
    """Refuse a model of which chunks are in another store.

    Raises:
        FailedPreconditionError: PARAMETERS_PROMISED.
    """
    if model.parameters is not None and not model.parameters.is_whole:
        raise _promised(model, model.parameters)


async def check_here(backend: Backend, model: Model, chunks: Sequence[Digest]) -> None:
    """Refuse to read chunks of a model that are in another store. Of a model that is whole nothing is asked.

    Raises:
        FailedPreconditionError: PARAMETERS_PROMISED.
    """
    parameters = model.parameters
    if parameters is None or parameters.is_whole:
        return
    for start in range(0, len(chunks), _DIGESTS_AT_ONCE):
        part = chunks[start : start + _DIGESTS_AT_ONCE]
        if await in_thread(backend, backend.chunks.find_missing, part):
            raise _promised(model, parameters)


def _promised(model: Model, parameters: ParameterSet) -> MGitError:
    promise = parameters.promised_by
    remote = "" if promise is None else promise.remote
    store_id = "" if promise is None else promise.store_id
    return FailedPreconditionError(
        ErrorReason.PARAMETERS_PROMISED,
        f"Parameters of {model.ref} were left at remote {remote!r}; fetch them with 'mgit pull {model.ref}'.",
        model=model.ref,
        remote=remote,
        store_id=store_id,
    )
