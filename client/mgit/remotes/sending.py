"""Brings chunks from one side to the other: asks what is missing, and pipes it through, a few chunks at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mgit.connection import Answers, Patience
from mgit.remotes.ordering import ChunkForm, ChunkOrder, order_chunks
from mgit.remotes.sides import Side
from mgit_core.coding.encoded import read_header
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, InternalError, UnavailableError
from mgit_proto.v1 import exchange_pb2 as pb

__all__ = ["ChunkCarrier", "Missing", "find_missing"]

_PIECE_BYTES = 512 * 1024
_REQUEST_BYTES = 32 << 20
_MOST_FRAME_BYTES = 2 << 20
# What may be wrong with a chunk in the form that the source has, and right when it is encoded anew.
_OF_THE_FORM = frozenset({ErrorReason.CHUNK_CORRUPT, ErrorReason.UNKNOWN_FORMAT_VERSION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a side lacked at one moment.

    Attributes:
        digests: Chunks without a usable copy there.
        epoch: An import that counts on the others names it.
    """

    digests: frozenset[Digest]
    epoch: int


@dataclass(slots=True)
class _Carried:
    """What travelled, all attempts together."""

    as_stored: int = 0
    alone: int = 0
    frame_bytes: int = 0


@dataclass(slots=True)
class ChunkCarrier:
    """Brings chunks from ``source`` to ``destination``.

    Attributes:
        source: Who has them.
        destination: Who verifies each before it keeps it.
        carried: What travelled so far.
    """

    source: Side
    destination: Side
    carried: _Carried = field(default_factory=_Carried)
    _refused: set[Digest] = field(default_factory=set)

    def bring(
        self, wanted: Sequence[Digest], all_chunks: Sequence[Digest], told: Callable[[int], object]
    ) -> Missing:
        """Bring those of ``wanted`` that are missing, until none is; outlasts services that restart.

        A call that was cut, here or in an earlier process, left what was verified: only the rest travels.

        Args:
            wanted: Chunks that are to be at the destination.
            all_chunks: These and others, of which is only asked.
            told: Gets the raw bytes of ``wanted`` that are still to come, whenever that is known anew.

        Returns:
            Which of ``all_chunks`` are missing at the end.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND, if the source lacks one.
            CorruptError: CHUNK_CORRUPT, naming a chunk that the source sends wrongly.
            MGitError: As the services answer.
        """
        patience = {side: side.patience() for side in (self.source, self.destination)}
        left: frozenset[Digest] | None = None
        while True:
            missing = find_missing(self.destination, all_chunks)
            to_send = [digest for digest in wanted if digest in missing.digests]
            if not to_send:
                told(0)
                return missing
            if left is not None and left == frozenset(to_send):
                raise InternalError(
                    ErrorReason.INTERNAL,
                    f"The service at {self.destination.address} took {len(left)} chunks and lacks them still, "
                    f"{to_send[0].hex()} for one.",
                )
            left = frozenset(to_send) if self._send(to_send, missing, told, patience) else None

    def _send(
        self,
        to_send: Sequence[Digest],
        missing: Missing,
        told: Callable[[int], object],
        patience: Mapping[Side, Patience],
    ) -> bool:
        """Whether all of it was sent; if not, it is worth another try."""
        pipe: _Pipe | None = None
        try:
            forms = self._describe(to_send)
            pipe = _Pipe(self.source, forms, self._order(forms, missing), told, self.carried)
            self._run(pipe, patience)
        except UnavailableError as error:
            where = next((each for each in patience if each.address == error.details.get("address")), None)
            patience[where or self.destination].wait_or_raise(error)
            return False
        except CorruptError as error:
            refused = _digest_of(error)
            is_difference = pipe is not None and refused in pipe.with_bases - self._refused
            if refused is None or not is_difference or error.reason not in _OF_THE_FORM:
                raise
            self._refused.add(refused)
            return False
        self._refused |= pipe.changed
        return not pipe.changed

    def _run(self, pipe: _Pipe, patience: Mapping[Side, Patience]) -> None:
        def messages() -> Iterator[pb.WriteEncodedChunksRequest]:
            for message in pipe.messages():
                yield message
                for each in patience.values():
                    each.got_through()

        method = self.destination.connection.exchange.WriteEncodedChunks
        try:
            self.destination.send(method, messages())
        finally:
            pipe.close()

    def _describe(self, digests: Sequence[Digest]) -> dict[Digest, ChunkForm]:
        forms: dict[Digest, ChunkForm] = {}
        method = self.source.connection.exchange.DescribeChunks
        for part in _parts(digests, self.source.capabilities.max_digests):
            request = pb.DescribeChunksRequest(digests=part)
            described = self.source.ask(method, request).chunks
            if len(described) != len(part):
                raise _wrong(self.source, part[0], "was described together with others than were asked for")
            for digest, each in zip(part, described, strict=True):
                forms[digest] = ChunkForm(
                    stored_bytes=each.stored_bytes, raw_bytes=each.raw_bytes, bases=tuple(each.bases)
                )
        return forms

    def _order(self, forms: Mapping[Digest, ChunkForm], missing: Missing) -> ChunkOrder:
        """The order, bases that no chosen model has looked up at the destination."""
        bases = dict.fromkeys(base for form in forms.values() for base in form.bases if base not in forms)
        lacking = find_missing(self.destination, tuple(bases)).digests if bases else frozenset[Digest]()
        return order_chunks(
            forms,
            lambda base: base in bases and base not in lacking and base not in missing.digests,
            self._refused,
        )


def find_missing(side: Side, digests: Sequence[Digest]) -> Missing:
    """Which of ``digests`` a side lacks.

    Raises:
        MGitError: As the service answers.
    """

    def requests() -> Iterator[pb.FindMissingChunksRequest]:
        for part in _parts(digests, side.capabilities.max_digests):
            yield pb.FindMissingChunksRequest(digests=part)

    answers = side.collect(side.connection.exchange.FindMissingChunks, requests)
    return Missing(
        digests=frozenset(digest for answer in answers for digest in answer.missing),
        epoch=answers[-1].epoch if answers else 0,
    )


class _Pipe:
    """Chunks as they come from the source, in messages for the destination.

    gRPC takes the next message when it has room for it, and only then the next chunk is read: a few are in memory.

    Attributes:
        with_bases: Chunks that were passed on as differences.
        changed: Chunks that the source stores otherwise by now than it said; they were not passed on.
    """

    def __init__(
        self,
        source: Side,
        forms: Mapping[Digest, ChunkForm],
        order: ChunkOrder,
        told: Callable[[int], object],
        carried: _Carried,
    ) -> None:
        self._source = source
        self._forms = forms
        self._order = order
        self._told = told
        self._carried = carried
        self._left_bytes = sum(form.raw_bytes for form in forms.values())
        self._answers: Answers | None = None
        self.with_bases: set[Digest] = set()
        self.changed: set[Digest] = set()

    def close(self) -> None:
        """End the call that reads, if one runs."""
        if self._answers is not None:
            self._answers.close()

    def messages(self) -> Iterator[pb.WriteEncodedChunksRequest]:
        """The chunks in pieces.

        Raises:
            CorruptError: CHUNK_CORRUPT, for an answer that cannot be.
            MGitError: As the source answers.
        """
        self._told(self._left_bytes)
        for is_alone, digests in ((True, self._order.alone), (False, self._order.as_stored)):
            for digest, frame in self._read(digests, is_alone=is_alone):
                if not self._may_pass(digest, frame, is_alone=is_alone):
                    self.changed.add(digest)
                    continue
                yield pb.WriteEncodedChunksRequest(
                    digest=digest, size_bytes=len(frame), data=frame[:_PIECE_BYTES]
                )
                for start in range(_PIECE_BYTES, len(frame), _PIECE_BYTES):
                    yield pb.WriteEncodedChunksRequest(data=frame[start : start + _PIECE_BYTES])
                self._count(digest, len(frame), is_alone=is_alone)

    def _count(self, digest: Digest, size_bytes: int, *, is_alone: bool) -> None:
        self._carried.alone += is_alone
        self._carried.as_stored += not is_alone
        self._carried.frame_bytes += size_bytes
        self._left_bytes -= self._forms[digest].raw_bytes
        self._told(self._left_bytes)

    def _may_pass(self, digest: Digest, frame: bytes, *, is_alone: bool) -> bool:
        """Whether a frame needs only what was said: a repack may have come between."""
        bases = {base.digest for base in read_header(frame).bases}
        if is_alone:
            if bases:
                raise _wrong(self._source, digest, "came as a difference, though it was to come alone")
            return True
        if bases:
            self.with_bases.add(digest)
        return bases <= set(self._forms[digest].bases)

    def _read(self, digests: Sequence[Digest], *, is_alone: bool) -> Iterator[tuple[Digest, bytes]]:
        method = self._source.connection.exchange.ReadEncodedChunks
        for part in self._requests(digests):
            kind = {"alone": part} if is_alone else {"digests": part}
            with self._source.stream(method, pb.ReadEncodedChunksRequest(**kind)) as answers:
                self._answers = answers
                pieces = self._source.received(answers)
                for digest in part:
                    yield digest, self._take(pieces, digest)

    def _requests(self, digests: Iterable[Digest]) -> Iterator[list[Digest]]:
        request: list[Digest] = []
        size_bytes = 0
        for digest in digests:
            request.append(digest)
            size_bytes += self._forms[digest].stored_bytes
            if size_bytes >= _REQUEST_BYTES or len(request) == self._source.capabilities.max_digests:
                yield request
                request, size_bytes = [], 0
        if request:
            yield request

    def _take(self, pieces: Iterator[pb.ReadEncodedChunksResponse], digest: Digest) -> bytes:
        """One frame, whole."""
        head = next(pieces, None)
        if head is None:
            raise _wrong(self._source, digest, "did not come; the answer ended early")
        if head.digest != digest or not 0 < head.size_bytes <= _MOST_FRAME_BYTES:
            raise _wrong(self._source, digest, "came out of order or with a size that cannot be")
        content = [head.data]
        left = head.size_bytes - len(head.data)
        while left > 0:
            piece = next(pieces, None)
            if piece is None or piece.digest or not piece.data:
                raise _wrong(self._source, digest, "came with fewer bytes than was said")
            content.append(piece.data)
            left -= len(piece.data)
        if left:
            raise _wrong(self._source, digest, "came with more bytes than was said")
        return content[0] if len(content) == 1 else b"".join(content)


def _parts(digests: Iterable[Digest], count: int) -> Iterator[list[Digest]]:
    iterator = iter(digests)
    while part := list(islice(iterator, count)):
        yield part


def _digest_of(error: CorruptError) -> Digest | None:
    try:
        return bytes.fromhex(error.details.get("digest", ""))
    except ValueError:
        return None


def _wrong(source: Side, digest: Digest, found: str) -> CorruptError:
    return CorruptError(
        ErrorReason.CHUNK_CORRUPT,
        f"Chunk {digest.hex()} of {source.address} {found}.",
        digest=digest.hex(),
    )
