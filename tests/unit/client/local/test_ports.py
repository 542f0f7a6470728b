from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mgit.local.ports import LOOPBACK, choose_port, free_port, is_port_free
from mgit_core.errors import ErrorReason, ResourceExhaustedError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_somebody_listens_at_is_not_free(taken: int) -> None:
    assert not is_port_free(taken)


def test_the_preferred_port_is_taken_where_it_is_free() -> None:
    port = free_port()

    assert choose_port(None, port) == port


def test_another_port_is_taken_where_the_preferred_one_is_not_free(taken: int) -> None:
    assert choose_port(None, taken) != taken


def test_a_port_that_was_asked_for_must_be_free(taken: int) -> None:
    with pytest.raises(ResourceExhaustedError, match=f"Port {taken} is in use") as caught:
        choose_port(taken, 1)

    assert caught.value.reason is ErrorReason.PORT_IN_USE
