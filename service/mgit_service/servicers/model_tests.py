"""ModelTestService: definitions of model tests, and their results."""

from __future__ import annotations

from mgit_proto.v1 import model_tests_pb2_grpc
from mgit_service.use_cases.backend import Backend

__all__ = ["ModelTestServicer"]


class ModelTestServicer(model_tests_pb2_grpc.ModelTestServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
