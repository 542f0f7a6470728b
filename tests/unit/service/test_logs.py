from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from mgit_service.logs import FIELDS, start_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    written = io.StringIO()
    start_logging("INFO", written)
    yield written
    root.handlers = before
    root.setLevel(level)


def test_a_record_is_one_line_of_json_with_the_fields_of_the_call(stream: io.StringIO) -> None:
    logging.getLogger("x").info("two\nlines %s", "here", extra={FIELDS: {"ms": 1.5, "code": "OK"}})
    [line] = stream.getvalue().splitlines()
    document = json.loads(line)
    assert document.pop("time").endswith("+00:00")
    assert document == {
        "level": "INFO",
        "logger": "x",
        "message": "two\nlines here",
        "ms": 1.5,
        "code": "OK",
    }


def test_an_exception_comes_with_its_traceback_in_the_same_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("why")  # noqa: TRY301 - to have a traceback
    except ValueError:
        logging.getLogger("x").exception("failed")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: why" in json.loads(line)["traceback"]


def test_what_the_driver_chats_is_left_out(stream: io.StringIO) -> None:
    logging.getLogger("neo4j.io").info("chat")
    logging.getLogger("x").debug("detail")
    assert stream.getvalue() == ""
