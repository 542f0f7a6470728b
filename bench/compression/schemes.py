"""What a scheme is, and the frame of all those that keep each distinct tensor once."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import zstandard
from bench.compression.subjects import Subject, Tensor

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.tensor import TensorSpec

__all__ = [
    "DIGEST_BYTES",
    "Coder",
    "Scheme",
    "SchemeMissingError",
    "TensorScheme",
    "Threads",
    "compress",
    "decompress",
]

DIGEST_BYTES = 32
"""What naming a tensor or chunk takes in every scheme that keeps each once."""

_TAG_BYTES = 1  # Says how a blob is coded.
_LENGTH_BYTES = 8  # Says where a blob ends.
_ALGORITHM = DigestAlgorithm.BLAKE3

Threads = Executor


class SchemeMissingError(Exception):
    """A scheme cannot run here; the text says why."""


class Scheme(abc.ABC):
    """Keeps files, one after another, in memory; a new object for each family."""

    @abc.abstractmethod
    def encode(self, subject: Subject, threads: Threads) -> int:
        """Take the file in; gives all bytes by which what is stored grew."""

    @abc.abstractmethod
    def decode(self, subject: Subject, threads: Threads) -> Sequence[bytes | memoryview]:
        """The file that was taken in, in pieces. The bases of its differences may be read where they lie."""

    def close(self) -> None:  # noqa: B027 - most hold nothing; abstract would make each say so
        """Let go of what the object holds outside its memory."""


@dataclass(frozen=True, slots=True)
class Coder:
    """How one tensor is coded.

    Attributes:
        encode: From its content and that of its base, which may be missing, with its type and shape.
        decode: The inverse, with the same base.
    """

    encode: Callable[[memoryview, memoryview | None, TensorSpec], bytes]
    decode: Callable[[bytes, memoryview | None, TensorSpec], bytes | memoryview]


@dataclass(frozen=True, slots=True)
class _Stored:
    blob: bytes
    base: memoryview | None


class TensorScheme(Scheme):
    """Keeps each distinct tensor once, coded alone or as a difference to its base's tensor of that name."""

    def __init__(self, coder: Coder, *, uses_base: bool = True) -> None:
        self._coder = coder
        self._uses_base = uses_base
        self._stored: dict[Digest, _Stored] = {}
        self._members: dict[str, tuple[bytes, dict[str, Digest]]] = {}

    def encode(self, subject: Subject, threads: Threads) -> int:
        tensors = list(subject.weights.tensors.values())
        digests = list(threads.map(lambda tensor: digest_of(_ALGORITHM, tensor.content), tensors))
        fresh = {
            digest: tensor
            for digest, tensor in zip(digests, tensors, strict=True)
            if digest not in self._stored
        }
        # The longest first, so that no thread is left alone with it at the end.
        order = sorted(fresh.items(), key=lambda item: -len(item[1].content))
        coded = list(threads.map(lambda item: self._encode(subject, item[1]), order))
        self._stored |= {digest: stored for (digest, _), stored in zip(order, coded, strict=True)}
        header = compress(subject.weights.header, 3)
        names = (tensor.name for tensor in tensors)
        self._members[subject.ref] = header, dict(zip(names, digests, strict=True))
        blobs = sum(len(stored.blob) + _TAG_BYTES + _LENGTH_BYTES for stored in coded)
        return len(header) + DIGEST_BYTES * len(tensors) + blobs

    def decode(self, subject: Subject, threads: Threads) -> Sequence[bytes | memoryview]:
        header, digests = self._members[subject.ref]
        tensors = sorted(subject.weights.tensors.values(), key=lambda tensor: -len(tensor.content))
        pieces = threads.map(lambda tensor: self._decode(digests[tensor.name], tensor.spec), tensors)
        by_name = {tensor.name: piece for tensor, piece in zip(tensors, pieces, strict=True)}
        return [decompress(header), *(by_name[name] for name in digests)]

    def _encode(self, subject: Subject, tensor: Tensor) -> _Stored:
        found = subject.base.weights.counterpart(tensor) if subject.base and self._uses_base else None
        base = found.content if found is not None else None
        return _Stored(self._coder.encode(tensor.content, base, tensor.spec), base)

    def _decode(self, digest: Digest, spec: TensorSpec) -> bytes | memoryview:
        stored = self._stored[digest]
        return self._coder.decode(stored.blob, stored.base, spec)


def compress(content: bytes | memoryview, level: int) -> bytes:
    """One zstd frame that says its length."""
    return zstandard.ZstdCompressor(level=level).compress(content)


def decompress(frame: bytes | memoryview) -> bytes:
    """The content of a frame of ``compress``."""
    return zstandard.ZstdDecompressor().decompress(frame)
