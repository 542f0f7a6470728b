"""CompareService: how models are related, from their weights."""

from __future__ import annotations

from mgit_proto.v1 import compare_pb2_grpc
from mgit_service.use_cases.backend import Backend

__all__ = ["CompareServicer"]


class CompareServicer(compare_pb2_grpc.CompareServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
