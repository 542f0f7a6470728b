"""The part of a repository that exchanges models with other services."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.progress import Progress, open_progress
from mgit.remotes.book import MOST_LETTERS, ORIGIN, Remotes
from mgit.remotes.sides import Side
from mgit.remotes.values import Remote, Transfer
from mgit.values import ModelReference, reference_of
from mgit_core.errors import ErrorReason, MGitError, NotFoundError
from mgit_core.names import check_model_name
from mgit_proto.v1 import lineage_pb2, types_pb2

__all__ = ["ExchangeCalls"]

_NO_SEGMENT = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the caller of an exchange said, the models aside."""

    since: str | None
    only: tuple[str, ...]
    prefix: str | None
    force: bool
    progress: Progress


class ExchangeCalls:
    """Models to and from other services. This client opens both; services never call each other."""

    _connection: Connection

    @property
    def remotes(self) -> Remotes:
        """The services that models are pushed to and pulled from, as this home knows them."""
        return Remotes()

    def push(  # noqa: PLR0913 - one call says all of a push; all but the first by keyword
        self,
        models: ModelReference | Iterable[ModelReference] = (),
        *,
        remote: str | None = None,
        since: ModelReference | None = None,
        only: Iterable[str] = (),
        rename: bool = False,
        prefix: str | None = None,
        force: bool = False,
        progress: Progress = True,
    ) -> Transfer:
        """Send models with all their ancestors to a remote, and with them edges, tags, tests, results and bugs.

        A model keeps its uid, and if it can its name and number. Only chunks that the remote lacks travel, as they are
        stored if their bases are there or go along. All that could refuse the push is asked before anything is sent; a
        push that was cut is finished by repeating it.

        Args:
            models: Which models; empty means all.
            remote: Name of the remote; None means ``origin``, or the only one.
            since: The parameters of this model and of its ancestors are not sent: they stay promised by this store.
            only: Shell patterns over parameter names; others stay promised by this store. Empty means all.
            rename: Whether models whose names and numbers mean others at the remote go to ``PREFIX/NAME`` there; else
                the push is refused.
            prefix: That prefix; None means the login name of the user. Any prefix implies ``rename``.
            force: Whether tags that point elsewhere at the remote are moved.
            progress: ``progress(done_bytes, total_bytes)``; True for a bar on a terminal; None for none.

        Raises:
            NotFoundError: REMOTE_NOT_FOUND, MODEL_NOT_FOUND or TAG_NOT_FOUND.
            ConflictError: PUSH_REFUSED or TAG_MOVED, naming all; CYCLE, if united edges would close one.
            CorruptError: MODEL_DIFFERS or CHUNK_CORRUPT.
            FailedPreconditionError: REMOTE_VERSION_UNKNOWN or STORES_UNLIKE.
            InvalidArgumentError: INVALID_REMOTE, if the remote is this store; INVALID_NAME.
            ResourceExhaustedError: DISK_FULL.
        """
        wish = _Wish(
            since=None if since is None else reference_of(since),
            only=tuple(only),
            prefix=(prefix or _login_name()) if rename or prefix else None,
            force=force,
            progress=progress,
        )
        return self._push(_named(models), self._remote(remote), wish)

    def pull(  # noqa: PLR0913 - one call says all of a pull; all but the first by keyword
        self,
        models: ModelReference | Iterable[ModelReference] = (),
        *,
        remote: str | None = None,
        since: ModelReference | None = None,
        only: Iterable[str] = (),
        rename: bool = True,
        prefix: str | None = None,
        force: bool = False,
        progress: Progress = True,
    ) -> Transfer:
        """Fetch models with all their ancestors from a remote; otherwise as ``push``.

        Without ``remote`` a model that is promised here is fetched from who promised it, whatever that remote is called
        by now. A promised model is completed if it is named; without a name it stays promised.

        Args:
            models: References at the remote, and of promised models those here; empty means all.
            remote: Name of the remote; None means ``origin``, or the only one.
            since: A model of the remote: its parameters and those of its ancestors stay there, promised.
            only: Shell patterns over parameter names; others stay at the remote, promised. Empty means all.
            rename: Whether models whose names and numbers mean others here go to ``PREFIX/NAME``; else the pull is
                refused.
            prefix: That prefix; None means the name of the remote.
            force: Whether tags that point elsewhere here are moved.
            progress: As in ``push``.

        Raises:
            AlreadyExistsError: NAME_TAKEN: the name is taken, and the one with the prefix too.
            MGitError: Otherwise as ``push``.
        """
        wish = _Wish(
            since=None if since is None else reference_of(since),
            only=tuple(only),
            prefix=prefix,
            force=force,
            progress=progress,
        )
        references = _named(models)
        groups: dict[Remote, list[str]] = {}
        if remote is None and references:
            for reference in references:
                found, there = self._promised(reference)
                groups.setdefault(found or self.remotes.default(), []).append(there)
        else:
            groups[self._remote(remote)] = references
        done = [
            self._pull(wanted, found, wish, is_renaming=rename or prefix is not None)
            for found, wanted in groups.items()
        ]
        return _joined(done)

    def clone(  # noqa: PLR0913 - one call says all of a clone; all but two by keyword
        self,
        address: str,
        models: ModelReference | Iterable[ModelReference] = (),
        *,
        name: str = ORIGIN,
        token_file: str | os.PathLike[str] | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        since: ModelReference | None = None,
        only: Iterable[str] = (),
        progress: Progress = True,
    ) -> Transfer:
        """Add a service as a remote and pull from it; a clone that was cut is finished by repeating it.

        Args:
            address: ``HOST:PORT``.
            models: As in ``pull``.
            name: What the remote is called.
            token_file: As in ``remotes.add``.
            tls_ca: As in ``remotes.add``.
            since: As in ``pull``.
            only: As in ``pull``.
            progress: As in ``pull``.

        Raises:
            AlreadyExistsError: REMOTE_EXISTS: a remote of that name is another service.
            MGitError: Otherwise as ``remotes.add`` and ``pull``.
        """
        self.remotes.add(name, address, token_file=token_file, tls_ca=tls_ca)
        return self.pull(models, remote=name, since=since, only=only, progress=progress)

    def _push(self, references: Sequence[str], remote: Remote, wish: _Wish) -> Transfer:
        from mgit.remotes.engine import Job, Naming, transfer  # noqa: PLC0415 - the catalog does without numpy

        job = Job(
            models=tuple(references),
            since=wish.since,
            only=wish.only,
            naming=Naming(prefix=wish.prefix, is_push=True, remote=remote.name),
            source_name=_login_name(),
            force_tags=wish.force,
        )
        with self._opened(remote) as there, open_progress(wish.progress, f"push {remote.name}") as counter:
            done = transfer(Side(self._connection), there, job, counter)
            self.remotes.learn(remote.name, there.capabilities.store_id)
        return done

    def _pull(self, references: Sequence[str], remote: Remote, wish: _Wish, *, is_renaming: bool) -> Transfer:
        from mgit.remotes.engine import Job, Naming, transfer  # noqa: PLC0415 - the catalog does without numpy

        prefix = (wish.prefix or remote.name) if is_renaming else None
        job = Job(
            models=tuple(references),
            since=wish.since,
            only=wish.only,
            naming=Naming(prefix=prefix, is_push=False, remote=remote.name),
            source_name=remote.name,
            force_tags=wish.force,
        )
        with self._opened(remote) as there, open_progress(wish.progress, f"pull {remote.name}") as counter:
            done = transfer(there, Side(self._connection), job, counter)
            self.remotes.learn(remote.name, there.capabilities.store_id)
        return done

    def _remote(self, name: str | None) -> Remote:
        return self.remotes.default() if name is None else self.remotes.get(name)

    @contextlib.contextmanager
    def _opened(self, remote: Remote) -> Generator[Side]:
        token = None
        if remote.token_file is not None:
            try:
                token = remote.token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise NotFoundError(
                    ErrorReason.PATH_NOT_FOUND,
                    f"The token file {remote.token_file} of remote {remote.name} cannot be read.",
                ) from error
        endpoint = Endpoint(
            address=remote.address,
            token=token,
            tls_ca=remote.tls_ca,
            timeout_s=self._connection.endpoint.timeout_s,
        )
        with contextlib.closing(Connection(endpoint)) as connection:
            yield Side(connection)

    def _promised(self, reference: str) -> tuple[Remote | None, str]:
        """The remote that promised the model of a reference, and what it is called there; no remote if it is not so."""
        request = lineage_pb2.GetModelRequest(model=reference)
        try:
            model = self._connection.call(self._connection.lineage.GetModel, request).model
        except NotFoundError:
            return None, reference
        if not model.HasField("promised_by"):
            return None, reference
        found = self.remotes.find_store(model.promised_by.store_id, self._store_of)
        if found is None:
            raise _forgotten(model)
        return found, f"@{model.summary.uid}"

    def _store_of(self, remote: Remote) -> str | None:
        try:
            with self._opened(remote) as there:
                return there.capabilities.store_id
        except MGitError:
            return None


def _named(models: ModelReference | Iterable[ModelReference]) -> list[str]:
    several = list(models) if isinstance(models, Iterable) and not isinstance(models, str) else [models]
    return [reference_of(model) for model in several]


def _login_name() -> str:
    """What a push with ``rename`` puts before names, unless it is told something else."""
    try:
        name = _NO_SEGMENT.sub("-", getpass.getuser()).strip("-")
        return check_model_name(name[:MOST_LETTERS])
    except (MGitError, OSError, KeyError):
        return "pushed"


def _forgotten(model: types_pb2.Model) -> NotFoundError:
    promise = model.promised_by
    return NotFoundError(
        ErrorReason.REMOTE_NOT_FOUND,
        f"The parameters of {model.summary.name}@{model.summary.version} are in store {promise.store_id}, which came "
        f"as {promise.remote!r}; no remote that answers has it. 'mgit remote add NAME HOST:PORT' adds the service of "
        "that store.",
        store_id=promise.store_id,
    )


def _joined(done: Sequence[Transfer]) -> Transfer:
    """Several exchanges as one."""
    whole = done[0]
    for each in done[1:]:
        whole = replace(
            whole,
            remote=f"{whole.remote}, {each.remote}",
            models=whole.models + each.models,
            known=whole.known + each.known,
            bytes_sent=whole.bytes_sent + each.bytes_sent,
            bytes_received=whole.bytes_received + each.bytes_received,
            chunks_as_stored=whole.chunks_as_stored + each.chunks_as_stored,
            chunks_alone=whole.chunks_alone + each.chunks_alone,
            chunk_bytes=whole.chunk_bytes + each.chunk_bytes,
            size_bytes=whole.size_bytes + each.size_bytes,
            edges=whole.edges + each.edges,
            tags=whole.tags + each.tags,
            tests=whole.tests + each.tests,
            results=whole.results + each.results,
            bugs=whole.bugs + each.bugs,
        )
    return whole
