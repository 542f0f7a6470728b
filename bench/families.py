"""Stores a family in a real stack, fast and then densely, and brings every member back."""

from __future__ import annotations

import contextlib
import filecmp
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter

import platformdirs
from bench.stack import new_home, running_stack
from examples.minilm.family import Built, Progress, build
from examples.minilm.recipe import Member

import mgit

__all__ = ["Part", "Stack", "StoredFamily", "build_family", "open_stack", "parts_of", "store_family"]

_WEIGHTS = "model.safetensors"
_READS = 3
_TRIES = 50
_FAMILIES = "minilm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A model on its way into the store.

    Attributes:
        ref: ``NAME@VERSION``, the version that the service will give it.
        source: What is added: a weight file, or the folder of an adapter.
        parents: References with relations, in order.
        previous: The version before.
    """

    ref: str
    source: Path
    parents: tuple[tuple[str, str], ...] = ()
    previous: str | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of the source."""
        if self.source.is_file():
            return self.source.stat().st_size
        return sum(path.stat().st_size for path in self.source.rglob("*") if path.is_file())


@dataclass(slots=True, kw_only=True)
class StoredFamily:
    """What a family took, all bytes of the store counted: packs, indexes, manifests, root, folders.

    Attributes:
        sizes: Bytes of each part, by reference, in order.
        empty_bytes: The store without any model; part of the two that follow.
        fast_bytes: The store straight after ingest.
        dense_bytes: The store after its repack.
        grown: Bytes by which the store grew with each part; with a repack after each if that was asked for.
        described: The part of it that is packs, indexes and manifests: without the folders that hold them, as
            ``du`` counts folders, file lists and sketches.
        add_s: Seconds of all adding, file to acknowledged.
        repack_s: Seconds of all repacks.
        get_s: Median seconds of getting each part to a file, dense, by reference.
        off_by: How far the store's own statistics are from the sizes on disk.
    """

    sizes: dict[str, int]
    empty_bytes: int = 0
    fast_bytes: int = 0
    dense_bytes: int = 0
    grown: dict[str, int] = field(default_factory=dict)
    described: dict[str, int] = field(default_factory=dict)
    add_s: float = 0.0
    repack_s: float = 0.0
    get_s: dict[str, float] = field(default_factory=dict)
    off_by: int = 0

    @property
    def raw_bytes(self) -> int:
        """Bytes of all parts."""
        return sum(self.sizes.values())

    @property
    def add_speed(self) -> float:
        """GB a second of all adding."""
        return self.raw_bytes / self.add_s / 1e9

    @property
    def repack_speed(self) -> float:
        """GB a second of all repacks."""
        return self.raw_bytes / self.repack_s / 1e9

    @property
    def get_speed(self) -> float:
        """GB a second of getting all, dense."""
        return self.raw_bytes / sum(self.get_s.values()) / 1e9

    @property
    def fast_ratio(self) -> float:
        """Raw bytes for each stored one, after ingest."""
        return self.raw_bytes / self.fast_bytes

    @property
    def dense_ratio(self) -> float:
        """Raw bytes for each stored one, after the repack."""
        return self.raw_bytes / self.dense_bytes

    def share(self, ref: str) -> float:
        """Bytes that a part took for each of its own, as one more of those before it."""
        return self.grown[ref] / self.sizes[ref]


def build_family(members: Sequence[Member]) -> list[Built]:
    """The members, trained unless they lie in the user's cache; tells on standard error what is being made."""
    return build(members, platformdirs.user_cache_path("mgit", appauthor=False) / _FAMILIES, _tell)


def parts_of(members: Sequence[Built]) -> list[Part]:
    """Each member by its weight file alone, with its edges to those of the list; adapters are left out.

    A cast whose parent is not in the list comes from the base in its own number type.
    """
    whole = {built.ref for built in members if not built.member.is_adapter}
    parts = []
    for built in members:
        member = built.member
        parents = tuple(parent for parent in member.parents if parent[0] in whole)
        if not parents and member.same_dtype in whole:
            parents = ((member.same_dtype, "finetuned"),)
        if built.ref in whole:
            source = built.path / _WEIGHTS
            parts.append(Part(ref=built.ref, source=source, parents=parents, previous=member.previous))
    return parts


def store_family(parts: Sequence[Part], *, repack_each: bool = False, reads: int = _READS) -> StoredFamily:
    """Add every part in order, repack, bring every one back and compare.

    Args:
        parts: Parents stand before their children.
        repack_each: Repack after each part and not only after the last, so that what each took can be told
            apart; ``fast_bytes`` says nothing then.
        reads: How often each is brought back.
    """
    result = StoredFamily(sizes={part.ref: part.size_bytes for part in parts})
    with open_stack() as stack:
        result.empty_bytes = before = stack.stored_bytes()
        described = 0
        for part in parts:
            result.add_s += stack.add(part)
            if repack_each:
                result.repack_s += stack.repack()
            after = stack.stored_bytes()
            result.grown[part.ref] = after - before
            result.described[part.ref] = stack.described_bytes() - described
            before, described = after, described + result.described[part.ref]
        result.fast_bytes = before
        result.repack_s += stack.repack()
        result.dense_bytes = stack.stored_bytes()
        result.off_by = stack.off_by
        result.get_s = {part.ref: stack.get(part, reads) for part in parts}
    return result


def _tell(progress: Progress) -> None:
    if progress.step == 0 and not progress.reused:
        place = f"[{progress.position + 1}/{progress.members}]"
        print(f"{place} {progress.member.ref} is being made", file=sys.stderr)


class Stack:
    """A running stack with a store that began empty.

    Attributes:
        repo: Its repository.
        off_by: How far, at most, the store's own statistics were from the sizes on disk.
    """

    def __init__(self, repo: mgit.Repository, home: Path, store: Path) -> None:
        self.repo = repo
        self._home, self._store = home, store
        self.off_by = 0

    def add(self, part: Part) -> float:
        """Seconds of adding a part."""
        start = perf_counter()
        added = self.repo.add(
            part.ref.partition("@")[0],
            part.source,
            parents=[mgit.Parent(ref, mgit.Relation(relation)) for ref, relation in part.parents],
            previous=part.previous,
            progress=None,
        )
        seconds = perf_counter() - start
        if added.ref != part.ref:
            raise SystemExit(f"{part.ref} was given the name {added.ref}")
        return seconds

    def repack(self) -> float:
        """Seconds of a whole repack."""
        start = perf_counter()
        result = self.repo.repack(progress=None)
        if not result.is_complete or result.damaged_chunks:
            raise SystemExit(f"a repack without a limit ended with {result}")
        return perf_counter() - start

    def get(self, part: Part, reads: int) -> float:
        """Median seconds of getting a part, compared each time."""
        model = self.repo.get(part.ref)
        seconds = []
        for number in range(reads):
            target = self._home / f"{part.ref}-{number}{part.source.suffix}"
            start = perf_counter()
            model.save(target, progress=None)
            seconds.append(perf_counter() - start)
            _check_equal(part.source, target)
        return median(seconds)

    def stored_bytes(self) -> int:
        """All bytes of the store, on disk; what its statistics say must be the same.

        The service tidies up in the background, so both are asked again where the sizes changed in between.
        """
        for _ in range(_TRIES):
            before = self._on_disk()
            said = self.repo.statistics().stored_bytes
            if before == self._on_disk():
                break
        self.off_by = max(self.off_by, abs(said - before))
        return before

    def described_bytes(self) -> int:
        """Bytes of packs, indexes and manifests."""
        statistics = self.repo.statistics()
        return statistics.pack_bytes + statistics.index_bytes + statistics.manifest_bytes

    def _on_disk(self) -> int:
        with contextlib.suppress(FileNotFoundError):  # A file went while the folder was walked.
            return sum(path.lstat().st_size for path in (self._store, *self._store.rglob("*")))
        return -1


@contextlib.contextmanager
def open_stack() -> Iterator[Stack]:
    """A stack in a throw-away home."""
    with new_home() as home, running_stack(home / "stack") as state, mgit.connect(state.address) as repo:
        yield Stack(repo, home, Path(state.store))


def _check_equal(wanted: Path, found: Path) -> None:
    if wanted.is_file():
        if not filecmp.cmp(wanted, found, shallow=False):
            raise SystemExit(f"{wanted} came back with other bytes")
        found.unlink()
        return
    names = [str(path.relative_to(wanted)) for path in wanted.rglob("*") if path.is_file()]
    _, differing, missing = filecmp.cmpfiles(wanted, found, names, shallow=False)
    if differing or missing:
        raise SystemExit(f"{wanted} came back different: {differing} {missing}")
