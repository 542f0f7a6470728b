"""Brings what is said of models: edges, tags, model tests, results and bugs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mgit.graph import new_request_id
from mgit.remotes.placing import Placement
from mgit.remotes.sides import Side
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import lineage_pb2, types_pb2

__all__ = ["RecordCarrier"]

# Half of what one call may bring, since parts are not cut.
_MOST_RECORDS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCarrier:
    """Brings records from the source to the destination, where they are united with those that are there.

    Attributes:
        source: Who tells.
        destination: Who is told.
        placements: All chosen models by uid.
        source_name: What the destination calls the source.
        force_tags: Whether tags that point elsewhere there are moved.
    """

    source: Side
    destination: Side
    placements: Mapping[str, Placement]
    source_name: str
    force_tags: bool

    def bring(self, batch: Sequence[Placement]) -> Counter[str]:
        """Unite what concerns models of a batch, whose parents came before; gives what changed, by kind.

        Raises:
            ConflictError: CYCLE, naming the edges that would close one; TAG_MOVED.
            MGitError: As the services answer.
        """
        own = [each.candidate.uid for each in batch]
        older = dict.fromkeys(uid for each in batch for uid in each.candidate.older if uid in self.placements)
        uids = list(dict.fromkeys([*own, *older]))
        request = pb.ExportRecordsRequest(uids=uids)
        answers = self.source.collect(self.source.connection.exchange.ExportRecords, lambda: request)
        parts = [self._at_destination(answer.records, set(own)) for answer in answers]
        counts: Counter[str] = Counter()
        for some in _calls(parts):
            counts += self._import(some)
        return counts

    def _import(self, parts: Sequence[pb.Records]) -> Counter[str]:
        request_id = new_request_id()
        method = self.destination.connection.exchange.ImportRecords
        answer = self.destination.patience().outlast(
            lambda: self.destination.send(method, self._messages(parts, request_id))
        )
        kinds = ("edges", "tags", "tests", "results", "bugs")
        return Counter({kind: getattr(answer, kind) for kind in kinds})

    def _at_destination(self, records: pb.Records, own: set[str]) -> pb.Records:
        """Records with tags as the destination names their models; those of parents came with these."""
        moved = pb.Records()
        moved.CopyFrom(records)
        moved.ClearField("tags")
        for tag in records.tags:
            if tag.model.uid in own:
                placement = self.placements[tag.model.uid]
                summary = types_pb2.ModelSummary()
                summary.CopyFrom(tag.model)
                summary.name, summary.version = placement.name, placement.version
                moved.tags.append(lineage_pb2.Tag(model_name=placement.name, tag=tag.tag, model=summary))
        return moved

    def _messages(self, parts: Sequence[pb.Records], request_id: str) -> Iterator[pb.ImportRecordsRequest]:
        head = pb.ImportRecordsRequest(
            remote=self.source_name, force_tags=self.force_tags, request_id=request_id
        )
        for part in parts:
            head.records.CopyFrom(part)
            yield head
            head = pb.ImportRecordsRequest()


def _calls(parts: Iterable[pb.Records]) -> Iterator[list[pb.Records]]:
    """Parts in their order, as many together as one call takes."""
    call: list[pb.Records] = []
    count = 0
    for part in parts:
        size = sum(len(records) for _, records in part.ListFields())
        if call and count + size > _MOST_RECORDS:
            yield call
            call, count = [], 0
        if size:
            call.append(part)
            count += size
    if call:
        yield call
