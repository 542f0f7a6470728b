"""Chunks are written, predicted from each other, rewritten, condemned and dropped in any order by two processes.

The model is a dictionary. At every moment both stores read what it holds, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.ports.chunks import ChunkStore
from mgit_core.ports.maintenance import Copy
from mgit_storage.chunks import PackChunkStore
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.bases import make_change, plan_on
from mgit_storage.testing.chunks import make_chunk
from mgit_storage.testing.maintenance import copies_of, held

ALGORITHM = DigestAlgorithm.BLAKE3
SEEDS = st.integers(0, 5)
PICKS = st.integers(0, 100)
WHO = st.integers(0, 1)


class ChunkCopies(RuleBasedStateMachine):
    """Two stores over the same objects, and what must be in them."""

    def __init__(self) -> None:
        super().__init__()
        self.objects = MemoryObjectStore()
        self.stores: list[ChunkStore] = [
            PackChunkStore(self.objects, ALGORITHM, pack_bytes=6000) for _ in range(2)
        ]
        self.chunks: dict[Digest, bytes] = {}

    def pick(self, number: int) -> tuple[Digest, bytes]:
        """One of the chunks."""
        return list(self.chunks.items())[number % len(self.chunks)]

    def write(self, who: int, contents: Iterable[bytes], bases: list[tuple[Digest, bytes]]) -> None:
        """Write and seal, with a plan if there are bases."""
        with self.stores[who].open_writer() as writer:
            for content in contents:
                digest = writer.write(content, width=4, plan=plan_on(*bases) if bases else None)
                self.chunks[digest] = content

    @rule(who=WHO, seeds=st.lists(SEEDS, min_size=1, max_size=4))
    def write_alone(self, who: int, seeds: list[int]) -> None:
        self.write(who, [make_chunk(seed, 2000) for seed in seeds], [])

    @precondition(lambda self: self.chunks)
    @rule(who=WHO, seed=SEEDS, number=PICKS, other=PICKS)
    def write_predicted(self, who: int, seed: int, number: int, other: int) -> None:
        digest, content = self.pick(number)
        self.write(who, [make_change(content, seed)], [(digest, content), self.pick(other)])

    @precondition(lambda self: self.chunks)
    @rule(who=WHO, numbers=st.lists(PICKS, min_size=1, max_size=4), bases=st.lists(PICKS, max_size=3))
    def rewrite(self, who: int, numbers: list[int], bases: list[int]) -> None:
        with self.stores[who].open_writer(rewrite=True) as writer:
            for number in numbers:
                content = self.pick(number)[1]
                assert writer.write(content, width=4, plan=plan_on(*map(self.pick, bases))) in self.chunks

    @precondition(lambda self: self.chunks)
    @rule(who=WHO)
    def drop_superseded(self, who: int) -> None:
        """As a repack does: what has a dense copy needs no other."""
        store = self.stores[who]
        packs = store.maintenance.packs()
        copies = copies_of(store)
        dense = {copy.digest for copy in copies if packs[copy.pack].is_dense}
        older = [copy for copy in copies if copy.digest in dense and not packs[copy.pack].is_dense]
        store.maintenance.drop(older, held)

    @precondition(lambda self: self.chunks)
    @rule(who=WHO, kept=st.sets(PICKS, max_size=6), spared=st.booleans())
    def collect(self, who: int, kept: set[int], *, spared: bool) -> None:
        """As a collection does: what is not reachable is condemned, and then dropped."""
        store = self.stores[who]
        wanted = dict(map(self.pick, kept))
        doomed = self.unreachable(store, wanted)
        key = store.maintenance.condemn(doomed)
        for each in self.stores:
            each.refresh()
            assert sorted(each.maintenance.set_condemned(key), key=str) == sorted(doomed, key=str)
            gone = [digest for digest in self.chunks if digest not in wanted]
            assert not set(each.find_missing(list(wanted)))
            assert {copy.digest for copy in doomed} >= set(each.find_missing(gone))
        self.check()
        if spared:
            doomed = []
        else:
            self.chunks = wanted
        store.maintenance.drop(doomed, held)
        for each in self.stores:
            each.maintenance.set_condemned(None)

    def unreachable(self, store: ChunkStore, wanted: Iterable[Digest]) -> list[Copy]:
        """Copies that nothing in ``wanted`` rests on."""
        copies = copies_of(store)
        needs = list(zip(copies, store.maintenance.bases(copies), strict=True))
        marked: set[Digest] = set()
        pending = list(wanted)
        while pending:
            digest = pending.pop()
            if digest not in marked:
                marked.add(digest)
                pending += [base for copy, bases in needs if copy.digest == digest for base in bases]
        return [copy for copy in copies if copy.digest not in marked]

    @rule(who=WHO)
    def tidy(self, who: int) -> None:
        self.stores[who].maintenance.sweep(0, held)
        assert {copy.pack for copy in copies_of(self.stores[who])} == set(
            self.stores[who].maintenance.packs()
        )

    @rule(who=WHO)
    def restart(self, who: int) -> None:
        self.stores[who] = PackChunkStore(self.objects, ALGORITHM, pack_bytes=6000)

    @invariant()
    def check(self) -> None:
        for store in self.stores:
            assert list(store.read_many(self.chunks)) == list(self.chunks.values())

    @invariant()
    def nothing_is_called_missing(self) -> None:
        unknown = digest_of(ALGORITHM, b"unknown")
        for store in self.stores:
            assert store.find_missing([*self.chunks, unknown]) == [unknown]


TestChunkCopies = ChunkCopies.TestCase
TestChunkCopies.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
