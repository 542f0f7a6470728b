"""ExchangeService: models and chunks from one store to another."""

from __future__ import annotations

from mgit_proto.v1 import exchange_pb2_grpc
from mgit_service.use_cases.backend import Backend

__all__ = ["ExchangeServicer"]


class ExchangeServicer(exchange_pb2_grpc.ExchangeServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
