"""Makes the files of ``tests/format/v1``. They were made once; what version 1 wrote never changes.

Run as ``python -m tests.format.make_vectors FOLDER`` to see what today's code would write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mgit_core.chunking import chunk_keys, chunk_ranges, chunk_shape, chunk_sizes, grid_shape
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.tensor import DTYPES, TensorSpec
from mgit_storage.store import open_store

GRIDS: list[tuple[str, tuple[int, ...]]] = [
    *((dtype, (3, 2)) for dtype in sorted(DTYPES)),
    ("float32", ()),
    ("float32", (0,)),
    ("bfloat16", (4, 0, 3)),
    ("float32", (262_144,)),
    ("float32", (262_145,)),
    ("bfloat16", (30_522, 384)),
    ("float64", (2, 131_073)),
    ("uint8", (2, 3, 600_000)),
    ("complex128", (3, 70_000)),
]
# Floats are made by ``weights``, all else by ``pattern``.
TENSORS: list[tuple[str, str, tuple[int, ...]]] = [
    ("encoder.weight", "float32", (5, 3)),
    ("encoder/bias ä", "bfloat16", ()),
    ("empty", "int64", (0, 4)),
    ("large", "uint8", (1_048_581,)),
    ("double", "float64", (40, 10)),
    ("half", "float16", (200,)),
    ("single", "float32", (500,)),
    ("wave", "complex128", (2,)),
]
FILES = {"config.json": b'{"hidden_size": 3}\n', "empty.txt": b""}


def pattern(size: int, seed: int) -> bytes:
    """Bytes that every language can make: byte i is (31 i + 7 (i div 251) + seed) mod 256."""
    return bytes((31 * at + 7 * (at // 251) + seed) % 256 for at in range(size))


def weights(size: int, width: int, seed: int) -> bytes:
    """Numbers of ``width`` bytes like trained weights: the last byte is 61, the others are noise.

    The noise is x mod 2^(8 width - 8) with x = 6364136223846793005 x + 1442695040888963407 mod 2^64, from
    x = seed on, taken after the step and shifted right by 8 first.
    """
    numbers = []
    x = seed
    for _ in range(size // width):
        x = (6364136223846793005 * x + 1442695040888963407) % 2**64
        numbers.append(((x >> 8) % 2 ** (8 * width - 8)).to_bytes(width - 1, "little") + b"=")
    return b"".join(numbers)


def content_of(spec: TensorSpec, seed: int) -> bytes:
    """The bytes of a tensor of the vectors."""
    if "float" in spec.dtype:
        return weights(spec.size_bytes, spec.itemsize, seed)
    return pattern(spec.size_bytes, seed)


def grid_vectors() -> list[dict[str, Any]]:
    """The chunk rule on shapes where it decides."""
    specs = [TensorSpec(dtype, shape) for dtype, shape in GRIDS]
    return [
        {
            "data_type": spec.dtype,
            "shape": spec.shape,
            "chunk_shape": chunk_shape(spec),
            "grid": grid_shape(spec),
            "sizes": list(chunk_sizes(spec)),
            "keys": list(chunk_keys(spec)),
        }
        for spec in specs
    ]


def write_store(folder: Path, algorithm: DigestAlgorithm) -> dict[str, Any]:
    """A small store, and what a reader must find in it."""
    store = open_store(folder, algorithm)
    parameters = []
    with store.chunks.open_writer() as writer:
        for seed, (name, dtype, shape) in enumerate(TENSORS):
            spec = TensorSpec(dtype, shape)
            content = content_of(spec, seed)
            chunks = [
                writer.write(content[start:stop], width=spec.number_bytes)
                for start, stop in chunk_ranges(spec)
            ]
            parameters.append(make_parameter(algorithm, name, spec, chunks))
    entries = []
    with store.chunks.open_writer() as writer:
        for path, content in FILES.items():
            digests = (writer.write(content, width=1),) if content else ()
            entries.append(
                FileEntry(
                    path=path,
                    kind=FileKind.OPAQUE,
                    size_bytes=len(content),
                    stored_bytes=len(content),
                    chunks=digests,
                )
            )
    manifest = Manifest(algorithm, tuple(parameters))
    files = FileList(
        algorithm=algorithm, source_format="folder", files=tuple(entries), ties=(("half", "double"),)
    )
    return {
        "id": store.id,
        "digest_algorithm": algorithm.value,
        "manifest_key": store.parameters.write_manifest(manifest),
        "manifest_digest": manifest.digest.hex(),
        "files_key": store.parameters.write_file_list(files),
        "files_digest": files.digest.hex(),
        "tensors": [
            {
                "name": parameter.name,
                "data_type": parameter.spec.dtype,
                "shape": parameter.spec.shape,
                "seed": seed,
                "digest": parameter.digest.hex(),
                "chunks": [chunk.hex() for chunk in parameter.chunks],
            }
            for seed, parameter in enumerate(parameters)
        ],
        "files": {
            path: {"content": content.decode(), "digest": digest_of(algorithm, content).hex()}
            for path, content in FILES.items()
        },
    }


def main(folder: Path) -> None:
    """Write all vectors below ``folder``."""
    folder.mkdir(parents=True)
    documents: dict[str, Any] = {"grids": grid_vectors()}
    for algorithm in DigestAlgorithm:
        documents[f"store-{algorithm}"] = write_store(folder / f"store-{algorithm}", algorithm)
        (folder / f"store-{algorithm}" / "tmp").rmdir()
    for name, document in documents.items():
        text = json.dumps(document, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
