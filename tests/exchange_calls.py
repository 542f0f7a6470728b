"""What travels between two services, by generated stubs and the core alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.parameter_calls import Service

from mgit_core.digest import Digest
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import parameters_pb2, types_pb2


def export_models(service: Service, *uids: str) -> list[types_pb2.Model]:
    """Models, tombstones too."""
    answers = service.exchange.ExportModels(pb.ExportModelsRequest(uids=uids))
    return [model for answer in answers for model in answer.models]


def export_records(service: Service, *uids: str) -> list[pb.Records]:
    """What goes along with them, as it comes."""
    answers = service.exchange.ExportRecords(pb.ExportRecordsRequest(uids=uids))
    return [answer.records for answer in answers]


def manifest(service: Service, uid: str) -> list[parameters_pb2.GetManifestResponse]:
    return list(service.parameters.GetManifest(parameters_pb2.GetManifestRequest(model=f"@{uid}")))


def chunks_of(parts: Iterable[parameters_pb2.GetManifestResponse]) -> list[Digest]:
    """Every chunk that a manifest names, in order, each once."""
    found: dict[Digest, None] = {}
    for part in parts:
        for digests in [each.chunk_digests for each in part.parameters] + [
            each.chunk_digests for each in part.files
        ]:
            found |= dict.fromkeys(digests)
    return list(found)


def find_missing(service: Service, digests: Sequence[Digest]) -> tuple[list[Digest], int]:
    """Those that are missing, and the epoch."""
    answers = list(service.exchange.FindMissingChunks(iter([pb.FindMissingChunksRequest(digests=digests)])))
    return [digest for answer in answers for digest in answer.missing], answers[-1].epoch


def read_encoded(
    service: Service, digests: Iterable[Digest] = (), alone: Iterable[Digest] = ()
) -> dict[Digest, bytes]:
    """Frames by digest, in the order in which they came."""
    request = pb.ReadEncodedChunksRequest(digests=list(digests), alone=list(alone))
    frames: dict[Digest, bytes] = {}
    sizes: dict[Digest, int] = {}
    digest = b""
    for piece in service.exchange.ReadEncodedChunks(request):
        if piece.digest:
            digest = piece.digest
            frames[digest], sizes[digest] = b"", piece.size_bytes
        frames[digest] += piece.data
    assert sizes == {each: len(frame) for each, frame in frames.items()}
    return frames


def encoded_messages(
    frames: Mapping[Digest, bytes], piece_bytes: int = 512 << 10
) -> Iterator[pb.WriteEncodedChunksRequest]:
    for digest, frame in frames.items():
        yield pb.WriteEncodedChunksRequest(digest=digest, size_bytes=len(frame), data=frame[:piece_bytes])
        for start in range(piece_bytes, len(frame), piece_bytes):
            yield pb.WriteEncodedChunksRequest(data=frame[start : start + piece_bytes])


def write_encoded(service: Service, frames: Mapping[Digest, bytes]) -> pb.WriteEncodedChunksResponse:
    return service.exchange.WriteEncodedChunks(encoded_messages(frames))


@dataclass(frozen=True)
class Luggage:
    """A model as it travels: what is said of it, and its manifest."""

    model: types_pb2.Model
    parts: tuple[parameters_pb2.GetManifestResponse, ...] = ()

    def start(self, **changed: object) -> pb.ImportStart:
        model = types_pb2.Model()
        model.CopyFrom(self.model)
        first = self.parts[0] if self.parts else parameters_pb2.GetManifestResponse()
        start = pb.ImportStart(model=model, source_format=first.source_format, ties=first.ties)
        for name, value in changed.items():
            setattr(start, name, value)
        return start

    def messages(self) -> Iterator[pb.ImportModelsRequest]:
        yield pb.ImportModelsRequest(start=self.start())
        for part in self.parts:
            if part.parameters or part.files:
                draft = parameters_pb2.DraftPart(parameters=part.parameters, files=part.files)
                yield pb.ImportModelsRequest(part=draft)


def pack(service: Service, *uids: str) -> list[Luggage]:
    """The models, ready to travel."""
    models = export_models(service, *uids)
    return [
        Luggage(model, tuple(manifest(service, model.summary.uid)) if model.parameters_digest else ())
        for model in models
    ]


def import_messages(
    luggage: Iterable[Luggage], epoch: int, request_id: str = ""
) -> Iterator[pb.ImportModelsRequest]:
    for each in luggage:
        yield from each.messages()
    yield pb.ImportModelsRequest(end=pb.ImportEnd(epoch=epoch, request_id=request_id))


def import_models(
    service: Service, luggage: Iterable[Luggage], epoch: int, request_id: str = ""
) -> list[types_pb2.ModelSummary]:
    answer = service.exchange.ImportModels(import_messages(luggage, epoch, request_id))
    return list(answer.models)


def import_records(
    service: Service, records: Iterable[pb.Records], *, force_tags: bool = False, request_id: str = ""
) -> pb.ImportRecordsResponse:
    head = pb.ImportRecordsRequest(remote="elsewhere", force_tags=force_tags, request_id=request_id)
    rest = (pb.ImportRecordsRequest(records=part) for part in records)
    return service.exchange.ImportRecords(iter([head, *rest]))


def transfer(source: Service, destination: Service, *uids: str) -> int:
    """Copy models, with chunks and all that goes along; bytes of the frames that travelled."""
    luggage = pack(source, *uids)
    wanted = list(dict.fromkeys(chunk for each in luggage for chunk in chunks_of(each.parts)))
    missing, epoch = find_missing(destination, wanted)
    frames = _fitting_frames(source, destination, missing)
    if frames:
        write_encoded(destination, frames)
    import_models(destination, luggage, epoch)
    import_records(destination, export_records(source, *uids))
    return sum(map(len, frames.values()))


def _fitting_frames(source: Service, destination: Service, missing: Sequence[Digest]) -> dict[Digest, bytes]:
    """Frames as they are stored where their bases are there or travel too, bases first; else alone."""
    described = source.exchange.DescribeChunks(pb.DescribeChunksRequest(digests=missing)).chunks
    bases = {digest: set(chunk.bases) for digest, chunk in zip(missing, described, strict=True)}
    strangers = {base for each in bases.values() for base in each} - set(missing)
    lacking = set(find_missing(destination, list(strangers))[0]) if strangers else set[Digest]()
    alone = [digest for digest in missing if bases[digest] & lacking]
    order: list[Digest] = []
    left = [digest for digest in missing if digest not in alone]
    while left:
        ready = [digest for digest in left if not bases[digest] & set(left)]
        order += ready
        left = [digest for digest in left if digest not in ready]
    found = read_encoded(source, [digest for digest in order if not bases[digest]], alone)
    return found | read_encoded(source, [digest for digest in order if bases[digest]])
