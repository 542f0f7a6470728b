"""Keys of documents: ``KIND/DIGEST/RANDOM``."""

from __future__ import annotations

import re
import uuid

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, NotFoundError

__all__ = ["DOCUMENTS", "FILE_LISTS", "LAYER_GRAPHS", "MANIFESTS", "digest_in_key", "new_document_key"]

MANIFESTS = "manifests"
FILE_LISTS = "files"
LAYER_GRAPHS = "layers"
DOCUMENTS = (FILE_LISTS, LAYER_GRAPHS, MANIFESTS)
_KEY = re.compile(r"(?P<kind>[a-z]+)/(?P<digest>[0-9a-f]{64})/[0-9a-f]{32}")


def new_document_key(kind: str, digest: Digest) -> str:
    """A key that nobody else uses for a document with this digest."""
    return f"{kind}/{digest.hex()}/{uuid.uuid4().hex}"


def digest_in_key(key: str, *kinds: str) -> Digest:
    """The digest of the document under ``key``.

    Raises:
        NotFoundError: OBJECT_NOT_FOUND, if it is no key of a document of one of ``kinds``.
    """
    match = _KEY.fullmatch(key)
    if match is None or match["kind"] not in kinds:
        raise NotFoundError(
            ErrorReason.OBJECT_NOT_FOUND,
            f"{key[:160]!r} is no key below {' or '.join(kinds)}.",
            key=key[:160],
        )
    return bytes.fromhex(match["digest"])
