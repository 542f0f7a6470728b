"""AuditService: bugs, and the auditors' door to the graph."""

from __future__ import annotations

from mgit_service.servicers.bugs import BugCalls

__all__ = ["AuditServicer"]


class AuditServicer(BugCalls):
    """Translates between messages and use cases; errors are translated by the interceptor."""
