"""The port to immutable objects by key."""

from __future__ import annotations

import abc
import re
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from typing_extensions import Buffer

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["ObjectState", "ObjectStore", "ObjectUsage", "StagedObject", "check_key", "is_key"]

_MAX_KEY_LENGTH = 200
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


def is_key(text: str) -> bool:
    """Whether ``text`` may name an object: lower-case segments joined by ``/``, none with ``..``."""
    return bool(_KEY.fullmatch(text)) and ".." not in text and len(text) <= _MAX_KEY_LENGTH


def check_key(key: str) -> str:
    """``key`` itself, if it may name an object.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    if not is_key(key):
        raise InvalidArgumentError(ErrorReason.INVALID_ARGUMENT, f"{key[:80]!r} is not a key of an object.")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectUsage:
    """Bytes that a store takes.

    Attributes:
        by_folder: Bytes of the objects under each first segment of a key; ``""`` for keys of one segment.
        overhead_bytes: Everything else: folders and temporary files.
    """

    by_folder: dict[str, int]
    overhead_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectState:
    """What is known of an object without reading it.

    Attributes:
        size_bytes: Its bytes.
        age_s: Seconds since its last byte was written, by the clock of the machine that keeps it.
    """

    size_bytes: int
    age_s: float


class StagedObject(abc.ABC):
    """An object that is being written; invisible until ``commit``. Not thread-safe.

    As a context manager it discards what was not committed.
    """

    @abc.abstractmethod
    def write(self, content: Buffer) -> None:
        """Append ``content``.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """

    @abc.abstractmethod
    def commit(self, key: str) -> None:
        """Make the object durable and then visible under ``key``, which nobody else uses.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """

    @abc.abstractmethod
    def discard(self) -> None:
        """Forget the object. A no-op after ``commit`` or an earlier ``discard``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.discard()


class ObjectStore(abc.ABC):
    """Immutable objects. What a method returned from is durable, its name and folder included.

    Safe to use from several threads and several processes. Every method may raise UnavailableError
    STORE_UNAVAILABLE.
    """

    @abc.abstractmethod
    def put(self, key: str, content: Buffer) -> None:
        """Store a small object whole, at once visible and durable, unless the key is taken.

        Raises:
            AlreadyExistsError: OBJECT_EXISTS; the existing object is unchanged.
            ResourceExhaustedError: DISK_FULL; nothing is visible.
        """

    @abc.abstractmethod
    def stage(self) -> StagedObject:
        """Begin a large object."""

    @abc.abstractmethod
    def get(self, key: str) -> bytes:
        """The whole object.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND.
        """

    @abc.abstractmethod
    def get_range(self, key: str, start: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``start``; fewer only at the end of the object.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND.
        """

    @abc.abstractmethod
    def view(self, key: str) -> memoryview:
        """The whole object as a read-only view, mapped where that saves memory; stays valid after a delete.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND.
        """

    @abc.abstractmethod
    def list(self, folder: str) -> list[str]:
        """Keys below ``folder``, at any depth, sorted. What is listed is durable, whoever made it.

        Not a snapshot: a key that is made or deleted during the call may be listed or not.
        """

    @abc.abstractmethod
    def survey(self, folder: str) -> dict[str, ObjectState]:
        """Size and age of what ``list`` would give, by key, sorted. Nothing is made durable by it."""

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object; a no-op if it is not there. Durable only once something later is."""

    @abc.abstractmethod
    def discard_stale(self, older_than_s: float) -> int:
        """Discard staged objects of other, killed processes that nobody has written to for so long; bytes freed.

        A process that is alive but slower than this loses its object, and its ``commit`` raises NotFoundError.
        """

    @abc.abstractmethod
    def usage(self) -> ObjectUsage:
        """What the store takes, as ``du --apparent-size`` counts it."""
