"""What a check found, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason
from mgit_core.ports.maintenance import Copy
from mgit_service.use_cases.maintenance.copies import CopyTable
from mgit_service.use_cases.maintenance.digests import DigestSet, digest_array
from mgit_service.use_cases.maintenance.fsck.inspecting import MOST_NAMED, Inspection
from mgit_service.use_cases.maintenance.fsck.scanning import Damage
from mgit_service.use_cases.maintenance.marking import LiveDocument

__all__ = ["Findings", "Orphans", "StoreProblem"]

_MOST_MODELS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreProblem:
    """Something that is not as it should be.

    Attributes:
        reason: What kind.
        message: What was wanted and what was found.
        subject: Object key, name of a pack or index, or digest in hexadecimal.
        models: References of up to 10 present models that suffer.
        repaired: Whether it was repaired.
    """

    reason: ErrorReason
    message: str
    subject: str
    models: tuple[str, ...] = ()
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Packs that no index names although models need chunks in them.

    Attributes:
        copies: What lies in each, by its own table.
        chunks: All of these chunks.
    """

    copies: Mapping[str, Sequence[Copy]] = field(default_factory=dict)
    chunks: DigestSet = field(default_factory=DigestSet)


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a look at the whole store found.

    Attributes:
        documents: What present models need, by key.
        indexes: Index objects that cannot be read, by name.
        tables: Packs whose own table is damaged or does not fit the index.
        orphans: Packs without an index.
        lost_packs: Packs that an index names and that are not there.
        damages: Copies that cannot be read.
        inspection: What documents name and is not there.
        table: All copies that indexes name.
    """

    documents: Mapping[str, LiveDocument]
    indexes: Mapping[str, CorruptError]
    tables: Mapping[str, CorruptError]
    orphans: Orphans
    lost_packs: frozenset[str]
    damages: Sequence[Damage]
    inspection: Inspection
    table: CopyTable
    _by_culprit: dict[str, list[Digest]] | None = None

    def suspects(self) -> DigestSet:
        """The chunks of which a copy cannot be read."""
        return DigestSet(digest_array(damage.copy.digest for damage in self.damages))

    def missing(self) -> list[Digest]:
        """Chunks that models need and no copy gives, with what these rest on; those in orphans left out.

        The first 10,000.
        """
        found = dict.fromkeys(self._missing())
        for damage in self.damages:
            if damage.copy.digest in found and not damage.is_own:
                found[bytes.fromhex(damage.culprit)] = None
        return list(found)[:MOST_NAMED]

    def problems(self, repaired: frozenset[str]) -> Iterator[StoreProblem]:
        """Each problem once, by its cause; ``repaired`` are the subjects of those that were repaired."""
        for problem in self._problems():
            yield StoreProblem(
                reason=problem.reason,
                message=problem.message,
                subject=problem.subject,
                models=problem.models,
                repaired=problem.subject in repaired,
            )

    def _problems(self) -> Iterator[StoreProblem]:
        for name, error in self.indexes.items():
            yield StoreProblem(reason=error.reason, message=error.message, subject=name)
        for pack, copies in self.orphans.copies.items():
            yield self._of_orphan(pack, copies)
        for pack, error in self.tables.items():
            yield StoreProblem(reason=error.reason, message=error.message, subject=pack)
        yield from self._of_documents()
        yield from self._of_lost_packs()
        yield from self._of_damages()
        yield from self._of_missing()

    def _missing(self) -> list[Digest]:
        """Those that are missing, the first 10,000."""
        return [digest for digest in self.inspection.missing if self._is_missing(digest)]

    def _is_missing(self, digest: Digest) -> bool:
        """Whether a model needs the chunk, and no copy gives it, even when the orphans are indexed."""
        if not self.inspection.all_missing.contains(digest):
            return False
        return not self.orphans.copies or not (
            self.orphans.chunks.contains(digest) or digest in self._come_back()
        )

    def _come_back(self) -> set[Digest]:
        """What can be read again as soon as the orphans are indexed, besides what is in them."""
        return {
            digest
            for culprit, digests in self._resting().items()
            if self.orphans.chunks.contains(bytes.fromhex(culprit))
            for digest in digests
        }

    def _of_orphan(self, pack: str, copies: Sequence[Copy]) -> StoreProblem:
        return StoreProblem(
            reason=ErrorReason.INDEX_CORRUPT,
            message=f"No index names pack {pack}, in which {len(copies)} chunks lie, some of which models need.",
            subject=pack,
            models=self._models(digest for copy in copies for digest in self._touched(copy.digest)),
        )

    def _of_documents(self) -> Iterator[StoreProblem]:
        for key, error in self.inspection.unreadable.items():
            is_later = error.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
            yield StoreProblem(
                reason=error.reason if is_later else ErrorReason.MANIFEST_CORRUPT,
                message=error.message,
                subject=key,
                models=tuple(self.documents[key].models),
            )
        for wrong in self.inspection.wrong_sizes:
            yield StoreProblem(
                reason=ErrorReason.MANIFEST_CORRUPT,
                message=f"Object {wrong.document.key} wants {wrong.wanted} bytes of chunk {wrong.digest.hex()}, "
                f"which has {wrong.found}.",
                subject=wrong.document.key,
                models=tuple(wrong.document.models),
            )

    def _of_lost_packs(self) -> Iterator[StoreProblem]:
        lost: dict[str, list[Digest]] = {}
        for damage in self.damages:
            if damage.copy.pack in self.lost_packs:
                lost.setdefault(damage.copy.pack, []).append(damage.copy.digest)
        for pack, digests in lost.items():
            yield StoreProblem(
                reason=ErrorReason.PACK_CORRUPT,
                message=f"Pack {pack}, in which {len(digests)} chunks lie by the index, is not there.",
                subject=pack,
                models=self._models(digests),
            )

    def _of_damages(self) -> Iterator[StoreProblem]:
        """Each damaged chunk, with the models of what rests on it, which is no problem of its own.

        Copies that nothing needs and of which a base went with a collection are waste, no damage.
        """
        culprits = {damage.culprit for damage in self.damages if damage.is_own}
        for damage in self.damages:
            digest = damage.copy.digest
            if damage.copy.pack in self.lost_packs:
                continue
            if damage.is_own:
                yield self._of_damage(damage, self._touched(digest))
            elif damage.culprit not in culprits and self._is_missing(digest):
                yield self._of_damage(damage, [digest])

    def _of_damage(self, damage: Damage, touched: Iterable[Digest]) -> StoreProblem:
        return StoreProblem(
            reason=damage.error.reason,
            message=damage.error.message,
            subject=damage.copy.digest.hex(),
            models=self._models(touched),
        )

    def _of_missing(self) -> Iterator[StoreProblem]:
        told = {damage.copy.digest for damage in self.damages}
        missing = [digest for digest in self._missing() if digest not in told]
        for digest in missing:
            yield StoreProblem(
                reason=ErrorReason.CHUNK_NOT_FOUND,
                message=f"No index names chunk {digest.hex()}.",
                subject=digest.hex(),
                models=self._models([digest]),
            )
        more = len(self.inspection.all_missing) - len(self.inspection.missing)
        if more > 0:
            yield StoreProblem(
                reason=ErrorReason.CHUNK_NOT_FOUND, message=f"{more} more chunks are missing.", subject="more"
            )

    def is_harmless(self, damage: Damage) -> bool:
        """Whether every model can be read in spite of this damage."""
        return not any(map(self._is_missing, self._touched(damage.copy.digest)))

    def _touched(self, digest: Digest) -> list[Digest]:
        """A chunk and what cannot be read because of it."""
        return [digest, *self._resting().get(digest.hex(), ())]

    def _resting(self) -> dict[str, list[Digest]]:
        """What cannot be read because of each culprit, besides its own copies."""
        if self._by_culprit is None:
            self._by_culprit = {}
            for damage in self.damages:
                if not damage.is_own:
                    self._by_culprit.setdefault(damage.culprit, []).append(damage.copy.digest)
        return self._by_culprit

    def _models(self, digests: Iterable[Digest]) -> tuple[str, ...]:
        models: dict[str, None] = {}
        for digest in digests:
            models |= dict.fromkeys(self.inspection.models.get(digest, ()))
            if len(models) >= _MOST_MODELS:
                break
        return tuple(models)[:_MOST_MODELS]
