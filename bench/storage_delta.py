"""Speed of the storage layer with a fine-tuned model that is predicted from its base: fast, and repacked."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from bench.families import build_family
from bench.figures import Figure, Report, table_lines
from bench.machine import describe_machine
from bench.storage import (
    Model,
    digest_all,
    median_time,
    read_all,
    seconds,
    speed,
    store_known,
    store_new,
    weights_in,
    with_goal,
    write_plain,
)
from examples.minilm.family import FULL

from mgit_core.coding.codec import Candidate, encode_planned
from mgit_core.coding.encoded import BaseRange, Predictor
from mgit_core.coding.numbers import format_of_dtype
from mgit_core.coding.plans import ChunkPlan, Effort, Prediction
from mgit_core.digest import Digest, DigestAlgorithm
from mgit_core.ports.maintenance import Copy
from mgit_core.safetensors import parse_header
from mgit_service.memory import keep_freed_memory
from mgit_storage.store import Store, open_store

__all__ = ["measure"]

_ALGORITHM = DigestAlgorithm.BLAKE3
_REPEATS = 5
_CORES = os.cpu_count() or 1
_BASE = "minilm@1"
_ONE = ("ft0@1",)
# About what a repack takes in one step.
_STEP = ("ft0@1", "ft1@1", "ft2@1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A model, the one that it was trained from, and which chunk of the one predicts which of the other.

    Attributes:
        base: The base.
        child: The fine-tuned model.
        base_digests: Of the chunks of the base.
        matches: For each chunk of the child a chunk of the base as large, or none.
        dtypes: Data type of each chunk of the child.
    """

    base: Model
    child: Model
    base_digests: list[Digest]
    matches: list[int | None]
    dtypes: list[str]

    def plans(self, effort: Effort) -> list[ChunkPlan]:
        """A plan for each chunk of the child, with the bytes of the base, as an upload has them."""
        return [self._plan(at, effort) for at in range(len(self.child.chunks))]

    def _plan(self, at: int, effort: Effort) -> ChunkPlan:
        numbers = format_of_dtype(self.dtypes[at])
        match = self.matches[at]
        if match is None:
            return ChunkPlan(numbers=numbers, effort=effort)
        digest, content = self.base_digests[match], bytes(self.base.chunk(match))
        prediction = Prediction(predictor=Predictor.BASE, bases=(BaseRange(digest, 0, len(content)),))
        return ChunkPlan(
            numbers=numbers, effort=effort, predictions=(prediction,), contents={digest: content}
        )


def measure() -> Report:
    """A real fine-tune beside its base, in a process that keeps freed memory as the service does."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="mgit-bench-") as folder, ThreadPoolExecutor(_CORES) as pool:
        figures = _measure_fast(real_pair(pool, _ONE), Path(folder, "one"), pool)
        figures += _measure_dense(real_pair(pool, _STEP), Path(folder, "step"), pool)
    return Report(
        title="Storage layer, a fine-tune as a difference to its base",
        machine=describe_machine(),
        figures=figures,
    )


def real_pair(pool: ThreadPoolExecutor, refs: Sequence[str]) -> Pair:
    """The sentence encoder, and fine-tunes of it one after another, 91 MB of float32 each."""
    built = build_family([member for member in FULL if member.ref in {_BASE, *refs}])
    paths = {each.ref: next(each.path.rglob("*.safetensors")) for each in built}
    base = weights_in("base", paths[_BASE])
    children = [weights_in("fine-tune", paths[ref]) for ref in refs]
    child = _joined(children)
    places = {name: at for at, (name, _) in enumerate(_named(base))}
    names = [name for each in children for name in _named(each)]
    return Pair(
        base=base,
        child=child,
        base_digests=digest_all(base, pool),
        matches=[places.get(name) for name, _ in names],
        dtypes=[dtype for _, dtype in names],
    )


def _joined(models: Sequence[Model]) -> Model:
    """The models as one."""
    starts = accumulate((len(model.content) for model in models), initial=0)
    chunks = [
        (at + start, at + stop, width)
        for at, model in zip(starts, models, strict=False)
        for start, stop, width in model.chunks
    ]
    return Model("fine-tune", memoryview(b"".join(model.content for model in models)), chunks)


def _named(model: Model) -> list[tuple[tuple[str, int, int], str]]:
    """What a chunk is of, in order: tensor, start in it and size, and the data type."""
    tensors = iter(parse_header(bytes(model.content), len(model.content)).tensors)
    tensor = next(tensors)
    found = []
    for start, stop, _ in model.chunks:
        while start >= tensor.stop:
            tensor = next(tensors)
        found.append(((tensor.name, start - tensor.start, stop - start), tensor.spec.dtype))
    return found


def _measure_fast(pair: Pair, folder: Path, pool: ThreadPoolExecutor) -> list[Figure]:
    child = pair.child
    with_base = _store_base(pair, folder, pool)
    plans = pair.plans(Effort.FAST)
    stores = [_copy(with_base, folder / f"fast-{turn}") for turn in range(_REPEATS)]
    before = stores[0].parameters.usage().pack_bytes
    new_s = statistics.median(
        seconds(lambda store=store: store_new(store, child, pool, plans)) for store in stores
    )
    store = stores[0]
    digests = digest_all(child, pool)
    stored = store.parameters.usage().pack_bytes - before
    hashing = speed("fine-tune: digests alone", child, median_time(lambda: digest_all(child, pool)))
    encoding = speed(
        "fine-tune: fast encoding alone", child, median_time(lambda: encode_all(child, plans, pool))
    )
    disk_s = median_time(lambda: write_plain(folder / "plain", stored))
    bound = Figure(
        name="fine-tune: the slower of fast encoding and disk",
        value=child.gigabytes / max(child.gigabytes / encoding.value, disk_s),
        unit="GB/s",
    )
    known_s = median_time(lambda: store_known(store, child, pool))
    read = _read("fine-tune: read, verified", store, digests, child)
    return [
        with_goal(speed("fine-tune: new, cut to durable", child, new_s), 1.0, bound),
        with_goal(read, 1.2, _read("base: read, verified", store, pair.base_digests, pair.base)),
        with_goal(speed("fine-tune: known again", child, known_s), 6.0, hashing),
        Figure(
            name="fine-tune: raw bytes for each stored one", value=child.gigabytes * 1e9 / stored, unit=""
        ),
        hashing,
        encoding,
        bound,
    ]


def _store_base(pair: Pair, folder: Path, pool: ThreadPoolExecutor) -> Path:
    with_base = folder / "base"
    store_new(open_store(with_base, _ALGORITHM), pair.base, pool)
    return with_base


def _measure_dense(pair: Pair, folder: Path, pool: ThreadPoolExecutor) -> list[Figure]:
    child = pair.child
    plans = pair.plans(Effort.DENSE)
    digests = digest_all(child, pool)
    fast = _copy(_store_base(pair, folder, pool), folder / "fast")
    store_new(fast, child, pool, pair.plans(Effort.FAST))
    stores = [_copy(folder / "fast", folder / f"dense-{turn}") for turn in range(3)]
    repack_s = statistics.median(
        seconds(lambda store=store: repack(store, pair, plans, pool)) for store in stores
    )
    store = stores[0]
    encoding = speed(
        "three fine-tunes: dense encoding alone", child, seconds(lambda: encode_all(child, plans, pool))
    )
    stored = sum(store.chunks.stored_sizes(list(dict.fromkeys(digests))))
    base = _read("base: read, verified, beside the dense fine-tunes", store, pair.base_digests, pair.base)
    return [
        with_goal(
            replace(
                speed("three fine-tunes: repacked densely", child, repack_s),
                note="read, encoded, read back, the older copies dropped",
            ),
            0.27,
            encoding,
        ),
        with_goal(_read("three fine-tunes: dense, read, verified", store, digests, child), 0.45, base),
        Figure(
            name="three fine-tunes: dense, raw bytes for each stored one",
            value=child.gigabytes * 1e9 / stored,
            unit="",
        ),
        encoding,
        base,
    ]


def repack(store: Store, pair: Pair, plans: list[ChunkPlan], pool: ThreadPoolExecutor) -> None:
    """Read each chunk, encode it densely, read it back, and drop the copy that it had."""
    all_digests = digest_all(pair.child, pool)
    digests = list(dict.fromkeys(all_digests))
    older = _copies(store, digests)
    with store.chunks.open_writer(rewrite=True) as writer:

        def rewrite(at: int) -> Digest:
            content = store.chunks.read(all_digests[at])
            return writer.write(content, width=pair.child.chunks[at][2], plan=plans[at])

        list(pool.map(rewrite, range(len(plans))))
    dense = [copy for copy in _copies(store, digests) if copy not in set(older)]
    list(pool.map(store.chunks.maintenance.read_copy, dense))
    store.chunks.maintenance.drop(older, lambda: None)


def encode_all(model: Model, plans: list[ChunkPlan], pool: ThreadPoolExecutor) -> None:
    """Encode all chunks on all cores and keep nothing."""
    for _ in pool.map(
        lambda at: encode_planned(model.chunk(at), plans[at], _candidates(plans[at])).raw_size,
        range(len(plans)),
    ):
        pass


def _candidates(plan: ChunkPlan) -> list[Candidate]:
    return [
        Candidate(prediction, [plan.contents[base.digest] for base in prediction.bases])
        for prediction in plan.predictions
    ]


def _copy(source: Path, target: Path) -> Store:
    shutil.copytree(source, target)
    return open_store(target, _ALGORITHM)


def _copies(store: Store, digests: list[Digest]) -> list[Copy]:
    return [copy for part in store.chunks.maintenance.copies(digests) for copy in part]


def _read(name: str, store: Store, digests: list[Digest], model: Model) -> Figure:
    return speed(name, model, median_time(lambda: read_all(store, digests, model)))


if __name__ == "__main__":
    report = measure()
    if len(sys.argv) > 1:
        report.save(Path(sys.argv[1]))
    print("\n".join(table_lines(report)))
