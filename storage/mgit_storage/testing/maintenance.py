"""What every chunk store must do for those who look after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mgit_core.coding.codec import encode_chunk
from mgit_core.coding.encoded import Encoding, Predictor
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import ConflictError, CorruptError, ErrorReason, NotFoundError
from mgit_core.ports.chunks import ChunkStore
from mgit_core.ports.maintenance import ChunkMaintenance, Copy
from mgit_storage.testing.bases import make_change, plan_on, store_on
from mgit_storage.testing.chunks import make_chunk, store_chunks
from mgit_storage.testing.planted import plant
from mgit_storage.testing.raw import RawObjects, flip_bit

__all__ = ["ChunkMaintenanceConformance", "copies_of", "held", "lost_after", "rewrite"]


def held() -> None:
    """A lease that nobody takes away."""


def lost_after(checks: int) -> Callable[[], None]:
    """A lease that is lost after it was found held so many times."""
    left = checks

    def check() -> None:
        nonlocal left
        if not left:
            raise ConflictError(ErrorReason.LEASE_LOST, "The lease is lost.")
        left -= 1

    return check


def copies_of(store: ChunkStore, digests: Iterable[Digest] | None = None) -> list[Copy]:
    """Every copy of these chunks, or of all."""
    wanted = None if digests is None else list(digests)
    return [copy for part in store.maintenance.copies(wanted) for copy in part]


def rewrite(store: ChunkStore, contents: Sequence[bytes]) -> None:
    """Write these chunks once more, as a repack does."""
    with store.open_writer(rewrite=True) as writer:
        for content in contents:
            writer.write(content, width=4)


def _packs(raw: RawObjects) -> list[str]:
    return [key for key in raw.list() if key.startswith("packs/")]


class ChunkMaintenanceConformance:
    """The laws of chunks by copy.

    A subclass supplies the fixtures ``store``, empty; ``other``, as another process would open the same
    content; and ``raw``, a way around them to their objects.
    """

    @pytest.fixture
    def maintenance(self, store: ChunkStore) -> ChunkMaintenance:
        return store.maintenance

    def test_every_copy_is_listed(self, store: ChunkStore, other: ChunkStore) -> None:
        digests = store_chunks(store, [make_chunk(seed) for seed in range(30)])
        rewrite(other, [make_chunk(3)])
        copies = copies_of(store)
        assert sorted(copy.digest for copy in copies) == sorted([*digests, digests[3]])
        assert len({(copy.pack, copy.offset) for copy in copies}) == 31
        assert sum(copy.length for copy in copies[:1]) == store.stored_sizes([copies[0].digest])[0]

    def test_copies_of_some_chunks_come_in_their_order(self, store: ChunkStore) -> None:
        digests = store_chunks(store, [make_chunk(seed) for seed in range(5)])
        rewrite(store, [make_chunk(4)])
        wanted = [digests[4], digest_of(store.algorithm, b"unknown"), digests[2]]
        assert [copy.digest for copy in copies_of(store, wanted)] == [digests[4], digests[4], digests[2]]
        assert copies_of(store, []) == []

    def test_bases_and_headers_are_known_without_decoding(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        (base,) = store_chunks(store, [content])
        child = store_on(store, make_change(content, 1), plan_on((base, content)))
        copies = copies_of(store, [base, child])
        assert [copy.needs_bases for copy in copies] == [False, True]
        assert store.maintenance.bases(copies) == [(), (base,)]
        headers = store.maintenance.headers(copies)
        assert [header.raw_size for header in headers] == [4096, 4096]
        assert [header.predictor for header in headers] == [Predictor.NONE, Predictor.BASE]
        assert [header.encoding for header in headers] == [Encoding.PLANES_ZSTD] * 2

    def test_a_header_that_cannot_be_read_is_corrupt(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects
    ) -> None:
        content = make_chunk(1)
        (base,) = store_chunks(store, [content])
        child = store_on(store, make_change(content, 1), plan_on((base, content)))
        (copy,) = copies_of(other, [child])
        (key,) = [key for key in _packs(raw) if copy.pack in key]
        flip_bit(raw, key, copy.offset)
        with pytest.raises(CorruptError, match=child.hex()):
            other.maintenance.bases([copy])
        raw.remove(key)
        with pytest.raises(CorruptError, match=child.hex()):
            other.maintenance.headers([copy])

    def test_packs_tell_their_size_and_who_made_them(
        self, store: ChunkStore, maintenance: ChunkMaintenance, raw: RawObjects
    ) -> None:
        store_chunks(store, [make_chunk(1)])
        rewrite(store, [make_chunk(1)])
        planted = plant(raw, [(digest_of(store.algorithm, b"x"), encode_chunk(b"x", 1))], is_indexed=False)
        packs = maintenance.packs()
        assert {name: state.size_bytes for name, state in packs.items()} == {
            key[len("packs/00/") : -len(".pack")]: len(raw.read(key)) for key in _packs(raw)
        }
        assert sorted(state.is_dense for state in packs.values()) == [False, False, True]
        assert not packs[planted.pack].is_dense
        assert all(0 <= state.age_s < 600 for state in packs.values())

    def test_a_rewritten_chunk_is_not_rewritten_again(self, store: ChunkStore) -> None:
        (digest,) = store_chunks(store, [make_chunk(1)])
        for _ in range(3):
            rewrite(store, [make_chunk(1), make_chunk(1)])
        packs = store.maintenance.packs()
        assert sorted(packs[copy.pack].is_dense for copy in copies_of(store, [digest])) == [False, True]

    def test_this_very_copy_is_read(self, store: ChunkStore, raw: RawObjects) -> None:
        (digest,) = store_chunks(store, [make_chunk(1)])
        rewrite(store, [make_chunk(1)])
        copies = copies_of(store, [digest])
        assert [store.maintenance.read_copy(copy) for copy in copies] == [make_chunk(1)] * 2
        (key,) = [key for key in _packs(raw) if copies[1].pack in key]
        flip_bit(raw, key, copies[1].offset + 40)
        assert store.maintenance.read_copy(copies[0]) == make_chunk(1)
        with pytest.raises(CorruptError, match=digest.hex()) as caught:
            store.maintenance.read_copy(copies[1])
        assert caught.value.details["pack"] == copies[1].pack
        gone = replace(copies[1], pack="0" * 32)
        with pytest.raises(CorruptError, match=gone.pack) as caught:
            store.maintenance.read_copy(gone)
        assert caught.value.reason is ErrorReason.PACK_CORRUPT

    def test_a_condemned_copy_is_read_but_does_not_count(
        self, store: ChunkStore, other: ChunkStore, maintenance: ChunkMaintenance
    ) -> None:
        digests = store_chunks(store, [make_chunk(1), make_chunk(2)])
        copies = copies_of(store, digests[:1])
        key = maintenance.condemn(copies)
        assert store.find_missing(digests) == []
        assert maintenance.set_condemned(key) == copies
        assert maintenance.set_condemned(key) == copies
        assert (store.find_missing(digests), store.decode_costs(digests)) == (digests[:1], [0, 4096])
        assert list(store.read_many(digests)) == [make_chunk(1), make_chunk(2)]
        assert other.find_missing(digests) == []
        assert other.maintenance.set_condemned(key) == copies
        assert other.find_missing(digests) == digests[:1]
        assert maintenance.set_condemned(None) == []
        assert store.find_missing(digests) == []

    def test_what_rests_on_a_condemned_copy_does_not_count_either(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        (base,) = store_chunks(store, [content])
        child = store_on(store, make_change(content, 1), plan_on((base, content)))
        assert store.find_missing([base, child]) == []
        key = store.maintenance.condemn(copies_of(store, [base]))
        store.maintenance.set_condemned(key)
        assert store.find_missing([child, base]) == [child, base]
        assert store.read(child) == make_change(content, 1)
        unrelated = store_on(store, make_change(content, 2), plan_on((base, content)))
        assert store.maintenance.bases(copies_of(store, [unrelated])) == [()]

    def test_a_chunk_that_is_condemned_is_written_again(self, store: ChunkStore) -> None:
        (digest,) = store_chunks(store, [make_chunk(1)])
        doomed = copies_of(store, [digest])
        store.maintenance.set_condemned(store.maintenance.condemn(doomed))
        store_chunks(store, [make_chunk(1)])
        assert store.find_missing([digest]) == []
        store.maintenance.drop(doomed, held)
        assert (len(copies_of(store, [digest])), store.read(digest)) == (1, make_chunk(1))

    def test_a_list_that_is_not_there_or_damaged_is_refused(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects
    ) -> None:
        store_chunks(store, [make_chunk(1)])
        key = store.maintenance.condemn(copies_of(store))
        flip_bit(raw, key, 50)
        with pytest.raises(CorruptError, match=key):
            other.maintenance.set_condemned(key)
        with pytest.raises(NotFoundError):
            other.maintenance.set_condemned("condemned/" + "0" * 32)

    def test_an_empty_list_condemns_nothing(self, store: ChunkStore) -> None:
        digests = store_chunks(store, [make_chunk(1)])
        assert store.maintenance.set_condemned(store.maintenance.condemn([])) == []
        assert store.find_missing(digests) == []

    def test_a_pack_without_other_copies_is_deleted(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects
    ) -> None:
        gone = store_chunks(store, [make_chunk(seed) for seed in range(5)])
        kept = store_chunks(store, [make_chunk(seed) for seed in range(5, 9)])
        other.refresh()
        before = sum(len(raw.read(key)) for key in raw.list())
        dropped = store.maintenance.drop(copies_of(store, gone), held)
        assert (dropped.copies, dropped.bytes_freed) == (
            5,
            before - sum(len(raw.read(key)) for key in raw.list()),
        )
        assert len(_packs(raw)) == 1
        for each in (store, other):
            assert each.find_missing(kept) == []
            assert list(each.read_many(kept)) == [make_chunk(seed) for seed in range(5, 9)]
            each.refresh()
            assert each.find_missing(gone) == gone
        with pytest.raises(NotFoundError):
            other.read(gone[0])

    def test_a_pack_that_is_mostly_alive_keeps_its_dead_bytes(
        self, store: ChunkStore, raw: RawObjects
    ) -> None:
        digests = store_chunks(store, [make_chunk(seed) for seed in range(5)])
        before = {key: raw.read(key) for key in _packs(raw)}
        store.maintenance.drop(copies_of(store, digests[:2]), held)
        assert {key: raw.read(key) for key in _packs(raw)} == before
        assert store.find_missing(digests) == digests[:2]

    def test_a_pack_that_is_mostly_dead_is_rewritten(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects
    ) -> None:
        contents = [make_chunk(seed) for seed in range(6)]
        digests = store_chunks(store, contents)
        child = store_on(store, make_change(contents[5], 1), plan_on((digests[5], contents[5])))
        other.refresh()
        frames = store.read_encoded(digests[5]), store.read_encoded(child)
        before = sum(len(raw.read(key)) for key in raw.list())
        dropped = store.maintenance.drop(copies_of(store, digests[:4]), held)
        assert dropped.bytes_freed == before - sum(len(raw.read(key)) for key in raw.list())
        assert dropped.bytes_freed > 3 * 4096 / 2
        assert (store.read_encoded(digests[5]), store.read_encoded(child)) == frames
        assert list(other.read_many([*digests[4:], child])) == [*contents[4:], make_change(contents[5], 1)]
        assert store.find_missing([*digests, child]) == digests[:4]
        assert {copy.pack for copy in copies_of(store)} == set(store.maintenance.packs())

    def test_a_dense_pack_that_is_rewritten_stays_dense(self, store: ChunkStore) -> None:
        contents = [make_chunk(seed) for seed in range(4)]
        digests = store_chunks(store, contents)
        rewrite(store, contents)
        store.maintenance.drop(
            [copy for copy in copies_of(store) if not store.maintenance.packs()[copy.pack].is_dense], held
        )
        store.maintenance.drop(copies_of(store, digests[:3]), held)
        (state,) = store.maintenance.packs().values()
        assert (state.is_dense, store.read(digests[3])) == (True, contents[3])

    def test_one_of_two_copies_may_go(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        (base,) = store_chunks(store, [content])
        child = store_on(store, make_change(content, 1), plan_on((base, content)))
        rewrite(store, [content])
        for copy in copies_of(store, [base]):
            assert store.maintenance.drop([copy], held).copies == 1
            rewrite(store, [content])
            assert (store.read(base), store.read(child)) == (content, make_change(content, 1))
            assert store.find_missing([base, child]) == []

    def test_dropping_twice_is_dropping_once(self, store: ChunkStore, raw: RawObjects) -> None:
        digests = store_chunks(store, [make_chunk(seed) for seed in range(6)])
        doomed = copies_of(store, digests[:4])
        store.maintenance.drop(doomed, held)
        store.maintenance.sweep(0, held)
        before = raw.list()
        assert store.maintenance.drop(doomed, held).bytes_freed == 0
        assert (raw.list(), store.find_missing(digests)) == (before, digests[:4])

    def test_dropping_nothing_changes_nothing(self, store: ChunkStore, raw: RawObjects) -> None:
        store_chunks(store, [make_chunk(1)])
        before = raw.list()
        dropped = store.maintenance.drop([], held)
        assert (dropped.copies, dropped.bytes_freed, raw.list()) == (0, 0, before)

    @pytest.mark.parametrize("checks", range(8))
    def test_a_lost_lease_stops_a_drop_and_the_next_one_ends_it(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects, checks: int
    ) -> None:
        contents = [make_chunk(seed) for seed in range(9)]
        digests = store_chunks(store, contents[:6]) + store_chunks(store, contents[6:])
        doomed = copies_of(store, [*digests[:4], *digests[6:]])
        before = set(raw.list())
        with pytest.raises(ConflictError) as caught:
            store.maintenance.drop(doomed, lost_after(checks))
        assert caught.value.reason is ErrorReason.LEASE_LOST
        assert before <= set(raw.list()) or checks > 1
        for each in (store, other):
            assert list(each.read_many(digests[4:6])) == contents[4:6]
        other.maintenance.drop(doomed, held)
        store.refresh()
        for each in (store, other):
            assert each.find_missing(digests) == [*digests[:4], *digests[6:]]
            assert list(each.read_many(digests[4:6])) == contents[4:6]
        other.maintenance.sweep(0, held)
        assert len(_packs(raw)) == 1

    def test_what_was_dropped_does_not_come_back(self, store: ChunkStore, raw: RawObjects) -> None:
        """Old index objects that a killed process could not delete, or that a power cut brings back, do not count."""
        digests = store_chunks(store, [make_chunk(seed) for seed in range(6)])
        old = {key: raw.read(key) for key in raw.list() if key.startswith("indexes/")}
        store.maintenance.drop(copies_of(store, digests[:1]), held)
        for key, content in old.items():
            raw.write(key, content)
        store.refresh()
        assert store.find_missing(digests) == digests[:1]
        for seed in range(70):
            store_chunks(store, [make_chunk(seed, 99)])
        assert store.maintenance.merge_indexes(held)
        store.refresh()
        assert store.find_missing(digests) == digests[:1]
        assert not old.keys() & set(raw.list())

    def test_writing_goes_on_while_copies_are_dropped(self, store: ChunkStore, other: ChunkStore) -> None:
        doomed = [
            store_chunks(store, [make_chunk(seed) for seed in range(at, at + 6)]) for at in range(0, 48, 6)
        ]
        fresh = [make_chunk(seed) for seed in range(100, 130)]

        def write(content: bytes) -> Digest:
            return store_chunks(other, [content])[0]

        with ThreadPoolExecutor(2) as pool:
            written = pool.map(write, fresh)
            for digests in doomed:
                store.maintenance.drop(copies_of(store, digests[:5]), held)
            digests = list(written)
        store.refresh()
        kept = [each[5] for each in doomed]
        assert store.find_missing([*digests, *kept]) == []
        assert list(store.read_many([*kept, *digests])) == [
            *(make_chunk(at + 5) for at in range(0, 48, 6)),
            *fresh,
        ]
        assert store.find_missing(doomed[0]) == doomed[0][:5]

    def test_a_pack_without_an_index_is_swept(self, store: ChunkStore, raw: RawObjects) -> None:
        (digest,) = store_chunks(store, [make_chunk(1)])
        planted = plant(raw, [(digest, encode_chunk(make_chunk(1), 4))], is_indexed=False)
        assert store.maintenance.sweep(3600, held) == 0
        size = len(raw.read(planted.key))
        with pytest.raises(ConflictError):
            store.maintenance.sweep(0, lost_after(0))
        assert store.maintenance.sweep(0, held) == size
        assert (planted.key in raw.list(), store.read(digest)) == (False, make_chunk(1))

    def test_a_pack_whose_writer_is_open_is_not_swept(self, store: ChunkStore) -> None:
        content = make_chunk(1)
        with store.open_writer() as writer:
            digest = writer.write(content, width=4)
            store.maintenance.sweep(0, held)
        assert store.read(digest) == content

    def test_lists_are_swept_but_the_one_in_use(self, store: ChunkStore, raw: RawObjects) -> None:
        store_chunks(store, [make_chunk(1)])
        keys = [store.maintenance.condemn(copies_of(store)) for _ in range(3)]
        store.maintenance.set_condemned(keys[1])
        store.maintenance.sweep(0, held)
        assert [key for key in raw.list() if key.startswith("condemned/")] == [keys[1]]
        store.maintenance.set_condemned(None)
        store.maintenance.sweep(0, held)
        assert not [key for key in raw.list() if key.startswith("condemned/")]

    def test_merging_says_whether_it_was_due(self, store: ChunkStore, raw: RawObjects) -> None:
        digests = [store_chunks(store, [make_chunk(seed, 64)])[0] for seed in range(64)]
        assert (store.maintenance.is_merge_due(), store.maintenance.merge_indexes(held)) == (False, False)
        digests += store_chunks(store, [make_chunk(64, 64)])
        assert store.maintenance.is_merge_due()
        before = raw.list()
        with pytest.raises(ConflictError):
            store.maintenance.merge_indexes(lost_after(0))
        assert raw.list() == before
        assert store.maintenance.merge_indexes(held)
        assert (store.maintenance.is_merge_due(), store.find_missing(digests)) == (False, [])
        assert len([key for key in raw.list() if key.startswith("indexes/")]) == 1

    def test_a_pack_tells_its_copies_itself(self, store: ChunkStore, raw: RawObjects) -> None:
        content = make_chunk(1)
        with store.open_writer() as writer:
            base = writer.write(content, width=4)
            writer.write(make_change(content, 1), width=4, plan=plan_on((base, content)))
        copies = copies_of(store)
        (name,) = {copy.pack for copy in copies}
        assert store.maintenance.table(name) == sorted(copies, key=lambda copy: copy.offset)
        raw.remove(_packs(raw)[0])
        with pytest.raises(CorruptError, match=name) as caught:
            store.maintenance.table(name)
        assert caught.value.reason is ErrorReason.PACK_CORRUPT

    def test_a_damaged_index_makes_nothing_missing_and_is_restored_from_packs(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects
    ) -> None:
        digests = store_chunks(store, [make_chunk(1), make_chunk(2)])
        (index,) = [key for key in raw.list() if key.startswith("indexes/")]
        flip_bit(raw, index, 60)
        fresh = store_chunks(other, [make_chunk(3)])
        assert list(other.maintenance.damaged_indexes()) == [index[len("indexes/") : -len(".index")]]
        for refused in (other.find_missing, lambda wanted: other.read(wanted[0])):
            with pytest.raises(CorruptError) as caught:
                refused(digests)
            assert caught.value.reason is ErrorReason.INDEX_CORRUPT
        assert other.read(fresh[0]) == make_chunk(3)
        with pytest.raises(CorruptError):
            other.maintenance.drop(copies_of(other, fresh), held)
        other.maintenance.sweep(0, held)
        assert len(_packs(raw)) == 2
        known = {copy.pack for copy in copies_of(other)}
        lost = [name for name in other.maintenance.packs() if name not in known]
        other.maintenance.restore([copy for name in lost for copy in other.maintenance.table(name)], held)
        assert (other.maintenance.damaged_indexes(), other.find_missing([*digests, *fresh])) == ({}, [])
        assert index not in raw.list()
        assert list(other.read_many(digests)) == [make_chunk(1), make_chunk(2)]

    def test_an_index_of_a_later_version_is_left_alone(
        self, store: ChunkStore, other: ChunkStore, raw: RawObjects
    ) -> None:
        digests = store_chunks(store, [make_chunk(1)])
        copies = copies_of(store)
        (index,) = [key for key in raw.list() if key.startswith("indexes/")]
        content = raw.read(index)
        raw.write(index, content[:8] + b"\x02" + content[9:])
        other.refresh()
        with pytest.raises(CorruptError) as caught:
            other.find_missing(digests)
        assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
        other.maintenance.restore(copies, held)
        assert (index in raw.list(), other.read(digests[0])) == (True, make_chunk(1))
        assert len(other.maintenance.damaged_indexes()) == 1
