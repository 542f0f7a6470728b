"""The part of AuditService that keeps bugs and tells whom they reach."""

from __future__ import annotations

from mgit_proto.v1 import audit_pb2_grpc
from mgit_service.use_cases.backend import Backend

__all__ = ["BugCalls"]


class BugCalls(audit_pb2_grpc.AuditServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
