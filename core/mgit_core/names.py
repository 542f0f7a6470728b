"""Names and references: how people point at models.

``NAME[@SELECTOR]`` names a model by name and version number, tag or ``latest``; ``@UID`` names any model.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = [
    "LATEST",
    "MAX_NAME_LENGTH",
    "MAX_PARAMETER_NAME_LENGTH",
    "Reference",
    "check_model_name",
    "check_parameter_name",
    "check_tag",
    "make_uid",
    "parse_reference",
]

LATEST = "latest"
MAX_NAME_LENGTH = 200
MAX_PARAMETER_NAME_LENGTH = 1024

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A parsed reference. Exactly one of ``uid`` and ``name`` is set.

    Attributes:
        uid: UID of the model, lower case with hyphens.
        name: Name of the model.
        version: Version number, from 1.
        tag: Tag; never ``latest``. With neither version nor tag the latest version is meant.
    """

    uid: str | None = None
    name: str | None = None
    version: int | None = None
    tag: str | None = None

    def __str__(self) -> str:
        if self.uid is not None:
            return f"@{self.uid}"
        selector = self.tag if self.version is None else str(self.version)
        return f"{self.name}" if selector is None else f"{self.name}@{selector}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def check_model_name(name: str) -> str:
    """``name`` itself, if it may name a model.

    Raises:
        InvalidArgumentError: INVALID_NAME.
    """
    rule = (
        "segments of letters, digits, '.', '_' and '-' that start with a letter or digit, hold no '..' "
        f"and are joined by '/', {MAX_NAME_LENGTH} characters at most"
    )
    segments = name.split("/")
    fits = len(name) <= MAX_NAME_LENGTH and all(
        _SEGMENT.fullmatch(segment) and ".." not in segment for segment in segments
    )
    if not fits:
        raise InvalidArgumentError(
            ErrorReason.INVALID_NAME,
            f"A model name is {rule}; found {_quoted(name)} ({len(name)} characters).",
        )
    return name


def check_tag(tag: str) -> str:
    """``tag`` itself, if it may be a tag: one segment, not a number and not ``latest``.

    Raises:
        InvalidArgumentError: INVALID_NAME.
    """
    fits = len(tag) <= MAX_NAME_LENGTH and _SEGMENT.fullmatch(tag) and ".." not in tag
    if not fits or tag.lower() == LATEST or _NUMBER.fullmatch(tag):
        raise InvalidArgumentError(
            ErrorReason.INVALID_NAME,
            "A tag is letters, digits, '.', '_' and '-', starts with a letter or digit, and is neither a "
            f"number nor 'latest'; found {_quoted(tag)}.",
        )
    return tag


def check_parameter_name(name: str) -> str:
    """``name`` itself, if it may name a parameter: 1 to 1024 characters, printable or at least no controls.

    Raises:
        InvalidArgumentError: INVALID_NAME.
    """
    has_control = any(ord(character) < 32 or ord(character) == 127 for character in name)
    has_surrogate = any(0xD800 <= ord(character) <= 0xDFFF for character in name)
    if not 1 <= len(name) <= MAX_PARAMETER_NAME_LENGTH or has_control or has_surrogate:
        raise InvalidArgumentError(
            ErrorReason.INVALID_NAME,
            f"A parameter name has 1 to {MAX_PARAMETER_NAME_LENGTH} characters and no control characters; "
            f"found {_quoted(name)} ({len(name)} characters).",
        )
    return name


def parse_reference(text: str) -> Reference:
    """The reference that ``text`` writes.

    Raises:
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    name, at, selector = text.partition("@")
    if not at:
        return Reference(name=check_model_name(name))
    if not name:
        return Reference(uid=_parse_uid(selector))
    check_model_name(name)
    if selector == LATEST:
        return Reference(name=name)
    if _NUMBER.fullmatch(selector):
        return Reference(name=name, version=_parse_version(selector))
    return Reference(name=name, tag=check_tag(selector))


def _parse_uid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_REFERENCE, f"'@' is followed by the uid of a model; found {_quoted(text)}."
        ) from None


def _parse_version(text: str) -> int:
    version = int(text) if len(text) <= 10 else 0
    if not 1 <= version < 2**31:
        raise InvalidArgumentError(
            ErrorReason.INVALID_REFERENCE,
            f"A version number is between 1 and {2**31 - 1}; found {_quoted(text)}.",
        )
    return version


def make_uid(unix_ms: int, random: bytes) -> str:
    """The UUIDv7 of a moment: sorts by time.

    Args:
        unix_ms: Milliseconds since 1970, UTC.
        random: 10 random bytes.

    Source: RFC 9562, section 5.7.
    """
    content = bytearray(unix_ms.to_bytes(6, "big") + random[:10])
    content[6] = (content[6] & 0x0F) | 0x70
    content[8] = (content[8] & 0x3F) | 0x80
    return str(uuid.UUID(bytes=bytes(content)))
