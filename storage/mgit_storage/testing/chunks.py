"""What every chunk store and its writers must do."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.coding.codec import decode_chunk, encode_chunk
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import CorruptError, ErrorReason, InternalError, InvalidArgumentError, NotFoundError
from mgit_core.ports.chunks import ChunkStore
from mgit_storage.testing.raw import RawObjects, flip_bit

__all__ = ["ChunkStoreConformance", "make_chunk", "store_chunks"]


def make_chunk(seed: int, size: int = 4096) -> bytes:
    """Float bytes that follow from ``seed``; other seeds have other bytes."""
    values = np.random.default_rng(seed).normal(0, 0.02, -(-size // 4)).astype("<f4")
    return values.tobytes()[:size]


def store_chunks(store: ChunkStore, contents: Iterable[bytes], width: int = 4) -> list[Digest]:
    """Write and seal ``contents``; their digests."""
    with store.open_writer() as writer:
        return [writer.write(content, width=width) for content in contents]


def _unknown(store: ChunkStore, seed: int) -> Digest:
    return digest_of(store.algorithm, f"unknown {seed}".encode())


class ChunkStoreConformance:
    """The laws of chunk stores.

    A subclass supplies the fixtures ``store``, empty; ``other``, as another process would open the same
    content; and ``raw``, a way around them to their objects.
    """

    @pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
    @pytest.mark.parametrize("size", [1, 31, 33, 4096, 70_000, CHUNK_BYTES])
    def test_what_is_sealed_reads_back(self, store: ChunkStore, width: int, size: int) -> None:
        content = make_chunk(size, size)
        (digest,) = store_chunks(store, [content], width)
        assert (digest, store.read(digest)) == (digest_of(store.algorithm, content), content)

    def test_nothing_is_there_before_the_seal(self, store: ChunkStore, other: ChunkStore) -> None:
        writer = store.open_writer()
        digest = writer.write(make_chunk(1), width=4)
        assert (store.find_missing([digest]), other.find_missing([digest])) == ([digest], [digest])
        writer.seal()
        assert (store.find_missing([digest]), other.find_missing([digest])) == ([], [])

    def test_another_process_reads_what_was_sealed(self, store: ChunkStore, other: ChunkStore) -> None:
        content = make_chunk(1)
        (digest,) = store_chunks(store, [content])
        assert (other.read(digest), other.stored_sizes([digest])) == (content, store.stored_sizes([digest]))

    def test_sealing_twice_is_sealing_once(self, store: ChunkStore, raw: RawObjects) -> None:
        with store.open_writer() as writer:
            writer.write(make_chunk(1), width=4)
            writer.seal()
            before = raw.list()
            writer.seal()
        assert raw.list() == before

    def test_a_writer_that_wrote_nothing_leaves_nothing(self, store: ChunkStore, raw: RawObjects) -> None:
        before = raw.list()
        with store.open_writer() as writer:
            pass
        assert (raw.list(), writer.stored_bytes) == (before, 0)

    def test_a_sealed_writer_takes_no_more(self, store: ChunkStore) -> None:
        with store.open_writer() as writer:
            writer.seal()
            with pytest.raises(InternalError):
                writer.write(make_chunk(1), width=4)

    def test_what_was_verified_is_sealed_on_an_error_too(self, store: ChunkStore) -> None:
        def write_and_fail() -> None:
            with store.open_writer() as writer:
                writer.write(make_chunk(1), width=4)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            write_and_fail()
        assert store.read(digest_of(store.algorithm, make_chunk(1))) == make_chunk(1)

    def test_a_known_chunk_is_not_stored_again(self, store: ChunkStore, raw: RawObjects) -> None:
        first = store_chunks(store, [make_chunk(1), make_chunk(1)])
        before = raw.list()
        assert store_chunks(store, [make_chunk(1)]) == first[:1]
        assert (first[0], raw.list()) == (first[1], before)

    def test_the_stored_bytes_are_those_of_the_new_objects(self, store: ChunkStore, raw: RawObjects) -> None:
        before = set(raw.list())
        with store.open_writer() as writer:
            for seed in range(3):
                writer.write(make_chunk(seed), width=4)
        fresh = set(raw.list()) - before
        assert writer.stored_bytes == sum(len(raw.read(key)) for key in fresh)

    def test_bytes_that_do_not_fit_their_digest_are_refused(self, store: ChunkStore) -> None:
        wanted = _unknown(store, 1)
        with store.open_writer() as writer:
            with pytest.raises(InvalidArgumentError, match=wanted.hex()) as caught:
                writer.write(make_chunk(1), width=4, digest=wanted)
            digest = writer.write(make_chunk(2), width=4, digest=digest_of(store.algorithm, make_chunk(2)))
        assert caught.value.reason is ErrorReason.DIGEST_MISMATCH
        found = digest_of(store.algorithm, make_chunk(1))
        assert store.find_missing([wanted, found, digest]) == [wanted, found]

    @pytest.mark.parametrize("size", [0, CHUNK_BYTES + 1])
    def test_a_chunk_that_is_too_long_or_empty_is_refused(self, store: ChunkStore, size: int) -> None:
        with store.open_writer() as writer, pytest.raises(InvalidArgumentError):
            writer.write(bytes(size), width=1)

    def test_what_is_missing_comes_once_and_in_order(self, store: ChunkStore) -> None:
        known = store_chunks(store, [make_chunk(seed) for seed in range(50)])
        missing = [_unknown(store, seed) for seed in range(50)]
        asked = [digest for pair in zip(missing, known, strict=True) for digest in pair] + missing
        assert store.find_missing(asked) == missing
        assert store.find_missing([]) == []

    def test_what_is_no_digest_is_refused(self, store: ChunkStore) -> None:
        for bad in ([b"short"], [bytes(31), bytes(33)], [b""]):
            with pytest.raises(InvalidArgumentError):
                store.find_missing(bad)

    def test_a_missing_chunk_is_named(self, store: ChunkStore) -> None:
        digest = _unknown(store, 1)
        for read in (store.read, store.read_encoded, lambda missing: list(store.read_many([missing]))):
            with pytest.raises(NotFoundError, match=digest.hex()) as caught:
                read(digest)
            assert caught.value.reason is ErrorReason.CHUNK_NOT_FOUND

    def test_many_chunks_come_in_the_order_asked(self, store: ChunkStore) -> None:
        contents = [make_chunk(seed, 1 + 97 * seed) for seed in range(60)]
        digests = store_chunks(store, contents)
        assert list(store.read_many(reversed(digests + digests))) == [*reversed(contents + contents)]
        assert list(store.read_many([])) == []

    def test_reading_ahead_is_bounded_and_ends_with_the_reader(self, store: ChunkStore) -> None:
        digests = store_chunks(store, [make_chunk(seed) for seed in range(4)]) * 500
        asked = iter(digests)
        before = threading.enumerate()
        chunks = store.read_many(asked)
        next(chunks)
        chunks.close()
        left = sum(1 for _ in asked)
        assert left >= len(digests) - 1024
        assert [thread for thread in threading.enumerate() if thread not in before] == []

    def test_a_missing_chunk_among_many_raises_in_its_turn(self, store: ChunkStore) -> None:
        (digest,) = store_chunks(store, [make_chunk(1)])
        chunks = store.read_many([digest, _unknown(store, 1), digest])
        assert next(chunks) == make_chunk(1)
        with pytest.raises(NotFoundError):
            next(chunks)

    def test_many_threads_write_with_one_writer(self, store: ChunkStore) -> None:
        contents = [make_chunk(seed) for seed in range(40)]
        with store.open_writer() as writer, ThreadPoolExecutor(8) as pool:
            digests = list(pool.map(lambda content: writer.write(content, width=4), contents * 4))
        assert list(store.read_many(digests)) == contents * 4
        assert all(0 < size < 4200 for size in store.stored_sizes(digests))

    def test_two_writers_of_one_chunk_do_not_disturb_each_other(self, store: ChunkStore) -> None:
        first, second = store.open_writer(), store.open_writer()
        digest = first.write(make_chunk(1), width=4)
        second.write(make_chunk(1), width=4)
        second.seal()
        first.seal()
        assert store.read(digest) == make_chunk(1)

    def test_sizes_are_known_without_decoding(self, store: ChunkStore, raw: RawObjects) -> None:
        contents = [bytes(4096), make_chunk(1, 999), b"x"]
        digests = store_chunks(store, contents)
        assert store.raw_sizes(digests) == [4096, 999, 1]
        sizes = store.stored_sizes([*digests, _unknown(store, 1)])
        assert sizes[0] < 100 < sizes[1]
        assert (sizes[2], sizes[3]) == (len(store.read_encoded(digests[2]).to_bytes()), 0)
        assert sum(sizes) < sum(len(raw.read(key)) for key in raw.list() if key.startswith("packs/"))

    def test_an_encoded_chunk_goes_to_another_store_as_it_is(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        encoded = encode_chunk(content, 4)
        digest = digest_of(store.algorithm, content)
        with store.open_writer() as writer:
            writer.write_encoded(digest, encoded)
        assert (store.read_encoded(digest), store.read(digest)) == (encoded, content)
        assert decode_chunk(store.read_encoded(digest)) == content

    def test_an_encoded_chunk_that_lies_is_refused(self, store: ChunkStore) -> None:
        encoded = encode_chunk(make_chunk(1), 4)
        digest = digest_of(store.algorithm, make_chunk(2))
        with store.open_writer() as writer:
            with pytest.raises(CorruptError, match=digest.hex()):
                writer.write_encoded(digest, encoded)
            with pytest.raises(CorruptError) as caught:
                writer.write_encoded(digest, replace(encoded, encoding=200))
        assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
        assert store.find_missing([digest]) == [digest]

    def test_a_flipped_bit_is_reported_and_other_chunks_are_served(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects
    ) -> None:
        digests = store_chunks(store, [make_chunk(seed) for seed in range(3)])
        (pack,) = [key for key in raw.list() if key.startswith("packs/")]
        size = store.stored_sizes(digests)[0]
        for at in (16, 16 + size // 2, 16 + size - 1):  # in the header, in the payload, at its end
            flip_bit(raw, pack, at)
            with pytest.raises(CorruptError, match=digests[0].hex()) as caught:
                other.read(digests[0])
            assert caught.value.details["digest"] == digests[0].hex()
            assert list(other.read_many(digests[1:])) == [make_chunk(1), make_chunk(2)]
            flip_bit(raw, pack, at)
        assert other.read(digests[0]) == make_chunk(0)

    def test_a_truncated_pack_and_a_lost_one_are_reported(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects
    ) -> None:
        (digest,) = store_chunks(store, [make_chunk(1)])
        (pack,) = [key for key in raw.list() if key.startswith("packs/")]
        raw.write(pack, raw.read(pack)[:100])
        with pytest.raises(CorruptError, match=digest.hex()):
            store.read(digest)
        raw.remove(pack)
        with pytest.raises(CorruptError, match=digest.hex()) as caught:
            other.read_encoded(digest)
        assert caught.value.reason is ErrorReason.CHUNK_CORRUPT

    def test_a_second_copy_is_read_where_the_first_is_damaged(
        self, store: ChunkStore, raw: RawObjects
    ) -> None:
        first, second = store.open_writer(), store.open_writer()
        digest = first.write(make_chunk(1), width=4)
        second.write(make_chunk(1), width=4)
        first.seal()
        second.seal()
        packs = [key for key in raw.list() if key.startswith("packs/")]
        assert len(packs) == 2
        for pack in packs:
            flip_bit(raw, pack, 60)
            assert store.read(digest) == make_chunk(1)
            flip_bit(raw, pack, 60)
