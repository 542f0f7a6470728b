"""Speed of the storage layer alone: new models, known ones, reading back; and the ceilings of the same run."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bench.figures import Figure, Report, table_lines
from bench.machine import describe_machine
from bench.weights import encoder_file

from mgit_core.chunking import CHUNK_BYTES, chunk_ranges
from mgit_core.coding.codec import encode_chunk
from mgit_core.coding.plans import ChunkPlan
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.safetensors import parse_header
from mgit_storage.store import Store, open_store

__all__ = [
    "Model",
    "digest_all",
    "measure",
    "median_time",
    "read_all",
    "seconds",
    "speed",
    "store_known",
    "store_new",
    "weights_in",
    "with_goal",
    "write_plain",
]

_ALGORITHM = DigestAlgorithm.BLAKE3
_REPEATS = 5
_DRAWN_BYTES = 256 << 20
_CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Model:
    """Tensors' bytes, one after another, and where the chunks are.

    Attributes:
        name: What a reader calls it.
        content: All bytes.
        chunks: Start and stop of each chunk, and bytes of a number in it.
    """

    name: str
    content: memoryview
    chunks: Sequence[tuple[int, int, int]]

    @property
    def gigabytes(self) -> float:
        """Size in 10^9 bytes."""
        return sum(stop - start for start, stop, _ in self.chunks) / 1e9

    def chunk(self, at: int) -> memoryview:
        """The bytes of one chunk."""
        start, stop, _ = self.chunks[at]
        return self.content[start:stop]


def measure() -> Report:
    """Real weights, and drawn ones that compress less and come in whole chunks only."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="mgit-bench-") as folder:
        for model in (real_weights(), drawn_weights()):
            figures += _measure_model(model, Path(folder))
    return Report(title="Storage layer, in one process", machine=describe_machine(), figures=figures)


def real_weights() -> Model:
    """The sentence encoder, 91 MB of trained float32."""
    return weights_in("encoder", encoder_file())


def weights_in(name: str, path: Path) -> Model:
    """The tensors of a safetensors file."""
    content = path.read_bytes()
    chunks = [
        (tensor.start + start, tensor.start + stop, tensor.spec.number_bytes)
        for tensor in parse_header(content, len(content)).tensors
        for start, stop in chunk_ranges(tensor.spec)
    ]
    return Model(name, memoryview(content), chunks)


def drawn_weights() -> Model:
    """Normal float32 numbers: the upper bytes compress, the others are noise."""
    values = np.random.default_rng(1).standard_normal(_DRAWN_BYTES // 4, np.float32) * np.float32(0.02)
    chunks = [(start, start + CHUNK_BYTES, 4) for start in range(0, _DRAWN_BYTES, CHUNK_BYTES)]
    return Model("drawn", memoryview(values).cast("B"), chunks)


def _measure_model(model: Model, folder: Path) -> list[Figure]:
    with ThreadPoolExecutor(_CORES) as pool:
        stores = [open_store(folder / f"{model.name}-{turn}", _ALGORITHM) for turn in range(_REPEATS)]
        cpu_before, wall_before = time.process_time(), time.perf_counter()
        new_s = statistics.median(
            seconds(lambda store=store: store_new(store, model, pool)) for store in stores
        )
        cpu_s, wall_s = time.process_time() - cpu_before, time.perf_counter() - wall_before
        cores = f"{cpu_s / wall_s:.1f} cores busy, {cpu_s / _REPEATS / model.gigabytes:.2f} CPU seconds a GB"
        store = stores[0]
        digests = digest_all(model, pool)
        usage = store.parameters.usage()
        known_s = median_time(lambda: store_known(store, model, pool))
        read_s = median_time(lambda: read_all(store, digests, model))
        stored_gigabytes = usage.pack_bytes / 1e9
        copy = speed(f"{model.name}: memory copy, one thread", model, median_time(copying(model)))
        hashing = speed(
            f"{model.name}: digests alone, {_CORES} threads",
            model,
            median_time(lambda: digest_all(model, pool)),
        )
        encoding = speed(
            f"{model.name}: encoding alone, {_CORES} threads",
            model,
            median_time(lambda: encode_all(model, pool)),
        )
        disk_s = median_time(lambda: write_plain(folder / "plain", usage.pack_bytes))
    disk = Figure(
        name=f"{model.name}: as many stored bytes into one file, synced",
        value=stored_gigabytes / disk_s,
        unit="GB/s",
    )
    # Nothing is faster than encoding and writing side by side, the slower one deciding.
    bound = Figure(
        name=f"{model.name}: the slower of encoding and disk",
        value=model.gigabytes / max(model.gigabytes / encoding.value, disk_s),
        unit="GB/s",
    )
    new = replace(speed(f"{model.name}: new, cut to durable", model, new_s), note=cores)
    known = speed(f"{model.name}: known again", model, known_s)
    read = speed(f"{model.name}: read, verified", model, read_s)
    speeds = [with_goal(new, 0.5, bound), with_goal(known, 5.0, hashing), with_goal(read, 0.9, hashing)]
    ratio = Figure(
        name=f"{model.name}: raw bytes for each stored one", value=model.gigabytes / stored_gigabytes, unit=""
    )
    return [*speeds, ratio, copy, hashing, encoding, disk, bound]


def copying(model: Model) -> Callable[[], object]:
    """Copies all bytes to a place that is there already."""
    source = np.frombuffer(model.content, np.uint8)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


def store_new(
    store: Store, model: Model, pool: ThreadPoolExecutor, plans: Sequence[ChunkPlan | None] | None = None
) -> None:
    """Cut, digest, encode, append on all cores, and make it durable; with a plan for each chunk, if any."""
    wanted = plans or [None] * len(model.chunks)
    with store.chunks.open_writer() as writer:
        for _ in pool.map(
            lambda at: writer.write(model.chunk(at), width=model.chunks[at][2], plan=wanted[at]),
            range(len(model.chunks)),
        ):
            pass


def digest_all(model: Model, pool: ThreadPoolExecutor) -> list[Digest]:
    """Digests of all chunks, on all cores."""
    return list(pool.map(lambda at: digest_of(_ALGORITHM, model.chunk(at)), range(len(model.chunks))))


def encode_all(model: Model, pool: ThreadPoolExecutor) -> None:
    """Encode all chunks on all cores and keep nothing."""
    for _ in pool.map(
        lambda at: encode_chunk(model.chunk(at), model.chunks[at][2]).raw_size, range(len(model.chunks))
    ):
        pass


def store_known(store: Store, model: Model, pool: ThreadPoolExecutor) -> None:
    """What a model costs that is all there: digests, and one question."""
    if store.chunks.find_missing(digest_all(model, pool)):
        raise SystemExit("a stored chunk is missing")


def read_all(store: Store, digests: Sequence[Digest], model: Model) -> None:
    """Read every chunk, verified, and count the bytes."""
    total = sum(len(chunk) for chunk in store.chunks.read_many(digests))
    if total != sum(stop - start for start, stop, _ in model.chunks):
        raise SystemExit("other bytes came back")


def write_plain(path: Path, size: int) -> None:
    """The least that a disk has to do for ``size`` bytes."""
    block = os.urandom(CHUNK_BYTES)
    with path.open("wb", buffering=0) as file:
        for start in range(0, size, CHUNK_BYTES):
            file.write(block[: size - start])
        os.fsync(file.fileno())
    path.unlink()


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_time(action: Callable[[], object]) -> float:
    """Median wall time of some calls, in seconds."""
    return statistics.median(seconds(action) for _ in range(_REPEATS))


def speed(name: str, model: Model, taken_s: float) -> Figure:
    """How fast all bytes of a model were through."""
    return Figure(name=name, value=model.gigabytes / taken_s, unit="GB/s")


def with_goal(figure: Figure, goal: float, ceiling: Figure) -> Figure:
    """The figure beside what it is to reach, in GB/s, and what bounds it."""
    return replace(
        figure,
        goal=f"at least {goal} GB/s",
        is_reached=figure.value >= goal,
        ceiling=ceiling.name,
        ratio=figure.value / ceiling.value,
    )


if __name__ == "__main__":
    report = measure()
    if len(sys.argv) > 1:
        report.save(Path(sys.argv[1]))
    print("\n".join(table_lines(report)))
