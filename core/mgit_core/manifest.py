"""Manifests: what a parameter set is made of, as a Zarr v3 hierarchy by reference.

A manifest lists the parameters of a model in order. For each it holds the fields of the Zarr v3
``zarr.json`` of the array (shape, data type, the regular grid of chunk rule ``c1``, the ``bytes`` codec) and
the digest of every chunk, in C order of the grid. Its canonical bytes are deterministic, and their digest
is the identity of the parameter set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mgit_core.chunking import CHUNK_RULE, chunk_count, chunk_shape, chunk_sizes
from mgit_core.digest import DIGEST_SIZE, Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError
from mgit_core.names import check_parameter_name
from mgit_core.tensor import TensorSpec

__all__ = ["MANIFEST_VERSION", "Manifest", "Parameter", "make_parameter", "tensor_digest"]

MANIFEST_VERSION = 1
_FORMAT = "mgit-manifest"


def tensor_digest(algorithm: DigestAlgorithm, spec: TensorSpec, chunks: Sequence[Digest]) -> Digest:
    """Identity of a tensor: the digest of data type, shape, chunk rule and chunk digests.

    The header is ``mgit-tensor``, the rule, the data type and the comma-separated shape, each in ASCII and
    ended by a line feed; the raw chunk digests follow.
    """
    shape = ",".join(map(str, spec.shape))
    header = f"mgit-tensor\n{CHUNK_RULE}\n{spec.dtype}\n{shape}\n".encode("ascii")
    return digest_of(algorithm, header + b"".join(chunks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A named tensor.

    Attributes:
        name: True name, as the model's author wrote it.
        spec: Data type and shape.
        digest: Identity of the tensor; equal for equal tensors under any name.
        chunks: Digest of each chunk, in the order of the bytes.
    """

    name: str
    spec: TensorSpec
    digest: Digest
    chunks: tuple[Digest, ...]

    def chunk_sizes(self) -> Iterator[tuple[Digest, int]]:
        """Each chunk's digest with its size in bytes, in the order of the bytes."""
        return zip(self.chunks, chunk_sizes(self.spec), strict=True)


def make_parameter(
    algorithm: DigestAlgorithm, name: str, spec: TensorSpec, chunks: Sequence[Digest]
) -> Parameter:
    """The parameter ``name`` with these chunks; derives its digest.

    Raises:
        InvalidArgumentError: INVALID_NAME, or SHAPE_MISMATCH if the number of chunks does not fit ``spec``.
    """
    check_parameter_name(name)
    wanted = chunk_count(spec)
    if len(chunks) != wanted or any(len(chunk) != DIGEST_SIZE for chunk in chunks):
        raise InvalidArgumentError(
            ErrorReason.SHAPE_MISMATCH,
            f"Parameter {name!r} of type {spec.dtype} and shape {spec.shape} has {wanted} chunks with digests "
            f"of {DIGEST_SIZE} bytes; found {len(chunks)} chunks.",
            parameter=name,
        )
    chunks = tuple(chunks)
    return Parameter(name=name, spec=spec, digest=tensor_digest(algorithm, spec, chunks), chunks=chunks)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The parameters of a model, in order. Names are unique.

    Attributes:
        algorithm: Digest algorithm of every digest in it.
        parameters: In the order in which the model's author stored them.
    """

    algorithm: DigestAlgorithm
    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        """Refuses two parameters of one name.

        Raises:
            InvalidArgumentError: DUPLICATE_PARAMETER.
        """
        seen: set[str] = set()
        for parameter in self.parameters:
            if parameter.name in seen:
                raise InvalidArgumentError(
                    ErrorReason.DUPLICATE_PARAMETER,
                    f"Parameter {parameter.name!r} occurs twice; names in a model are unique.",
                    parameter=parameter.name,
                )
            seen.add(parameter.name)

    @property
    def digest(self) -> Digest:
        """Identity of the parameter set. Serializes the manifest: keep the result where it is used often."""
        return digest_of(self.algorithm, self.to_bytes())

    @property
    def size_bytes(self) -> int:
        """Bytes of all parameters together."""
        return sum(parameter.spec.size_bytes for parameter in self.parameters)

    def chunk_sizes(self) -> dict[Digest, int]:
        """Every distinct chunk with its size in bytes, in order of first use."""
        return {digest: size for parameter in self.parameters for digest, size in parameter.chunk_sizes()}

    def to_bytes(self) -> bytes:
        """Canonical bytes: JSON with sorted keys, no spaces, ASCII only, one final line feed."""
        document = {
            "format": _FORMAT,
            "version": MANIFEST_VERSION,
            "chunk_rule": CHUNK_RULE,
            "digest_algorithm": self.algorithm.value,
            "arrays": [_to_document(parameter) for parameter in self.parameters],
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """The manifest that ``content`` holds; tensor digests and chunk counts are checked.

        Only canonical bytes are read, so one parameter set has one digest and no field can lie.

        Raises:
            CorruptError: MANIFEST_CORRUPT, or UNKNOWN_FORMAT_VERSION.
        """
        try:
            document = json.loads(content)
            if document["format"] != _FORMAT:
                raise _corrupt(f"its format is {document['format']!r}")
            if (document["version"], document["chunk_rule"]) != (MANIFEST_VERSION, CHUNK_RULE):
                raise CorruptError(
                    ErrorReason.UNKNOWN_FORMAT_VERSION,
                    f"A manifest of version {MANIFEST_VERSION} and chunk rule {CHUNK_RULE} was wanted; found "
                    f"version {document['version']!r} and rule {document['chunk_rule']!r}.",
                )
            algorithm = DigestAlgorithm(document["digest_algorithm"])
            manifest = cls(algorithm, tuple(_from_document(algorithm, array) for array in document["arrays"]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise _corrupt(f"{type(error).__name__}: {error}") from error
        except InvalidArgumentError as error:
            raise _corrupt(error.message) from error
        if manifest.to_bytes() != content:
            raise _corrupt("its bytes are not the canonical ones")
        return manifest


def _corrupt(found: str) -> CorruptError:
    return CorruptError(ErrorReason.MANIFEST_CORRUPT, f"A manifest cannot be read: {found}.")


def _to_document(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "digest": parameter.digest.hex(),
        "data_type": parameter.spec.dtype,
        "shape": parameter.spec.shape,
        "chunk_shape": chunk_shape(parameter.spec),
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "chunks": [chunk.hex() for chunk in parameter.chunks],
    }


def _from_document(algorithm: DigestAlgorithm, document: dict[str, Any]) -> Parameter:
    spec = TensorSpec(document["data_type"], tuple(document["shape"]))
    chunks = [bytes.fromhex(chunk) for chunk in document["chunks"]]
    parameter = make_parameter(algorithm, document["name"], spec, chunks)
    if parameter.digest.hex() != document["digest"]:
        raise _corrupt(f"the digest of parameter {parameter.name!r} does not fit its chunks")
    return parameter
