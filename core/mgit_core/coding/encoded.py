"""The frame around an encoded chunk: what a reader must know to get the raw bytes back.

Layout, all integers little-endian::

    u8   header version, 1
    u8   encoding         how the residue is coded, see Encoding
    u8   encoding version
    u8   width            bytes of one item, 1, 2, 4, 8 or 16
    u8   predictor        what was subtracted first, see Predictor
    u8   predictor version
    u16  base count
    u32  raw size, bytes
    u32  parameter size, bytes
    per base: 32 bytes digest, u32 start, u32 stop     byte range of the base's raw bytes
    predictor parameters
    payload

An encoding without a prediction has predictor NONE and no base. Bases are named by digest and byte range,
never by model. A reader refuses versions and numbers that it does not know.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason

__all__ = [
    "HEADER_SIZE",
    "LONGEST_HEADER",
    "BaseRange",
    "ChunkHeader",
    "EncodedChunk",
    "Encoding",
    "Predictor",
    "raw_size_of",
    "read_header",
]

_HEADER = struct.Struct("<BBBBBBHII")
HEADER_SIZE = _HEADER.size
"""Bytes of the fixed part of a header."""
_BASE = struct.Struct("<32sII")
_HEADER_VERSION = 1
_MAX_BASES = 64
_MAX_RAW_BYTES = 1 << 24
LONGEST_HEADER = _HEADER.size + _MAX_BASES * _BASE.size
"""Bytes from which the header of every frame can be read."""
_WIDTHS = frozenset({1, 2, 4, 8, 16})


class Encoding(enum.IntEnum):
    """How the bytes, or what a prediction left of them, are coded. Numbers are part of the format."""

    RAW = 0
    ZSTD = 1
    PLANES_ZSTD = 2
    """Byte planes, of the numbers or of their XOR with the prediction."""
    EXACT = 3
    """The prediction is the content; the payload is empty."""
    ORDERED_ZSTD = 4
    """Byte planes of the zig-zag of ordered differences to the prediction."""
    PCODEC = 5
    """The unsigned numbers, or the ordered differences to the prediction, by pcodec."""
    GROUPED_PCODEC = 6
    """Ordered differences grouped by the prediction's exponent, each group by pcodec."""


class Predictor(enum.IntEnum):
    """What was subtracted before coding. Numbers are part of the format."""

    NONE = 0
    BASE = 1
    """The base ranges joined, zeros behind them up to the raw size."""
    MASK = 2
    """The base, zero where a mask says so."""
    COMBINATION = 3
    """A mean, weighted sum or task arithmetic of several bases, in a numbered order of evaluation."""
    CAST = 4
    """A wider base, rounded."""
    LOW_RANK = 5
    """The base plus the product of two factors."""
    SCALE = 6
    """The base times a factor."""
    LATTICE = 7
    """The base plus whole multiples of a step."""
    TIES = 8
    """Two models merged by TIES."""


@dataclass(frozen=True, slots=True)
class BaseRange:
    """A byte range of another chunk's raw bytes that a prediction starts from."""

    digest: Digest
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedChunk:
    """A chunk as it is stored.

    Attributes:
        encoding: Number of the encoding; may be one that this version does not know.
        encoding_version: Version of the encoding, from 1.
        width: Bytes of one item.
        raw_size: Bytes of the raw chunk.
        payload: What the encoding wrote; of a frame that was read, a view of it.
        predictor: Number of the predictor; 0 means none.
        predictor_version: Version of the predictor, from 1; 0 without one.
        bases: What the predictor starts from, in its order.
        parameters: What else the predictor needs.
    """

    encoding: int
    width: int
    raw_size: int
    payload: bytes | memoryview
    encoding_version: int = 1
    predictor: int = Predictor.NONE
    predictor_version: int = 0
    bases: tuple[BaseRange, ...] = ()
    parameters: bytes = b""

    @property
    def size_bytes(self) -> int:
        """Bytes of ``to_bytes``."""
        return HEADER_SIZE + _BASE.size * len(self.bases) + len(self.parameters) + len(self.payload)

    def to_bytes(self) -> bytes:
        """Header, bases, parameters and payload in one piece."""
        header = _HEADER.pack(
            _HEADER_VERSION,
            self.encoding,
            self.encoding_version,
            self.width,
            self.predictor,
            self.predictor_version,
            len(self.bases),
            self.raw_size,
            len(self.parameters),
        )
        bases = b"".join(_BASE.pack(base.digest, base.start, base.stop) for base in self.bases)
        return b"".join((header, bases, self.parameters, self.payload))

    @classmethod
    def from_bytes(cls, content: bytes | memoryview) -> EncodedChunk:
        """The chunk that ``content`` frames. The payload is not copied: it is a view of ``content``.

        An encoding or predictor that this version does not know is no error here: the frame can be sent on
        and its bases are named. Only ``decode_chunk`` refuses it.

        Raises:
            CorruptError: CHUNK_CORRUPT for a frame that is too short or lies about its sizes;
                UNKNOWN_FORMAT_VERSION for a later header version.
        """
        view = memoryview(content)
        (encoding, encoding_version, width, predictor, predictor_version, base_count, raw_size, extra) = (
            _unpack_header(view)
        )
        payload_at = _HEADER.size + base_count * _BASE.size + extra
        if (
            width not in _WIDTHS
            or base_count > _MAX_BASES
            or payload_at > len(view)
            or (predictor == Predictor.NONE and base_count + extra + predictor_version > 0)
        ):
            raise _corrupt(
                f"width {width}, {base_count} bases, {raw_size} raw bytes, {extra} parameter bytes"
            )
        bases = _unpack_bases(view, base_count)
        return cls(
            encoding=encoding,
            encoding_version=encoding_version,
            width=width,
            raw_size=raw_size,
            predictor=predictor,
            predictor_version=predictor_version,
            bases=bases,
            parameters=bytes(view[payload_at - extra : payload_at]),
            payload=view[payload_at:],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkHeader:
    """What the first bytes of a frame say, parameters and payload left aside.

    Attributes:
        encoding: Number of the encoding; may be one that this version does not know.
        predictor: Number of the predictor, the same; 0 means none.
        raw_size: Bytes of the raw chunk.
        bases: What the predictor starts from, in its order.
    """

    encoding: int
    predictor: int
    raw_size: int
    bases: tuple[BaseRange, ...]


def read_header(content: bytes | memoryview) -> ChunkHeader:
    """The header of a frame, from its first ``LONGEST_HEADER`` bytes, or all if it is shorter.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    view = memoryview(content)
    encoding, _, _, predictor, _, base_count, raw_size, _ = _unpack_header(view)
    bases = _unpack_bases(view, base_count)
    return ChunkHeader(encoding=encoding, predictor=predictor, raw_size=raw_size, bases=bases)


def raw_size_of(content: bytes | memoryview) -> int:
    """Bytes of the raw chunk, from the first ``HEADER_SIZE`` bytes of its frame.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    return _unpack_header(memoryview(content))[6]


def _unpack_header(view: memoryview) -> tuple[int, int, int, int, int, int, int, int]:
    if len(view) < _HEADER.size:
        raise _corrupt(f"{len(view)} bytes are fewer than a header")
    version, *fields = _HEADER.unpack_from(view)
    if version != _HEADER_VERSION:
        raise CorruptError(
            ErrorReason.UNKNOWN_FORMAT_VERSION,
            f"A chunk header of version {_HEADER_VERSION} was wanted; found version {version}.",
        )
    encoding, encoding_version, width, predictor, predictor_version, base_count, raw_size, extra = fields
    if raw_size > _MAX_RAW_BYTES:
        raise _corrupt(f"{raw_size} raw bytes; at most {_MAX_RAW_BYTES} are read")
    return encoding, encoding_version, width, predictor, predictor_version, base_count, raw_size, extra


def _unpack_bases(view: memoryview, count: int) -> tuple[BaseRange, ...]:
    if count > _MAX_BASES or _HEADER.size + count * _BASE.size > len(view):
        raise _corrupt(f"{count} bases in {len(view)} bytes")
    bases = tuple(BaseRange(*_BASE.unpack_from(view, _HEADER.size + at * _BASE.size)) for at in range(count))
    if any(base.start >= base.stop or base.stop > _MAX_RAW_BYTES for base in bases):
        raise _corrupt("the byte range of a base")
    return bases


def _corrupt(found: str) -> CorruptError:
    return CorruptError(ErrorReason.CHUNK_CORRUPT, f"An encoded chunk has a header that cannot be: {found}.")
