r"""Keys of parameters in a Zarr hierarchy.

A model is a group and a parameter an array directly in it, so a key has no ``/``. What Zarr or a reader of
Zarr would take for something else is written as ``%`` and two hexadecimal digits, as in an address:

- ``%`` itself, ``/``, ``\``, which zarr-python takes for ``/``, and control characters;
- a leading ``.`` (``.``, ``..``, ``.zarray`` and their like) and the first of two leading ``_``;
- the first letter of the names ``c`` and ``zarr.json``, which mean chunks and metadata.

File systems end names at 255 bytes. A longer key is cut and gets ``%~`` and a digest of the whole name,
which no escaped name contains. The true name is always in the array's attribute ``mgit_name``.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.names import check_parameter_name

__all__ = ["NAME_ATTRIBUTE", "POSITION_ATTRIBUTE", "name_of_key", "zarr_key"]

NAME_ATTRIBUTE = "mgit_name"
POSITION_ATTRIBUTE = "mgit_position"

_ESCAPED = re.compile(r"[%/\\\x00-\x1f\x7f]")
_RESERVED = frozenset({"c", "zarr.json"})
# Below the 255 bytes of most file systems, with room for the suffix of a reader's or writer's own.
_MAX_KEY_BYTES = 230
# At most four bytes a character: 160 of 230 bytes; the mark and the digest take 66.
_KEPT_CHARACTERS = 40
_CUT = "%~"


def zarr_key(name: str) -> str:
    """The key of parameter ``name``: different names have different keys, and most keys are the name.

    Raises:
        InvalidArgumentError: INVALID_NAME, for what cannot name a parameter.
    """
    key = _escape(check_parameter_name(name))
    if len(key.encode()) <= _MAX_KEY_BYTES:
        return key
    digest = digest_of(DigestAlgorithm.SHA256, name.encode())
    return f"{_escape(name[:_KEPT_CHARACTERS])}{_CUT}{digest.hex()}"


def name_of_key(key: str) -> str | None:
    """The name that ``zarr_key`` made ``key`` from; none for a cut key, whose name only the attribute tells."""
    return None if _CUT in key else unquote(key, errors="strict")


def _escape(name: str) -> str:
    if name in _RESERVED or name.startswith((".", "__")):
        return _code(name[0]) + _ESCAPED.sub(_escape_match, name[1:])
    return _ESCAPED.sub(_escape_match, name)


def _escape_match(match: re.Match[str]) -> str:
    return _code(match[0])


def _code(character: str) -> str:
    return f"%{ord(character):02X}"
