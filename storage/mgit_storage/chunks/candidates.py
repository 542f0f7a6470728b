"""Which predictions of a plan a writer may use: their bases are there, and a read stays cheap."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from itertools import takewhile

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.coding.codec import Candidate
from mgit_core.coding.encoded import BaseRange, ChunkHeader, EncodedChunk, Predictor
from mgit_core.coding.plans import (
    DECODED_PER_BYTE,
    DECODED_PER_CAST_BYTE,
    DECODED_TIMES_FOR_LITTLE,
    LITTLE,
    ChunkPlan,
    Prediction,
)
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, NotFoundError
from mgit_storage.chunks.chains import Chain, chain_on
from mgit_storage.chunks.copies import Copies
from mgit_storage.chunks.reader import CopyReader

__all__ = ["BaseFinder"]

# What a bound by bytes lets through where each step needs a small part of its base only.
_LONGEST_CHAIN = 8
_MOST_DECODED_BYTES = 16 * CHUNK_BYTES
_KNOWN_PREDICTORS = frozenset(int(predictor) for predictor in Predictor)


class BaseFinder:
    """Bases for the chunks of one writer: chunks of the store, and those that the writer has appended.

    Thread-safe. Chunks that are written at once may name each other as bases; what each of them may come to rest
    on is noted before it is encoded, so that no loop comes about.
    """

    def __init__(self, copies: Copies, reader: CopyReader) -> None:
        self._copies = copies
        self._reader = reader
        self._lock = threading.Lock()
        self._appended: dict[Digest, ChunkHeader] = {}
        self._intended: dict[Digest, Sequence[BaseRange]] = {}

    def candidates(
        self, digest: Digest, size: int, plan: ChunkPlan
    ) -> tuple[list[Candidate], list[Candidate]]:
        """The predictions that may be used for a chunk, with their sources.

        Args:
            digest: Of the chunk.
            size: Its raw bytes.
            plan: Its plan.

        Returns:
            Those that are dear, and may be used for a frame that is little only, and stand before the first of
            the others; and the others.
        """
        costs = [(prediction, self._cost(digest, size, prediction)) for prediction in plan.predictions]
        allowed = [(each, cost) for each, cost in costs if cost <= DECODED_TIMES_FOR_LITTLE]
        with self._lock:
            ended = [(each, cost) for each, cost in allowed if self._ends(digest, each.bases)]
            self._intended[digest] = [base for each, _ in ended for base in each.bases]
        cheap = [each for each, cost in ended if cost <= 1]
        dear = [each for each, _ in takewhile(lambda found: found[1] > 1, ended)]
        contents = dict(plan.contents)
        return self._with_sources(dear, contents), self._with_sources(cheap, contents)

    def _with_sources(
        self, predictions: Sequence[Prediction], contents: dict[Digest, bytes]
    ) -> list[Candidate]:
        found = ((prediction, self._sources(prediction, contents)) for prediction in predictions)
        return [Candidate(prediction, sources) for prediction, sources in found if sources is not None]

    def has_all(self, bases: Sequence[BaseRange]) -> bool:
        """Whether bases that another store chose are all usable here, or were appended by this writer."""
        with self._lock:
            return all(base.digest in self._appended or self._copies.has(base.digest) for base in bases)

    def is_appended(self, digest: Digest) -> bool:
        """Whether this writer appended the chunk."""
        with self._lock:
            return digest in self._appended

    def may_rest_on(self, digest: Digest, bases: Sequence[BaseRange]) -> bool:
        """Whether bases that another store chose are all usable here and lead to no loop."""
        if not self.has_all(bases):
            return False
        with self._lock:
            self._intended[digest] = bases
            return self._ends(digest, bases)

    def may_keep(self, digest: Digest, frame: EncodedChunk) -> bool:
        """Whether a frame that the store has may be written once more as it is."""
        if frame.predictor not in _KNOWN_PREDICTORS:
            return False
        prediction = Prediction(predictor=Predictor(frame.predictor), bases=frame.bases)
        is_little = frame.size_bytes * LITTLE <= frame.raw_size
        most = DECODED_TIMES_FOR_LITTLE if is_little else 1
        is_affordable = self._cost(digest, frame.raw_size, prediction) <= most
        return is_affordable and self.may_rest_on(digest, frame.bases)

    def append(self, digest: Digest, encoded: EncodedChunk) -> None:
        """Take a chunk as a base for later ones: the writer appended it."""
        header = ChunkHeader(
            encoding=encoded.encoding,
            predictor=encoded.predictor,
            raw_size=encoded.raw_size,
            bases=encoded.bases,
        )
        with self._lock:
            self._appended[digest] = header
            self._intended.pop(digest, None)

    def forget(self, digests: Sequence[Digest]) -> None:
        """Let go of chunks that were not kept after all."""
        with self._lock:
            for digest in digests:
                self._appended.pop(digest, None)
                self._intended.pop(digest, None)

    def _cost(self, digest: Digest, size: int, prediction: Prediction) -> float:
        """What a read would decode, as a part of what it usually may; infinite for bases that cannot be used."""
        chains = [(base, self._chain(base.digest)) for base in prediction.bases]
        known = [(base, chain) for base, chain in chains if chain is not None]
        if len(known) < len(chains) or any(base.stop > chain.sizes[base.digest] for base, chain in known):
            return math.inf
        chain = chain_on(digest, size, known)
        if chain.depth > _LONGEST_CHAIN or chain.decoded_bytes > _MOST_DECODED_BYTES:
            return math.inf
        is_cast = prediction.predictor == Predictor.CAST
        return chain.needed_bytes / (size * (DECODED_PER_CAST_BYTE if is_cast else DECODED_PER_BYTE))

    def _chain(self, digest: Digest) -> Chain | None:
        header = self._appended.get(digest)
        if header is None:
            try:
                return self._copies.chain(digest)
            except (CorruptError, NotFoundError):  # Its copy is damaged, or went this moment: no base.
                return None
        below = [(base, self._chain(base.digest)) for base in header.bases]
        known = [(base, chain) for base, chain in below if chain is not None]
        return chain_on(digest, header.raw_size, known) if len(known) == len(below) else None

    def _ends(self, digest: Digest, bases: Sequence[BaseRange]) -> bool:
        """Whether no base rests on the chunk itself, by whatever copies."""
        starts = [base.digest for base in bases]
        return not self._copies.reaches(starts, digest, self._unsealed_bases)

    def _unsealed_bases(self, digest: Digest) -> Sequence[BaseRange]:
        """What a chunk of this writer rests on, or may come to rest on."""
        header = self._appended.get(digest)
        return header.bases if header is not None else self._intended.get(digest, ())

    def _sources(self, prediction: Prediction, contents: dict[Digest, bytes]) -> list[memoryview] | None:
        """The ranges of the bases; None if one cannot be read. Adds what was read to ``contents``."""
        sources = []
        for base in prediction.bases:
            content = contents.get(base.digest)
            if content is None:
                content = self._read(base.digest)
            if content is None or base.stop > len(content):
                return None
            contents[base.digest] = content
            sources.append(memoryview(content)[base.start : base.stop])
        return sources

    def _read(self, digest: Digest) -> bytes | None:
        try:
            return self._reader.read_base(digest)
        except (CorruptError, NotFoundError):  # Reading the base itself reports it; here it is of no use.
            return None
