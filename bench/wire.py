"""Counts the bytes that cross a socket: a proxy that passes them on."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Wire", "counting_wire"]

_PIECE_BYTES = 1 << 18


@dataclass
class Wire:
    """What crossed a proxy, HTTP/2 and all.

    Attributes:
        address: Where the proxy answers.
        sent_bytes: Bytes to the service.
        received_bytes: Bytes from it.
    """

    address: str = ""
    sent_bytes: int = 0
    received_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def total_bytes(self) -> int:
        """Bytes both ways."""
        return self.sent_bytes + self.received_bytes

    def reset(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self.sent_bytes = self.received_bytes = 0

    def count(self, size_bytes: int, *, is_sent: bool) -> None:
        """Add bytes that crossed."""
        with self._lock:
            if is_sent:
                self.sent_bytes += size_bytes
            else:
                self.received_bytes += size_bytes


@contextlib.contextmanager
def counting_wire(target: str) -> Iterator[Wire]:
    """A proxy before the service at ``HOST:PORT``."""
    host, _, port = target.rpartition(":")
    wire = Wire()
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire.address = f"127.0.0.1:{server.getsockname()[1]}"
        threading.Thread(target=_accept, args=(wire, server, (host, int(port))), daemon=True).start()
        yield wire


def _accept(wire: Wire, server: socket.socket, target: tuple[str, int]) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:  # The proxy was closed.
            return
        service = socket.create_connection(target)
        for source, sink, is_sent in ((client, service, True), (service, client, False)):
            threading.Thread(target=_pass_on, args=(wire, source, sink, is_sent), daemon=True).start()


def _pass_on(wire: Wire, source: socket.socket, sink: socket.socket, is_sent: bool) -> None:  # noqa: FBT001 - a thread takes its arguments by position
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            wire.count(len(piece), is_sent=is_sent)
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
