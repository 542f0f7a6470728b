"""CascadeService: plans, leased steps, and what they made."""

from __future__ import annotations

from mgit_proto.v1 import cascade_pb2_grpc
from mgit_service.use_cases.backend import Backend

__all__ = ["CascadeServicer"]


class CascadeServicer(cascade_pb2_grpc.CascadeServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
