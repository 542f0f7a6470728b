"""Logs for programs: one JSON object a line, on standard error."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import TextIO, cast

from typing_extensions import override

__all__ = ["FIELDS", "JsonFormatter", "start_logging"]

FIELDS = "fields"
"""Key of ``extra`` under which a call to a logger hands over fields of its own."""


class JsonFormatter(logging.Formatter):
    """Writes time (UTC), level, logger, message, the fields of the call, and a traceback if there is one."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        document: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        document.update(cast("dict[str, object]", getattr(record, FIELDS, {})))
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)


def start_logging(level: str, stream: TextIO = sys.stderr) -> None:
    """Send the whole process's log records of ``level`` and above to ``stream``."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # These two tell about connections what our own records say better.
    for name in ("neo4j", "grpc"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
