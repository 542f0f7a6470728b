"""How HTTP/2 is set up on the server's side."""

from __future__ import annotations

__all__ = ["MAX_MESSAGE_BYTES", "SERVER_OPTIONS"]

MAX_MESSAGE_BYTES = 4 << 20

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    # A message has at most 1 MiB; the rest is room for headers and for clients that are generous.
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Two services on one port would answer by chance.
    ("grpc.so_reuseport", 0),
    # Clients may ping once a minute, also between calls; the service looks for dead peers every two hours.
    ("grpc.http2.min_ping_interval_without_data_ms", 60_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 7_200_000),
    # A window of 4 MiB for each stream keeps the pipe full without holding more than a few chunks.
    ("grpc.http2.lookahead_bytes", 4 << 20),
    ("grpc.http2.max_frame_size", 1 << 20),
)
