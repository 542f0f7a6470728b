"""Makes models visible at the destination, a batch at a time: chunks first, then the models, then what is said of them."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from mgit.graph import new_request_id
from mgit.manifests import Listing, draft_parts, read_listing
from mgit.remotes.placing import Placement
from mgit.remotes.selecting import Candidate, export_models
from mgit.remotes.sending import ChunkCarrier, Missing, find_missing
from mgit.remotes.sides import Side
from mgit.remotes.values import TransferredModel
from mgit.wire import read_summary
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, FailedPreconditionError, UnavailableError
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import parameters_pb2, types_pb2

__all__ = ["Imported", "LeftOut", "ModelImporter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Which parameters stay at the source.

    Attributes:
        before: UIDs of models of which none travel.
        only: Shell patterns over parameter names: others stay; empty means that all travel.
        promise: Who has them, as the destination remembers it.
    """

    before: frozenset[str]
    only: tuple[str, ...]
    promise: types_pb2.Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A batch that was brought.

    Attributes:
        models: Those that are new or complete now.
        size_bytes: Bytes of those of them that are whole.
    """

    models: tuple[TransferredModel, ...] = ()
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Content:
    """What a model of the batch is made of.

    Attributes:
        placement: The model.
        listing: Its parameters and files; None for a tombstone.
        wanted: Chunks that travel.
        others: Chunks that stay where they are, unless the destination has them.
    """

    placement: Placement
    listing: Listing | None = None
    wanted: tuple[Digest, ...] = ()
    others: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelImporter:
    """Brings models from the source to the destination.

    Attributes:
        carrier: Brings their chunks.
        left_out: What stays at the source.
        told: Gets the bytes of the batch that are there by now.
    """

    carrier: ChunkCarrier
    left_out: LeftOut
    told: Callable[[int], object]

    @property
    def _source(self) -> Side:
        return self.carrier.source

    @property
    def _destination(self) -> Side:
        return self.carrier.destination

    def bring(self, batch: Sequence[Placement]) -> Imported:
        """Bring models with all that they need. All become visible together.

        Raises:
            AlreadyExistsError: NAME_TAKEN, if somebody took a name meanwhile.
            CorruptError: CHUNK_CORRUPT, MANIFEST_CORRUPT or MODEL_DIFFERS.
            MGitError: As the services answer.
        """
        contents = [self._read(placement) for placement in batch]
        wanted = tuple(dict.fromkeys(chain.from_iterable(each.wanted for each in contents)))
        chunks = tuple(dict.fromkeys(chain(wanted, *(each.others for each in contents))))
        lacking = self._lacking_at_source(wanted, contents)
        wanted = tuple(digest for digest in wanted if digest not in lacking)
        size_bytes = sum(placement.candidate.size_bytes for placement in batch)
        patience = self._destination.patience()
        while True:
            missing = self.carrier.bring(
                wanted, chunks, lambda left_bytes: self.told(max(0, size_bytes - left_bytes))
            )
            try:
                done = self._import(contents, missing)
            except (UnavailableError, FailedPreconditionError) as error:
                # CHUNKS_MISSING means that a collection passed since it was asked: as good as stale.
                if not (error.is_retryable or error.reason is ErrorReason.CHUNKS_MISSING):
                    raise
                patience.wait_or_raise(error)
            else:
                self.told(size_bytes)
                return done

    def _read(self, placement: Placement) -> _Content:
        candidate = placement.candidate
        if candidate.is_removed:
            return _Content(placement)
        listing = self._listing(candidate)
        parameters = listing.manifest.parameters
        none = candidate.uid in self.left_out.before
        travels = [not none and self._is_chosen(parameter.name) for parameter in parameters]
        chosen = [each.chunks for each, travel in zip(parameters, travels, strict=True) if travel]
        others = [each.chunks for each, travel in zip(parameters, travels, strict=True) if not travel]
        chosen.extend(each.chunks for each in listing.files.files)  # Only parameters may be promised.
        wanted = dict.fromkeys(chain.from_iterable(chosen))
        return _Content(
            placement=placement,
            listing=listing,
            wanted=tuple(wanted),
            others=tuple(each for each in dict.fromkeys(chain.from_iterable(others)) if each not in wanted),
        )

    def _is_chosen(self, name: str) -> bool:
        only = self.left_out.only
        return not only or any(fnmatch.fnmatchcase(name, pattern) for pattern in only)

    def _listing(self, candidate: Candidate) -> Listing:
        request = parameters_pb2.GetManifestRequest(model=f"@{candidate.uid}")
        method = self._source.connection.parameters.GetManifest
        answers = self._source.collect(method, lambda: request)
        listing = read_listing(self._source.capabilities.algorithm, answers)
        found = listing.files.digest if candidate.files_digest else b""
        if listing.manifest.digest != candidate.parameters_digest or found != candidate.files_digest:
            raise CorruptError(
                ErrorReason.MANIFEST_CORRUPT,
                f"{self._source.address} gave a manifest of {candidate.ref} that its digest does not fit; nothing of it "
                "was taken.",
                uid=candidate.uid,
            )
        return listing

    def _lacking_at_source(self, wanted: Sequence[Digest], contents: Sequence[_Content]) -> frozenset[Digest]:
        """Chunks that the source itself was only promised."""
        if not any(each.placement.candidate.is_promised for each in contents):
            return frozenset()
        return find_missing(self._source, wanted).digests

    def _import(self, contents: Sequence[_Content], missing: Missing) -> Imported:
        whole = {
            each.placement.candidate.uid
            for each in contents
            if missing.digests.isdisjoint(each.wanted) and missing.digests.isdisjoint(each.others)
        }
        # A model that was promised before and is so still has nothing new to say.
        coming = [each for each in contents if each.placement.is_new or each.placement.candidate.uid in whole]
        if not coming:
            return Imported()
        exported = export_models(self._source, [each.placement.candidate.uid for each in coming])
        by_uid = {model.summary.uid: model for model in exported}
        starts = [self._start(each, by_uid[each.placement.candidate.uid], whole) for each in coming]
        messages = self._messages(coming, starts, missing.epoch)
        method = self._destination.connection.exchange.ImportModels
        answer = self._destination.send(method, messages)
        return Imported(
            models=tuple(
                _transferred(each.placement.candidate, found, whole)
                for each, found in zip(coming, answer.models, strict=True)
            ),
            size_bytes=sum(
                each.placement.candidate.size_bytes
                for each in coming
                if each.placement.candidate.uid in whole
            ),
        )

    def _start(self, content: _Content, model: types_pb2.Model, whole: set[str]) -> pb.ImportStart:
        start = pb.ImportStart(model=model)
        start.model.summary.name = content.placement.name
        start.model.summary.version = content.placement.version
        if model.summary.uid in whole:
            start.model.ClearField("promised_by")
        elif not model.HasField("promised_by"):
            start.model.promised_by.CopyFrom(self.left_out.promise)
        if content.listing is not None and model.files_digest:
            start.source_format = content.listing.files.source_format
            start.ties.extend(types_pb2.Tie(names=names) for names in content.listing.files.ties)
        if model.layer_graph_digest:
            request = parameters_pb2.GetLayerGraphRequest(model=f"@{model.summary.uid}")
            method = self._source.connection.parameters.GetLayerGraph
            start.layer_graph = self._source.ask(method, request).document
        return start

    def _messages(
        self, contents: Sequence[_Content], starts: Sequence[pb.ImportStart], epoch: int
    ) -> Iterator[pb.ImportModelsRequest]:
        max_digests = self._destination.capabilities.max_digests
        for content, start in zip(contents, starts, strict=True):
            yield pb.ImportModelsRequest(start=start)
            if content.listing is not None:
                manifest, files = content.listing.manifest, content.listing.files
                for part in draft_parts(manifest.parameters, files.files, max_digests):
                    yield pb.ImportModelsRequest(part=part)
        yield pb.ImportModelsRequest(end=pb.ImportEnd(epoch=epoch, request_id=new_request_id()))


def _transferred(candidate: Candidate, found: types_pb2.ModelSummary, whole: set[str]) -> TransferredModel:
    summary = read_summary(found)
    return TransferredModel(
        uid=summary.uid,
        ref=summary.ref,
        source_ref=candidate.ref,
        state=summary.state,
        promised=summary.uid not in whole,
    )
