"""Page tokens: opaque, and good only for the list and the arguments that they came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.ports.graph import Page

__all__ = ["PagedList"]

_DEFAULT_SIZE = 100
_LARGEST_SIZE = 1_000
_SEAL_SIZE = 12


@dataclass(frozen=True, slots=True)
class PagedList:
    """A list that is given out in parts.

    Attributes:
        name: Name of the list.
        arguments: What selects its rows, the size of a part left out.
    """

    name: str
    arguments: tuple[str, ...] = ()

    def page(self, size: int, token: str) -> Page:
        """The part that a request asks for.

        Args:
            size: As it came: 0 means 100, more than 1,000 is capped.
            token: As it came; empty for the beginning.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT for a negative size; INVALID_PAGE_TOKEN for a token of
                another list or of other arguments.
        """
        if size < 0:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"page_size is 0 or more; found {size}.", field="page_size"
            )
        after = self._opened(token) if token else None
        return Page(size=min(size or _DEFAULT_SIZE, _LARGEST_SIZE), after=after)

    def next_token(self, page: Page, row_count: int, last_key: str) -> str:
        """The token of the part behind ``page``; empty if ``page`` was not full, since then it was the last.

        Args:
            page: What was asked for.
            row_count: Number of rows that it gave.
            last_key: Key of the last of them.
        """
        if row_count < page.size:
            return ""
        key = last_key.encode()
        return base64.urlsafe_b64encode(self._seal(key) + key).rstrip(b"=").decode("ascii")

    def _opened(self, token: str) -> str:
        try:
            content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            key = content[_SEAL_SIZE:]
            if content[:_SEAL_SIZE] == self._seal(key):
                return key.decode()
        except (binascii.Error, ValueError):
            pass
        raise InvalidArgumentError(
            ErrorReason.INVALID_PAGE_TOKEN,
            "The page token is not of this list with these arguments; begin again without one.",
            field="page_token",
        )

    def _seal(self, key: bytes) -> bytes:
        seal = hashlib.blake2b(digest_size=_SEAL_SIZE)
        for part in (self.name, *self.arguments):
            encoded = part.encode("utf-8", "surrogatepass")
            seal.update(len(encoded).to_bytes(8, "big") + encoded)
        seal.update(key)
        return seal.digest()
