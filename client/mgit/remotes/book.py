"""The remotes that a home knows, in a file that only its owner may read.

A token is never written here: what is kept is where its file lies, so that it may change there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from mgit.local.process import write_private
from mgit.remotes.values import Remote
from mgit.settings import read_settings
from mgit_core.errors import (
    AlreadyExistsError,
    CorruptError,
    ErrorReason,
    InvalidArgumentError,
    NotFoundError,
)
from mgit_core.names import check_model_name

__all__ = ["MOST_LETTERS", "ORIGIN", "Remotes"]

ORIGIN = "origin"
"""The remote that is meant where none is named, and what ``clone`` calls the one that it makes."""

MOST_LETTERS = 100
"""Length of the name of a remote: room for a model name behind it."""

Changed = TypeVar("Changed")

_FORMAT = 1
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Remotes:
    """The remotes of a home.

    Attributes:
        home: Folder in which they are kept; None means the home that ``MGIT_HOME`` names.
    """

    home: Path | None = None

    def add(
        self,
        name: str,
        address: str,
        *,
        token_file: str | os.PathLike[str] | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
    ) -> Remote:
        """Remember a service. It is not asked; adding the same again changes nothing.

        Args:
            name: One segment of a model name.
            address: ``HOST:PORT``.
            token_file: File with its bearer token, read at each exchange; the token itself is not kept.
            tls_ca: File of the authority of its certificate; None means plaintext.

        Raises:
            InvalidArgumentError: INVALID_REMOTE.
            AlreadyExistsError: REMOTE_EXISTS: the name means another service.
            NotFoundError: PATH_NOT_FOUND, for a file that cannot be read.
        """
        remote = Remote(
            name=_check_name(name),
            address=_check_address(address),
            token_file=_readable("token file", token_file),
            tls_ca=_readable("certificate authority", tls_ca),
        )

        def change(known: dict[str, Remote]) -> Remote:
            found = known.get(name)
            if found is not None and replace(found, store_id=None) != remote:
                raise AlreadyExistsError(
                    ErrorReason.REMOTE_EXISTS,
                    f"Remote {name} is {found.address} already, or is asked in another way. Take another name, or "
                    f"'mgit remote rm {name}' first.",
                    remote=name,
                )
            return known.setdefault(name, remote)

        return self._change(change)

    def get(self, name: str) -> Remote:
        """The remote of a name.

        Raises:
            NotFoundError: REMOTE_NOT_FOUND, naming those that there are.
        """
        known = self._read()
        if name not in known:
            raise _unknown(f"No remote is called {name[:80]!r}", known)
        return known[name]

    def list(self) -> list[Remote]:
        """All remotes, by name."""
        return [remote for _, remote in sorted(self._read().items())]

    def remove(self, name: str) -> Remote:
        """Forget a remote; gives it as it was. What was pulled from it stays.

        Raises:
            NotFoundError: REMOTE_NOT_FOUND.
        """

        def change(known: dict[str, Remote]) -> Remote:
            if name not in known:
                raise _unknown(f"No remote is called {name[:80]!r}", known)
            return known.pop(name)

        return self._change(change)

    def default(self) -> Remote:
        """The remote that is meant where none is named: ``origin``, or the only one.

        Raises:
            NotFoundError: REMOTE_NOT_FOUND, if there is neither.
        """
        known = self._read()
        if ORIGIN in known:
            return known[ORIGIN]
        if len(known) != 1:
            raise _unknown(f"A remote has to be named, since none is called {ORIGIN}", known)
        return next(iter(known.values()))

    def learn(self, name: str, store_id: str) -> None:
        """Remember which store a remote has; nothing happens if it was removed meanwhile."""

        def change(known: dict[str, Remote]) -> None:
            if name in known:
                known[name] = replace(known[name], store_id=store_id)

        if self._read().get(name, Remote(name="", address="")).store_id != store_id:
            self._change(change)

    def find_store(self, store_id: str, ask: Callable[[Remote], str | None]) -> Remote | None:
        """The remote that has a store, whatever it is called; None if no remote has.

        Args:
            store_id: Id of the store.
            ask: Gives the id of the store of a remote that was never asked, or None if it does not answer.
        """
        remotes = self.list()
        for remote in remotes:
            if remote.store_id == store_id:
                return remote
        for remote in remotes:
            found = ask(remote) if remote.store_id is None else None
            if found is not None:
                self.learn(remote.name, found)
            if found == store_id:
                return self.get(remote.name)
        return None

    def __iter__(self) -> Iterator[Remote]:
        return iter(self.list())

    @property
    def _file(self) -> Path:
        return (self.home or read_settings().home) / "remotes.json"

    def _change(self, change: Callable[[dict[str, Remote]], Changed]) -> Changed:
        """Read, change and write as one, beside others that do the same."""
        file = self._file
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(file.with_suffix(".lock")):
            known = self._read()
            changed = change(known)
            entries = {name: _write_entry(remote) for name, remote in sorted(known.items())}
            write_private(file, json.dumps({"format": _FORMAT, "remotes": entries}, indent=2))
        return changed

    def _read(self) -> dict[str, Remote]:
        try:
            document = json.loads(self._file.read_text(encoding="utf-8"))
            if document["format"] != _FORMAT:
                raise ValueError(document["format"])  # noqa: TRY301 - told below, with what is no document at all
            return {name: _read_entry(name, entry) for name, entry in document["remotes"].items()}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorruptError(
                ErrorReason.UNKNOWN_FORMAT_VERSION,
                f"The list of remotes {self._file} cannot be read. Delete it, and add the remotes again.",
            ) from error


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold a file's lock; the system lets it go if this process dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_entry(remote: Remote) -> dict[str, str | None]:
    return {
        "address": remote.address,
        "token_file": None if remote.token_file is None else str(remote.token_file),
        "tls_ca": None if remote.tls_ca is None else str(remote.tls_ca),
        "store_id": remote.store_id,
    }


def _read_entry(name: str, entry: dict[str, str | None]) -> Remote:
    token_file, tls_ca = entry["token_file"], entry["tls_ca"]
    return Remote(
        name=name,
        address=str(entry["address"]),
        token_file=None if token_file is None else Path(token_file),
        tls_ca=None if tls_ca is None else Path(tls_ca),
        store_id=entry["store_id"],
    )


def _check_name(name: str) -> str:
    try:
        if "/" not in name and len(name) <= MOST_LETTERS:
            return check_model_name(name)
    except InvalidArgumentError:
        pass
    raise InvalidArgumentError(
        ErrorReason.INVALID_REMOTE,
        "A remote is called as one segment of a model name: letters, digits, '.', '_' and '-', a letter or digit "
        f"first, {MOST_LETTERS} at most; found {name[:80]!r}.",
    )


def _check_address(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
        raise InvalidArgumentError(
            ErrorReason.INVALID_REMOTE, f"The address of a remote is HOST:PORT; found {address[:80]!r}."
        )
    return address


def _readable(what: str, path: str | os.PathLike[str] | None) -> Path | None:
    if path is None:
        return None
    absolute = Path(path).expanduser().absolute()
    if not os.access(absolute, os.R_OK) or not absolute.is_file():
        raise NotFoundError(ErrorReason.PATH_NOT_FOUND, f"The {what} {absolute} cannot be read.")
    return absolute


def _unknown(what: str, known: dict[str, Remote]) -> NotFoundError:
    names = f"there are {', '.join(sorted(known))}" if known else "there are none"
    return NotFoundError(
        ErrorReason.REMOTE_NOT_FOUND, f"{what}; {names}. 'mgit remote add NAME HOST:PORT' adds one."
    )
