"""One exchange between two services, the same in both directions.

First all that could refuse it is asked, then models travel batch by batch, parents first. Whatever cuts an exchange,
the next one goes on from what arrived: chunks that were verified stay, and models that are there are only compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mgit.progress import ProgressCounter
from mgit.remotes.importing import LeftOut, ModelImporter
from mgit.remotes.placing import Naming, Placement, check_tags, place_models
from mgit.remotes.recording import RecordCarrier
from mgit.remotes.selecting import Selection, select_models
from mgit.remotes.sending import ChunkCarrier
from mgit.remotes.sides import Side, check_sides
from mgit.remotes.values import Transfer, TransferredModel
from mgit_core.errors import AlreadyExistsError, ErrorReason
from mgit_proto.v1 import types_pb2

__all__ = ["Job", "Naming", "transfer"]

# A batch is one transaction at the destination and one manifest each in memory here.
_BATCH_MODELS = 500
_BATCH_TENSORS = 20_000
# How often names are looked up again because somebody took one meanwhile.
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be exchanged.

    Attributes:
        models: References at the source; empty means all models.
        since: A model of the source: its parameters and those of its ancestors stay there.
        only: Shell patterns over parameter names; others stay at the source.
        naming: What becomes of models whose names are taken.
        source_name: What the destination calls the source.
        force_tags: Whether tags that point elsewhere at the destination are moved.
    """

    models: tuple[str, ...]
    since: str | None
    only: tuple[str, ...]
    naming: Naming
    source_name: str
    force_tags: bool


def transfer(source: Side, destination: Side, job: Job, progress: ProgressCounter) -> Transfer:
    """Bring models with all that belongs to them to the destination; repeating it changes nothing.

    Raises:
        InvalidArgumentError: INVALID_REMOTE, for one store with itself; INVALID_NAME; INVALID_REFERENCE.
        FailedPreconditionError: REMOTE_VERSION_UNKNOWN or STORES_UNLIKE.
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        ConflictError: PUSH_REFUSED, TAG_MOVED or CYCLE.
        AlreadyExistsError: NAME_TAKEN.
        CorruptError: MODEL_DIFFERS, CHUNK_CORRUPT or MANIFEST_CORRUPT.
        UnavailableError: SERVICE_UNAVAILABLE, after half a minute without an answer of one side.
    """
    check_sides(source, destination)
    selection = select_models(source, job.models, job.since)
    exchange = _Exchange(source, destination, job, selection, progress)
    naming = job.naming
    tries = 0
    while True:
        placements = place_models(destination, selection.candidates, naming)
        try:
            return exchange.run(placements)
        except AlreadyExistsError as error:
            tries += 1
            if error.reason is not ErrorReason.NAME_TAKEN or tries == _TRIES:
                raise
            # Somebody took a name meanwhile: the next look finds another one behind the prefix, or refuses with the list.
            naming = replace(naming, is_begun=True)


class _Exchange:
    """One exchange; what a try that was cut had done counts."""

    def __init__(
        self, source: Side, destination: Side, job: Job, selection: Selection, progress: ProgressCounter
    ) -> None:
        self._source = source
        self._destination = destination
        self._job = job
        self._selection = selection
        self._progress = progress
        self._carrier = ChunkCarrier(source, destination)
        self._models: list[TransferredModel] = []
        self._counts: Counter[str] = Counter()
        self._size_bytes = 0
        self._done_bytes = 0
        self._told_bytes = 0

    def run(self, placements: Sequence[Placement]) -> Transfer:
        if not self._job.force_tags:
            check_tags(self._destination, placements)
        self._done_bytes = self._told_bytes = 0
        self._progress.begin(sum(each.candidate.size_bytes for each in placements if self._is_coming(each)))
        importer = self._importer()
        recorder = self._recorder(placements)
        for batch in _batches(placements):
            coming = [each for each in batch if self._is_coming(each)]
            if coming:
                imported = importer.bring(coming)
                self._models += imported.models
                self._size_bytes += imported.size_bytes
                self._done_bytes += sum(each.candidate.size_bytes for each in coming)
            self._counts += recorder.bring(batch)
        return self._transfer(known=len(placements) - len(self._models))

    def _is_coming(self, placement: Placement) -> bool:
        """Whether it is new, or promised and named."""
        is_named = placement.candidate.uid in self._selection.named
        return placement.is_new or (placement.is_promised and is_named)

    def _importer(self) -> ModelImporter:
        promise = types_pb2.Promise(store_id=self._source.capabilities.store_id, remote=self._job.source_name)
        return ModelImporter(
            carrier=self._carrier,
            left_out=LeftOut(before=self._selection.before, only=self._job.only, promise=promise),
            told=self._tell,
        )

    def _recorder(self, placements: Sequence[Placement]) -> RecordCarrier:
        return RecordCarrier(
            source=self._source,
            destination=self._destination,
            placements={each.candidate.uid: each for each in placements},
            source_name=self._job.source_name,
            force_tags=self._job.force_tags,
        )

    def _tell(self, batch_bytes: int) -> None:
        """Bytes of the batch that are there; what a second try has to send again is not told twice."""
        there = self._done_bytes + batch_bytes
        if there > self._told_bytes:
            self._progress.add(there - self._told_bytes)
            self._told_bytes = there

    def _transfer(self, *, known: int) -> Transfer:
        remote = self._destination if self._job.naming.is_push else self._source
        carried, counts = self._carrier.carried, self._counts
        return Transfer(
            remote=self._job.naming.remote,
            models=tuple(self._models),
            known=known,
            bytes_sent=remote.sent_bytes,
            bytes_received=remote.received_bytes,
            chunks_as_stored=carried.as_stored,
            chunks_alone=carried.alone,
            chunk_bytes=carried.frame_bytes,
            size_bytes=self._size_bytes,
            edges=counts["edges"],
            tags=counts["tags"],
            tests=counts["tests"],
            results=counts["results"],
            bugs=counts["bugs"],
        )


def _batches(placements: Sequence[Placement]) -> Iterator[list[Placement]]:
    batch: list[Placement] = []
    tensors = 0
    for placement in placements:
        count = placement.candidate.tensor_count if placement.is_new or placement.is_promised else 0
        if batch and (len(batch) == _BATCH_MODELS or tensors + count > _BATCH_TENSORS):
            yield batch
            batch, tensors = [], 0
        batch.append(placement)
        tensors += count
    if batch:
        yield batch
