"""Chunks that another store encoded: kept as they are where a reader here can afford it, else encoded alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mgit_core.coding.codec import encode_chunk
from mgit_core.coding.encoded import BaseRange, EncodedChunk, Encoding, Predictor
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError
from mgit_storage.chunks import writer as writers
from mgit_storage.store import Store, memory_store
from mgit_storage.testing.chunks import make_chunk
from mgit_storage.testing.planted import exact_copy

ALGORITHM = DigestAlgorithm.BLAKE3
SIZE = 4096


@pytest.fixture
def store() -> Store:
    return memory_store(ALGORITHM)


def _digest(content: bytes) -> Digest:
    return digest_of(ALGORITHM, content)


def _chain(length: int) -> list[tuple[Digest, EncodedChunk, bytes]]:
    """A chunk, and further ones of which each is the one before without its first number."""
    content = make_chunk(1)
    found = [(_digest(content), encode_chunk(content, 4), content)]
    for _ in range(length):
        below, _, raw = found[-1]
        frame = exact_copy(len(raw) - 4, BaseRange(below, 4, len(raw)))
        found.append((_digest(raw[4:]), frame, raw[4:]))
    return found


def test_a_chain_that_grows_too_deep_is_cut(store: Store) -> None:
    chain = _chain(20)
    with store.chunks.open_writer() as writer:
        for digest, frame, _ in chain:
            writer.write_encoded(digest, frame)
    assert [store.chunks.read(digest) for digest, _, _ in chain] == [content for _, _, content in chain]
    alone = [at for at, (digest, _, _) in enumerate(chain) if not store.chunks.read_encoded(digest).bases]
    assert alone[0] == 0
    assert len(alone) > 1, "a reader would have to decode all of it"
    costs = store.chunks.decode_costs([digest for digest, _, _ in chain])
    assert max(costs) <= 9 * SIZE
    kept = [at for at, (digest, frame, _) in enumerate(chain) if store.chunks.read_encoded(digest) == frame]
    assert len(kept) > len(chain) / 2, "what is affordable stays as it came"


def test_bases_that_were_let_go_of_are_read_from_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "_FRESH_BYTES", 1)
    chain = _chain(3)
    with store.chunks.open_writer() as writer:
        for digest, frame, _ in chain:
            writer.write_encoded(digest, frame)
        seen = store.chunks.find_missing([digest for digest, _, _ in chain])
    assert seen == [chain[-1][0]], "each base was indexed when it was needed"
    assert [store.chunks.read(digest) for digest, _, _ in chain] == [content for _, _, content in chain]


def test_a_frame_that_is_larger_than_its_content_is_encoded_again(store: Store) -> None:
    content = make_chunk(1)
    below = _digest(content)
    raw = content[:100]
    padded = replace(exact_copy(100, BaseRange(below, 0, 100)), encoding=Encoding.RAW, payload=bytes(100))
    with store.chunks.open_writer() as writer:
        writer.write_encoded(below, encode_chunk(content, 4))
        writer.write_encoded(_digest(raw), padded)
    kept = store.chunks.read_encoded(_digest(raw))
    assert (kept.predictor, kept.bases) == (Predictor.NONE, ())
    assert store.chunks.read(_digest(raw)) == raw


@pytest.mark.parametrize("raw_size", [0, (1 << 20) + 4, 1 << 24])
def test_a_size_that_no_chunk_has_is_refused_before_it_is_decoded(store: Store, raw_size: int) -> None:
    frame = replace(encode_chunk(make_chunk(1), 4), raw_size=raw_size)
    with store.chunks.open_writer() as writer, pytest.raises(CorruptError, match=f"{raw_size} raw bytes"):
        writer.write_encoded(b"d" * 32, frame)


def test_a_refused_chunk_may_be_sent_again(store: Store) -> None:
    (below, frame, _), (digest, difference, content) = _chain(1)
    with store.chunks.open_writer() as writer:
        with pytest.raises(CorruptError):
            writer.write_encoded(digest, difference)
        writer.write_encoded(below, frame)
        writer.write_encoded(digest, difference)
    assert store.chunks.read(digest) == content
