"""What every chunk store must do with chunks that are predicted from others."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import zstandard

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.coding.codec import encode_chunk
from mgit_core.coding.encoded import BaseRange, EncodedChunk, Encoding, Predictor
from mgit_core.coding.numbers import NumberFormat
from mgit_core.coding.plans import ChunkPlan, Prediction
from mgit_core.coding.predictors import scale
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import CorruptError, ErrorReason
from mgit_core.ports.chunks import ChunkStore
from mgit_core.ports.maintenance import Copy
from mgit_storage.testing.chunks import make_chunk, store_chunks
from mgit_storage.testing.planted import exact_copy, plant, plant_chain
from mgit_storage.testing.raw import RawObjects, flip_bit

__all__ = ["ChunkBasesConformance", "make_change", "plan_on", "store_on"]


_INFLATING = zstandard.ZstdCompressor().compress(bytes(64 << 20))
"""A few bytes that become 64 MiB."""


def make_change(content: bytes, seed: int) -> bytes:
    """Float bytes that differ from ``content`` a little, as a fine-tune does."""
    values = np.frombuffer(content, "<f4")
    step = np.random.default_rng(seed).normal(0, 1e-5, values.size).astype("<f4")
    changed: npt.NDArray[np.float32] = np.add(values, step, dtype="<f4")
    return changed.tobytes()


def plan_on(*bases: tuple[Digest, bytes], has_contents: bool = True) -> ChunkPlan:
    """Predict a float32 chunk from each of these chunks, one after another."""
    predictions = tuple(
        Prediction(predictor=Predictor.BASE, bases=(BaseRange(digest, 0, len(content)),))
        for digest, content in bases
    )
    contents = dict(bases) if has_contents else {}
    return ChunkPlan(numbers=NumberFormat.FLOAT32, predictions=predictions, contents=contents)


def store_on(store: ChunkStore, content: bytes, plan: ChunkPlan) -> Digest:
    """Write and seal one chunk with a plan."""
    with store.open_writer() as writer:
        return writer.write(content, width=4, plan=plan)


def _bases(store: ChunkStore, digest: Digest) -> list[Digest]:
    return [base.digest for base in store.read_encoded(digest).bases]


class ChunkBasesConformance:
    """The laws of chunks that need bases.

    A subclass supplies the fixtures ``store``, empty; ``other``, as another process would open the same
    content; and ``raw``, a way around them to their objects.
    """

    @pytest.mark.parametrize("has_contents", [True, False])
    def test_a_predicted_chunk_is_smaller_and_reads_back(
        self, store: ChunkStore, other: ChunkStore, *, has_contents: bool
    ) -> None:
        base = make_chunk(1)
        child = make_change(base, 1)
        (below,) = store_chunks(store, [base])
        digest = store_on(store, child, plan_on((below, base), has_contents=has_contents))
        assert (store.read(digest), other.read(digest)) == (child, child)
        assert store.stored_sizes([digest])[0] < 0.7 * store.stored_sizes([below])[0]
        assert _bases(store, digest) == [below]

    def test_what_is_predicted_exactly_has_no_payload(self, store: ChunkStore) -> None:
        base = make_chunk(1)
        (below,) = store_chunks(store, [base])
        prediction = Prediction(predictor=Predictor.BASE, bases=(BaseRange(below, 0, 4000),))
        digest = store_on(
            store, base[:4000], ChunkPlan(numbers=NumberFormat.FLOAT32, predictions=(prediction,))
        )
        assert (store.read_encoded(digest).encoding, store.stored_sizes([digest])) == (Encoding.EXACT, [56])
        assert store.read(digest) == base[:4000]

    def test_chains_read_back_in_any_order(self, store: ChunkStore, other: ChunkStore) -> None:
        content = make_chunk(1)
        (digest,) = store_chunks(store, [content])
        contents = {digest: content}
        for seed in range(3):
            before, content = (digest, content), make_change(content, seed)
            digest = store_on(store, content, plan_on(before))
            contents[digest] = content
        assert store.decode_costs(list(contents)) == [4096, 8192, 12288, 16384]
        wanted = list(reversed(contents)) * 3
        assert list(other.read_many(wanted)) == [contents[each] for each in wanted]

    def test_a_chunk_of_the_same_writer_may_be_the_base(self, store: ChunkStore) -> None:
        base = make_chunk(1)
        child = make_change(base, 1)
        with store.open_writer() as writer:
            below = writer.write(base, width=4)
            digest = writer.write(child, width=4, plan=plan_on((below, base)))
        assert (_bases(store, digest), store.read(digest)) == ([below], child)

    def test_a_prediction_without_a_usable_base_is_passed_over(self, store: ChunkStore) -> None:
        base, other_base = make_chunk(1), make_chunk(2)
        unknown = digest_of(store.algorithm, base)
        (known,) = store_chunks(store, [other_base])
        child = make_change(other_base, 1)
        digest = store_on(store, child, plan_on((unknown, base), (known, other_base)))
        assert (_bases(store, digest), store.read(digest)) == ([known], child)
        alone = store_on(store, make_change(base, 1), plan_on((unknown, base)))
        assert _bases(store, alone) == []

    def test_an_unsealed_base_without_its_bytes_is_passed_over(self, store: ChunkStore) -> None:
        base = make_chunk(1)
        with store.open_writer() as writer:
            below = writer.write(base, width=4)
            digest = writer.write(
                make_change(base, 1), width=4, plan=plan_on((below, base), has_contents=False)
            )
        assert _bases(store, digest) == []

    def test_a_damaged_base_is_passed_over(self, store: ChunkStore, raw: RawObjects) -> None:
        base = make_chunk(1)
        (below,) = store_chunks(store, [base])
        (pack,) = [key for key in raw.list() if key.startswith("packs/")]
        flip_bit(raw, pack, 60)
        child = make_change(base, 1)
        digest = store_on(store, child, plan_on((below, base), has_contents=False))
        assert (_bases(store, digest), store.read(digest)) == ([], child)

    def test_a_range_beyond_the_base_is_passed_over(self, store: ChunkStore) -> None:
        base = make_chunk(1)
        (below,) = store_chunks(store, [base])
        prediction = Prediction(predictor=Predictor.BASE, bases=(BaseRange(below, 8, 4104),))
        plan = ChunkPlan(numbers=NumberFormat.FLOAT32, predictions=(prediction,))
        assert _bases(store, store_on(store, make_change(base, 1), plan)) == []

    def test_one_read_decodes_four_times_its_bytes_at_most(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        (digest,) = store_chunks(store, [content])
        for seed in range(5):
            before, content = (digest, content), make_change(content, seed)
            digest = store_on(store, content, plan_on(before))
            assert store.read(digest) == content
            assert store.decode_costs([digest]) == [4096 * (1 + (seed + 1) % 4)]

    def test_what_leaves_little_may_decode_twice_as_much(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        (digest,) = store_chunks(store, [content])
        for seed in range(3):
            before, content = (digest, content), make_change(content, seed)
            digest = store_on(store, content, plan_on(before))
        costs = []
        for _ in range(5):
            content = (np.frombuffer(content, "<f4") * np.float32(2)).tobytes()
            doubled = Prediction(
                predictor=Predictor.SCALE,
                bases=(BaseRange(digest, 0, len(content)),),
                parameters=scale.make_parameters(NumberFormat.FLOAT32, 2.0),
            )
            plan = ChunkPlan(numbers=NumberFormat.FLOAT32, predictions=(doubled,))
            digest = store_on(store, content, plan)
            assert store.read(digest) == content
            costs += store.decode_costs([digest])
        assert costs == [4096 * each for each in (5, 6, 7, 8, 1)]

    def test_a_base_that_two_bases_share_counts_once(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        (base,) = store_chunks(store, [content])
        children = [make_change(content, seed) for seed in range(2)]
        digests = [store_on(store, child, plan_on((base, content))) for child in children]
        ranges = [BaseRange(digest, 0, 2048) for digest in digests]
        plan = ChunkPlan(
            numbers=NumberFormat.FLOAT32,
            predictions=(Prediction(predictor=Predictor.BASE, bases=tuple(ranges)),),
        )
        halves = children[0][:2048] + children[1][:2048]
        digest = store_on(store, halves, plan)
        assert (_bases(store, digest), store.decode_costs([digest])) == (digests, [4 * 4096])
        assert store.read(digest) == halves

    def test_a_part_of_a_base_counts_as_a_part(self, store: ChunkStore) -> None:
        """The rest of the base is of use to the chunk's neighbors."""
        content = make_chunk(1, 64_000)
        (base,) = store_chunks(store, [content])
        prediction = Prediction(predictor=Predictor.BASE, bases=(BaseRange(base, 400, 4400),))
        plan = ChunkPlan(numbers=NumberFormat.FLOAT32, predictions=(prediction,))
        digest = store_on(store, content[400:4400], plan)
        assert (_bases(store, digest), store.decode_costs([digest])) == ([base], [68_000])

    def test_a_chunk_never_gets_a_base_that_rests_on_it(self, store: ChunkStore) -> None:
        contents = [make_chunk(1)]
        digests = store_chunks(store, contents)
        for seed in range(2):
            contents.append(make_change(contents[-1], seed))
            digests.append(store_on(store, contents[-1], plan_on((digests[-1], contents[-2]))))
        with store.open_writer(rewrite=True) as writer:
            for below in (1, 2):
                writer.write(contents[0], width=4, plan=plan_on((digests[below], contents[below])))
        assert [header.bases for header in store.maintenance.headers(_copies(store, digests[0]))] == [(), ()]

    @pytest.mark.parametrize("plan", [None, ChunkPlan(numbers=NumberFormat.FLOAT32)])
    def test_a_rewrite_keeps_what_was_smaller(self, store: ChunkStore, plan: ChunkPlan | None) -> None:
        base, content = make_chunk(1), make_change(make_chunk(1), 1)
        (below,) = store_chunks(store, [base])
        digest = store_on(store, content, plan_on((below, base)))
        older = store.read_encoded(digest)
        with store.open_writer(rewrite=True) as writer:
            writer.write(content, width=4, plan=plan)
        store.maintenance.drop(
            [copy for copy in _copies(store, digest) if not _is_dense(store, copy.pack)], lambda: None
        )
        assert (store.read_encoded(digest), store.read(digest)) == (older, content)

    def test_chunks_that_are_rewritten_at_once_form_no_loop(self, store: ChunkStore) -> None:
        contents = [make_chunk(1)]
        contents += [make_change(contents[0], seed) for seed in range(5)]
        chunks = list(zip(store_chunks(store, contents), contents, strict=True))

        def rewrite(at: int) -> None:
            others = [chunks[(at + step) % len(chunks)] for step in range(1, len(chunks))]
            writer.write(contents[at], width=4, plan=plan_on(*others))

        with store.open_writer(rewrite=True) as writer, ThreadPoolExecutor(4) as pool:
            list(pool.map(rewrite, range(len(chunks))))
        older = [
            copy for digest, _ in chunks for copy in _copies(store, digest) if not _is_dense(store, copy.pack)
        ]
        store.maintenance.drop(older, lambda: None)
        assert [store.read(digest) for digest, _ in chunks] == contents
        assert sum(bool(_bases(store, digest)) for digest, _ in chunks) >= 1

    def test_a_missing_base_is_named_and_its_chunk_counts_as_missing(
        self, store: ChunkStore, raw: RawObjects
    ) -> None:
        content = make_chunk(1)
        below, digest = digest_of(store.algorithm, content), digest_of(store.algorithm, content[:100])
        plant(raw, [(digest, exact_copy(100, BaseRange(below, 0, 100)))])
        assert store.find_missing([digest]) == [digest]
        assert store.decode_costs([digest]) == [0]
        with pytest.raises(CorruptError, match=below.hex()) as caught:
            store.read(digest)
        assert (caught.value.reason, caught.value.details["digest"], caught.value.details["base"]) == (
            ErrorReason.CHUNK_CORRUPT,
            digest.hex(),
            below.hex(),
        )
        store_chunks(store, [content])
        assert (store.find_missing([digest]), store.read(digest)) == ([], content[:100])

    def test_a_chunk_whose_base_is_missing_is_stored_anew(self, store: ChunkStore, raw: RawObjects) -> None:
        content = make_chunk(1)
        digest = digest_of(store.algorithm, content)
        plant(raw, [(digest, exact_copy(4096, BaseRange(digest_of(store.algorithm, b"x"), 0, 4096)))])
        store.refresh()
        assert store_chunks(store, [content]) == [digest]
        assert (store.find_missing([digest]), store.read(digest)) == ([], content)

    @pytest.mark.parametrize("length", [1, 2, 3])
    def test_a_loop_is_refused(self, store: ChunkStore, raw: RawObjects, length: int) -> None:
        digests = [digest_of(store.algorithm, make_chunk(seed)) for seed in range(length)]
        plant(
            raw,
            [
                (digest, exact_copy(4096, BaseRange(digests[(at + 1) % length], 0, 4096)))
                for at, digest in enumerate(digests)
            ],
        )
        assert store.find_missing(digests) == digests
        for digest in digests:
            with pytest.raises(CorruptError, match="loop") as caught:
                store.read(digest)
            assert caught.value.reason is ErrorReason.CHUNK_CORRUPT

    def test_a_loop_with_a_way_out_is_read(self, store: ChunkStore, raw: RawObjects) -> None:
        content = make_chunk(1)
        first, second = digest_of(store.algorithm, content), digest_of(store.algorithm, content[:4000])
        longer = replace(exact_copy(4096, BaseRange(second, 0, 4000)), encoding=Encoding.ZSTD)
        plant(raw, [(first, longer), (second, exact_copy(4000, BaseRange(first, 0, 4000)))])
        assert store.find_missing([first, second]) == [first, second]
        plant(raw, [(first, encode_chunk(content, 4))])
        assert store.find_missing([first, second]) == []
        assert (store.read(second), store.read(first)) == (content[:4000], content)

    def test_a_chain_of_32_bases_is_read_and_a_longer_one_is_not(
        self, store: ChunkStore, raw: RawObjects
    ) -> None:
        content = make_chunk(1)
        contents = [content[: 4096 - at] for at in range(34)]
        digests = [digest_of(store.algorithm, each) for each in contents]
        plant_chain(raw, list(zip(digests, contents, strict=True)))
        assert store.find_missing(digests) == digests[33:]
        with pytest.raises(CorruptError, match="32 bases"):
            store.read(digests[33])
        assert store.read(digests[32]) == contents[32]

    def test_what_decodes_too_much_is_refused(self, store: ChunkStore, raw: RawObjects) -> None:
        contents = [bytes([seed]) * CHUNK_BYTES for seed in range(64)]
        digests = store_chunks(store, contents, 1)
        piece = CHUNK_BYTES // 64
        ranges = [BaseRange(digest, 0, piece) for digest in digests]
        content = b"".join(each[:piece] for each in contents)
        whole, half = digest_of(store.algorithm, content), digest_of(store.algorithm, content[: piece * 32])
        plant(
            raw,
            [
                (whole, exact_copy(CHUNK_BYTES, *ranges)),
                (half, exact_copy(piece * 32, *ranges[:32])),
            ],
        )
        assert store.read(half) == content[: piece * 32]
        with pytest.raises(CorruptError, match="must be decoded"):
            store.read(whole)

    def test_a_range_beyond_the_bytes_of_the_base_is_refused(
        self, store: ChunkStore, raw: RawObjects
    ) -> None:
        content = make_chunk(1, 1000)
        (below,) = store_chunks(store, [content])
        digest = digest_of(store.algorithm, b"other")
        plant(raw, [(digest, exact_copy(1001, BaseRange(below, 0, 1001)))])
        with pytest.raises(CorruptError, match=f"bytes 0 to 1001 of base {below.hex()}"):
            store.read(digest)

    def test_a_raw_size_beyond_a_chunk_is_refused(self, store: ChunkStore, raw: RawObjects) -> None:
        inflating = encode_chunk(bytes(CHUNK_BYTES + 1), 1)
        digest = digest_of(store.algorithm, bytes(CHUNK_BYTES + 1))
        plant(raw, [(digest, inflating)])
        with pytest.raises(CorruptError, match=f"{CHUNK_BYTES + 1} raw bytes"):
            store.read(digest)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda frame: replace(frame, encoding=200), ErrorReason.UNKNOWN_FORMAT_VERSION),
            (lambda frame: replace(frame, encoding_version=2), ErrorReason.UNKNOWN_FORMAT_VERSION),
            (lambda frame: replace(frame, predictor=200), ErrorReason.UNKNOWN_FORMAT_VERSION),
            (lambda frame: replace(frame, predictor_version=2), ErrorReason.UNKNOWN_FORMAT_VERSION),
            (lambda frame: replace(frame, raw_size=99), ErrorReason.CHUNK_CORRUPT),
            (lambda frame: replace(frame, payload=b"more"), ErrorReason.CHUNK_CORRUPT),
            (
                lambda frame: replace(frame, encoding=Encoding.ZSTD, payload=_INFLATING),
                ErrorReason.CHUNK_CORRUPT,
            ),
        ],
    )
    def test_a_frame_that_cannot_be_decoded_is_refused_also_as_a_base(
        self,
        store: ChunkStore,
        raw: RawObjects,
        change: Callable[[EncodedChunk], EncodedChunk],
        reason: ErrorReason,
    ) -> None:
        content = make_chunk(1)
        (base,) = store_chunks(store, [content])
        middle, top = digest_of(store.algorithm, content[:100]), digest_of(store.algorithm, content[:50])
        damaged = change(exact_copy(100, BaseRange(base, 0, 100)))
        plant(raw, [(middle, damaged), (top, exact_copy(50, BaseRange(middle, 0, 50)))])
        with pytest.raises(CorruptError, match=middle.hex()) as caught:
            store.read(middle)
        assert (caught.value.reason, caught.value.details["digest"]) == (reason, middle.hex())
        with pytest.raises(CorruptError, match=middle.hex()) as caught:
            store.read(top)
        assert (caught.value.reason, caught.value.details["base"]) == (reason, middle.hex())

    def test_a_damaged_base_is_named_and_another_copy_of_it_helps(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects
    ) -> None:
        content = make_chunk(1)
        child = make_change(content, 1)
        (base,) = store_chunks(store, [content])
        (pack,) = [key for key in raw.list() if key.startswith("packs/")]
        digest = store_on(store, child, plan_on((base, content)))
        wrong = encode_chunk(make_chunk(2), 4)
        raw.remove(pack)
        plant(raw, [(base, wrong)])
        with pytest.raises(CorruptError, match=f"base {base.hex()}") as caught:
            other.read(digest)
        assert caught.value.details["base"] == base.hex()
        plant(raw, [(base, encode_chunk(content, 4))])
        store.refresh()
        for each in (store, other):
            assert list(each.read_many([digest, base, digest])) == [child, content, child]

    def test_of_several_copies_the_shortest_chain_is_read(self, store: ChunkStore, raw: RawObjects) -> None:
        content = make_chunk(1)
        contents = [content[: 4096 - at] for at in range(5)]
        digests = [digest_of(store.algorithm, each) for each in contents]
        plant_chain(raw, list(zip(digests, contents, strict=True)))
        plant(raw, [(digests[4], exact_copy(4092, BaseRange(digests[1], 0, 4092)))])
        store.refresh()
        assert (_bases(store, digests[4]), store.read(digests[4])) == ([digests[1]], contents[4])
        plant(raw, [(digests[4], encode_chunk(contents[4], 4))])
        store.refresh()
        assert (_bases(store, digests[4]), store.decode_costs(digests[3:])) == (
            [],
            [4096 + 4095 + 4094 + 4093, 4092],
        )

    def test_a_chunk_of_another_store_comes_with_its_bases(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        (base,) = store_chunks(store, [content])
        frame = exact_copy(100, BaseRange(base, 4, 104))
        digest = digest_of(store.algorithm, content[4:104])
        with store.open_writer() as writer:
            writer.write_encoded(digest, frame)
        assert (store.read_encoded(digest), store.read(digest)) == (frame, content[4:104])

    def test_a_chunk_of_another_store_without_its_bases_is_refused(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        base = digest_of(store.algorithm, content)
        digest = digest_of(store.algorithm, content[:100])
        with store.open_writer() as writer, pytest.raises(CorruptError, match=base.hex()):
            writer.write_encoded(digest, exact_copy(100, BaseRange(base, 0, 100)))
        assert store.find_missing([digest]) == [digest]

    def test_a_chunk_of_another_store_that_closes_a_loop_is_refused(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        (base,) = store_chunks(store, [content])
        plan = ChunkPlan(
            numbers=NumberFormat.FLOAT32,
            predictions=(Prediction(predictor=Predictor.BASE, bases=(BaseRange(base, 0, 4092),)),),
        )
        child = store_on(store, content[:4092], plan)
        frame = replace(
            exact_copy(4096, BaseRange(child, 0, 4092)),
            encoding=Encoding.RAW,
            payload=bytes(4092) + content[4092:],
        )
        with store.open_writer(rewrite=True) as writer, pytest.raises(CorruptError, match="base"):
            writer.write_encoded(base, frame)
        assert store.read(base) == content

    def test_forms_tell_how_chunks_are_stored(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        (base,) = store_chunks(store, [content])
        digest = store_on(store, make_change(content, 1), plan_on((base, content)))
        alone, predicted = store.forms([base, digest])
        assert (alone.encoding, alone.predictor, alone.bases) == (Encoding.PLANES_ZSTD, Predictor.NONE, ())
        assert (predicted.encoding, predicted.predictor, predicted.bases) == (
            Encoding.PLANES_ZSTD,
            Predictor.BASE,
            (base,),
        )
        assert [alone.size_bytes, predicted.size_bytes] == store.stored_sizes([base, digest])


def _copies(store: ChunkStore, digest: Digest) -> list[Copy]:
    return [copy for part in store.maintenance.copies([digest]) for copy in part]


def _is_dense(store: ChunkStore, pack: str) -> bool:
    return store.maintenance.packs()[pack].is_dense
