"""Fetches chunks over the wire, several requests in flight, each chunk verified before it counts."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from mgit.connection import Answers, Connection, Patience
from mgit.progress import ProgressCounter
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import CorruptError, ErrorReason, UnavailableError
from mgit_proto.v1 import parameters_pb2

__all__ = ["BufferSink", "ChunkPlan", "Sink", "WireChunkReader", "fetch_chunks"]

# Streams that run side by side: two keep a service with two cores busy while a third would only take turns.
_STREAMS = 2
_REQUEST_BYTES = 32 << 20
_CACHE_BYTES = 64 << 20


class Sink(Protocol):
    """Takes chunks at places. Thread-safe for places that do not overlap."""

    def write(self, offset: int, content: bytes) -> None:
        """Put ``content`` at ``offset``."""
        ...


@dataclass(frozen=True, slots=True)
class BufferSink:
    """Memory that is written."""

    view: memoryview

    def write(self, offset: int, content: bytes) -> None:
        self.view[offset : offset + len(content)] = content


class ChunkPlan:
    """Which chunks are wanted, and every place where each belongs; a chunk is fetched once."""

    def __init__(self) -> None:
        self._places: dict[Digest, list[tuple[Sink, int]]] = {}
        self._sizes: dict[Digest, int] = {}

    def add(self, digest: Digest, size_bytes: int, sink: Sink, offset: int) -> None:
        """Want a chunk of ``size_bytes`` at ``offset`` of ``sink``."""
        self._places.setdefault(digest, []).append((sink, offset))
        self._sizes[digest] = size_bytes

    @property
    def sizes(self) -> Mapping[Digest, int]:
        """Each wanted chunk with its size, in the order in which they were first wanted."""
        return self._sizes

    @property
    def size_bytes(self) -> int:
        """Bytes of all wanted chunks, each once."""
        return sum(self._sizes.values())

    def deliver(self, digest: Digest, content: bytes) -> None:
        """Put a chunk, whole, to all its places."""
        for sink, offset in self._places[digest]:
            sink.write(offset, content)


def fetch_chunks(connection: Connection, plan: ChunkPlan, progress: ProgressCounter | None = None) -> None:
    """Bring every chunk of ``plan`` to its places; only when this returns has every one been verified.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT, naming the digest; also for bytes that were changed on the way.
        UnavailableError: SERVICE_UNAVAILABLE, after half a minute without a chunk.
    """
    fetcher = _Fetcher(connection, plan, progress or ProgressCounter(None))
    requests = list(_requests(plan, connection.capabilities.max_digests))
    if len(requests) == 1:
        fetcher.fetch(requests[0])
        return
    with ThreadPoolExecutor(_STREAMS, "mgit-fetch") as pool:
        running = [pool.submit(fetcher.fetch, request) for request in requests]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        finally:
            fetcher.stop()
            pool.shutdown(cancel_futures=True)


def _requests(plan: ChunkPlan, max_digests: int) -> Iterator[list[Digest]]:
    request: list[Digest] = []
    size_bytes = 0
    for digest, chunk_bytes in plan.sizes.items():
        request.append(digest)
        size_bytes += chunk_bytes
        if size_bytes >= _REQUEST_BYTES or len(request) == max_digests:
            yield request
            request, size_bytes = [], 0
    if request:
        yield request


class _Fetcher:
    """Fetches requests; what a cut stream had not brought is asked for again."""

    def __init__(self, connection: Connection, plan: ChunkPlan, counter: ProgressCounter) -> None:
        self._connection = connection
        self._plan = plan
        self._counter = counter
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._running: set[Answers] = set()

    def stop(self) -> None:
        """End every running request at once, also one that waits for an answer."""
        self._stopped.set()
        with self._lock:
            for answers in self._running:
                answers.close()

    def fetch(self, digests: Sequence[Digest]) -> None:
        patience = Patience(self._connection)
        rest = deque(digests)
        while rest and not self._stopped.is_set():
            try:
                self._fetch_front(rest, patience)
            except UnavailableError as error:
                if self._stopped.is_set():
                    return
                patience.wait_or_raise(error)

    def _fetch_front(self, rest: deque[Digest], patience: Patience) -> None:
        """Deliver the chunks in order; each that was verified leaves ``rest``."""
        request = parameters_pb2.ReadChunksRequest(digests=rest)
        algorithm = self._connection.capabilities.algorithm
        with self._open(request) as answers:
            while rest and not self._stopped.is_set():
                digest = rest[0]
                pieces = self._take_chunk(answers, digest)
                content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                if digest_of(algorithm, content) != digest:
                    raise _corrupt(digest, "arrived with other bytes than its digest says")
                self._plan.deliver(digest, content)
                self._counter.add(len(content))
                rest.popleft()
                patience.got_through()

    @contextlib.contextmanager
    def _open(self, request: parameters_pb2.ReadChunksRequest) -> Generator[Answers]:
        with self._connection.stream(self._connection.parameters.ReadChunks, request) as answers:
            with self._lock:
                self._running.add(answers)
            try:
                yield answers
            finally:
                with self._lock:
                    self._running.discard(answers)

    def _take_chunk(
        self, answers: Iterator[parameters_pb2.ReadChunksResponse], digest: Digest
    ) -> list[bytes]:
        size_bytes = self._plan.sizes[digest]
        pieces: list[bytes] = []
        received = 0
        while received < size_bytes:
            answer = next(answers, None)
            if answer is None:
                raise _corrupt(digest, "did not come; the service ended its answer early")
            if (answer.digest != digest or answer.size_bytes != size_bytes) if not pieces else answer.digest:
                raise _corrupt(digest, "came out of order or with another size")
            pieces.append(answer.data)
            received += len(pieces[-1])
            if not pieces[-1] or received > size_bytes:
                raise _corrupt(digest, "came with more or fewer bytes than the manifest says")
        return pieces


class WireChunkReader:
    """Reads chunks and keeps the last 64 MiB of them. Thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()
        self._kept_bytes = 0

    def read(self, digest: Digest) -> bytes:
        """The raw bytes of a chunk, verified.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND.
            CorruptError: CHUNK_CORRUPT.
        """
        kept = self._find(digest)
        if kept is not None:
            return kept
        request = parameters_pb2.ReadChunksRequest(digests=[digest])
        answers = self._connection.collect(self._connection.parameters.ReadChunks, request)
        content = b"".join(answer.data for answer in answers)
        if digest_of(self._connection.capabilities.algorithm, content) != digest:
            raise _corrupt(digest, "arrived with other bytes than its digest says")
        self.keep(digest, content)
        return content

    def fetch(self, plan: ChunkPlan) -> None:
        """As ``fetch_chunks``, but chunks that are kept are not asked for again.

        Raises:
            MGitError: As ``fetch_chunks``.
        """
        wanted = ChunkPlan()
        for digest, size_bytes in plan.sizes.items():
            kept = self._find(digest)
            if kept is not None:
                plan.deliver(digest, kept)
            else:
                wanted.add(digest, size_bytes, _Relay(self, plan, digest), 0)
        fetch_chunks(self._connection, wanted)

    def _find(self, digest: Digest) -> bytes | None:
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
            return self._kept.get(digest)

    def keep(self, digest: Digest, content: bytes) -> None:
        """Keep a verified chunk, and let go of those that were not read for longest."""
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = content
                self._kept_bytes += len(content)
            while self._kept_bytes > _CACHE_BYTES:
                _, dropped = self._kept.popitem(last=False)
                self._kept_bytes -= len(dropped)


@dataclass(frozen=True, slots=True)
class _Relay:
    """Keeps a chunk that arrived and passes it on to the places of a plan."""

    reader: WireChunkReader
    plan: ChunkPlan
    digest: Digest

    def write(self, offset: int, content: bytes) -> None:  # noqa: ARG002 - a whole chunk is at offset 0
        self.reader.keep(self.digest, content)
        self.plan.deliver(self.digest, content)


def _corrupt(digest: Digest, found: str) -> CorruptError:
    return CorruptError(ErrorReason.CHUNK_CORRUPT, f"Chunk {digest.hex()} {found}.", digest=digest.hex())
