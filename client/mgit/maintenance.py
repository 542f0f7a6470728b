"""Work that keeps a store in order: collection, repack, check."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeAlias

from mgit.connection import Connection
from mgit.progress import BAR_DELAY_S
from mgit_core.errors import ErrorReason, InternalError, InvalidArgumentError
from mgit_proto.v1 import maintenance_pb2 as pb

__all__ = ["Collection", "MaintenanceCalls", "Repacking", "StoreCheck", "StoreProblem", "WorkProgress"]

WorkProgress: TypeAlias = Callable[[str, int, int], None] | bool | None
"""``progress(phase, done, total)``, total 0 if it is not known; True for a bar on a terminal; None for none."""

Duration: TypeAlias = timedelta | float
"""A time, or seconds."""

_LONGEST_S = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What a collection did, or in a dry run would do.

    Attributes:
        chunks: Copies of chunks that went.
        documents: Manifests, file lists and layer graphs that went.
        bytes_freed: Bytes by which the store shrank; in a dry run, bytes of what would go.
        spared_chunks: Copies of chunks that nothing needs and that are younger than the grace period.
        finished_earlier: Whether a collection that was cut before was finished first.
        dry_run: Whether nothing was done.
    """

    chunks: int
    documents: int
    bytes_freed: int
    spared_chunks: int
    finished_earlier: bool
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Repacking:
    """What a repack did.

    Attributes:
        chunks: Chunks that were encoded again.
        bytes_before: Bytes of packs and indexes before.
        bytes_after: Bytes of packs and indexes after.
        is_complete: Whether all was looked at; False if the time was over.
        damaged_chunks: Chunks that could not be read and were left as they are.
    """

    chunks: int
    bytes_before: int
    bytes_after: int
    is_complete: bool
    damaged_chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreProblem:
    """Something in a store that is not as it should be.

    Attributes:
        reason: A reason of the list of errors, for example ``CHUNK_CORRUPT``.
        message: What was wanted and what was found.
        subject: Object key, name of a pack or index, or digest in hexadecimal.
        models: References of up to 10 present models that suffer.
        repaired: Whether it was repaired.
    """

    reason: str
    message: str
    subject: str
    models: tuple[str, ...]
    repaired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCheck:
    """What a check found.

    Attributes:
        ok: Whether nothing is wrong, or everything was repaired.
        problems: Each by its cause.
        chunks: Copies of chunks that were read.
        raw_bytes: Raw bytes of them.
        documents: Manifests, file lists and layer graphs that were read.
        missing: Digests, hexadecimal, of chunks that models need and the store lacks, the first 10,000.
        sent_bytes: Bytes of chunks that were sent from a file of the caller's.
        promised: Chunks that models need and that are in another store: no problem.
    """

    ok: bool
    problems: tuple[StoreProblem, ...]
    chunks: int
    raw_bytes: int
    documents: int
    missing: tuple[str, ...]
    sent_bytes: int = 0
    promised: int = 0


class MaintenanceCalls:
    """Maintenance of the store behind a connection. The service serves meanwhile.

    An interrupt ends the work; the next call goes on where it was.
    """

    _connection: Connection

    def gc(
        self,
        *,
        dry_run: bool = False,
        grace: Duration | None = None,
        delete_everything: bool = False,
        progress: WorkProgress = True,
    ) -> Collection:
        """Delete what no present model needs: chunks, and manifests, file lists and layer graphs.

        Args:
            dry_run: Only tell what would go.
            grace: What is younger stays; whole seconds. None means 24 hours.
            delete_everything: Collect although the graph has no model and the store has content.
            progress: Hears how far it is.

        Raises:
            ConflictError: MAINTENANCE_BUSY, or LEASE_LOST.
            FailedPreconditionError: GRAPH_WITHOUT_MODELS or STORE_MISMATCH.
            CorruptError: MANIFEST_CORRUPT, CHUNK_CORRUPT, PACK_CORRUPT or INDEX_CORRUPT: what models need is not
                known, so nothing was deleted; ``fsck`` tells more.
            InvalidArgumentError: INVALID_ARGUMENT for a negative time.
        """
        request = pb.CollectGarbageRequest(
            dry_run=dry_run, grace_seconds=_seconds("grace", grace), delete_everything=delete_everything
        )
        result = self._run(self._connection.maintenance.CollectGarbage, request, _titled("gc", progress))
        return Collection(
            chunks=result.chunks,
            documents=result.documents,
            bytes_freed=result.bytes_freed,
            spared_chunks=result.spared_chunks,
            finished_earlier=result.finished_earlier,
            dry_run=dry_run,
        )

    def repack(
        self,
        *,
        time: Duration | None = None,
        cores: int | None = None,
        progress: WorkProgress = True,
    ) -> Repacking:
        """Encode densely what was stored fast. No digest changes, and every model reads back as before.

        Args:
            time: Stop after this time, at the end of a step; whole seconds. None means when all is done.
            cores: Cores of the service to use; None means all.
            progress: Hears how far it is.

        Raises:
            ConflictError: MAINTENANCE_BUSY, or LEASE_LOST.
            FailedPreconditionError: STORE_MISMATCH.
            ResourceExhaustedError: DISK_FULL.
            InvalidArgumentError: INVALID_ARGUMENT for a negative time, or less than one core.
        """
        if cores is not None and not 1 <= cores < _LONGEST_S:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"cores is a whole number from 1, or None; found {cores}."
            )
        request = pb.RepackRequest(seconds=_seconds("time", time), cores=cores)
        result = self._run(self._connection.maintenance.Repack, request, _titled("repack", progress))
        return Repacking(
            chunks=result.chunks,
            bytes_before=result.bytes_before,
            bytes_after=result.bytes_after,
            is_complete=result.is_complete,
            damaged_chunks=result.damaged_chunks,
        )

    def fsck(
        self, *, repair: bool = False, source: object = None, progress: WorkProgress = True
    ) -> StoreCheck:
        """Read everything that is stored and compare it with its digests; follow every reference and difference.

        Args:
            repair: Repair what can be repaired from the store itself. Damaged copies are taken out, so that
                another copy is read or the chunk can be sent anew.
            source: Whatever ``add`` takes: those of its chunks that the store lacks are sent, then all is checked
                again. Repairs too.
            progress: Hears how far it is.

        Raises:
            ConflictError: MAINTENANCE_BUSY or LEASE_LOST, for a repair.
            FailedPreconditionError: STORE_MISMATCH.
            NotFoundError: PATH_NOT_FOUND.
            InvalidArgumentError: UNREADABLE_INPUT and others, for a source that cannot be read.
        """
        if source is None:
            return self._check(progress, repair=repair)
        # Readers of models bring numpy and more, which the other calls do without.
        from mgit.resending import Resending  # noqa: PLC0415

        resending = Resending(self._connection, source)
        found = self._check(progress, repair=True)
        while found.missing and resending.send(tuple(map(bytes.fromhex, found.missing))):
            again = self._check(progress, repair=True)
            found = _joined(found, again)
        return replace(found, sent_bytes=resending.sent_bytes)

    def _check(self, progress: WorkProgress, *, repair: bool) -> StoreCheck:
        problems: list[StoreProblem] = []
        request = pb.CheckStoreRequest(repair=repair)
        method = self._connection.maintenance.CheckStore
        result = self._run(method, request, _titled("fsck", progress), problems)
        return StoreCheck(
            ok=result.ok,
            problems=tuple(problems),
            chunks=result.chunks,
            raw_bytes=result.bytes,
            documents=result.documents,
            missing=tuple(digest.hex() for digest in result.missing),
            promised=result.promised,
        )

    def _run(
        self,
        method: Callable[..., Any],
        request: object,
        bar: contextlib.AbstractContextManager[Callable[[str, int, int], None]],
        problems: list[StoreProblem] | None = None,
    ) -> Any:
        """The result of a long call; leaving early ends the call."""
        result: Any = None
        with bar as tell, self._connection.stream(method, request) as answers:
            for answer in answers:  # To the end: the lease is given back behind the result.
                kind = answer.WhichOneof("kind")
                if kind == "result":
                    result = answer.result
                elif kind == "progress":
                    tell(answer.progress.phase, answer.progress.done, answer.progress.total)
                elif kind == "problem" and problems is not None:
                    problems.append(_read_problem(answer.problem))
        if result is None:
            raise InternalError(ErrorReason.INTERNAL, "The service ended a long call without its result.")
        return result


def _read_problem(problem: pb.StoreProblem) -> StoreProblem:
    return StoreProblem(
        reason=problem.reason,
        message=problem.message,
        subject=problem.subject,
        models=tuple(problem.models),
        repaired=problem.repaired,
    )


def _joined(earlier: StoreCheck, later: StoreCheck) -> StoreCheck:
    """The later check with the earlier one's problems: what it does not find any more was repaired."""
    left = {problem.subject for problem in later.problems}
    solved = [replace(problem, repaired=True) for problem in earlier.problems if problem.subject not in left]
    return replace(later, problems=(*solved, *later.problems))


def _seconds(name: str, duration: Duration | None) -> int | None:
    if duration is None:
        return None
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if not 0 <= seconds < _LONGEST_S:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"{name} is a time of at least 0 seconds; found {duration!r}."
        )
    return int(seconds)


@contextlib.contextmanager
def _titled(title: str, progress: WorkProgress) -> Generator[Callable[[str, int, int], None]]:
    """What hears of progress: the caller's function, a bar on a terminal, or nothing."""
    if callable(progress):
        yield progress
    elif progress and sys.stderr.isatty():
        with _bar(title) as move:
            yield move
    else:
        yield lambda _phase, _done, _total: None


@contextlib.contextmanager
def _bar(title: str) -> Generator[Callable[[str, int, int], None]]:
    import tqdm  # noqa: PLC0415 - only for bars

    with tqdm.tqdm(desc=title, leave=False, delay=BAR_DELAY_S) as bar:

        def move(phase: str, done: int, total: int) -> None:
            bar.set_description_str(f"{title}: {phase}", refresh=False)
            bar.total = total or None
            bar.n = done
            bar.refresh()

        yield move
