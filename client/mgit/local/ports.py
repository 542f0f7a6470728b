"""Ports of the loopback device."""

from __future__ import annotations

import socket

from mgit_core.errors import ErrorReason, ResourceExhaustedError

__all__ = ["LOOPBACK", "choose_port", "free_port", "is_port_free"]

LOOPBACK = "127.0.0.1"


def is_port_free(port: int) -> bool:
    """Whether nobody listens on the loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that nobody used a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def choose_port(wanted: int | None, preferred: int) -> int:
    """``wanted`` if given, else ``preferred`` where it is free, else any free port.

    Raises:
        ResourceExhaustedError: PORT_IN_USE, if ``wanted`` is.
    """
    if wanted is None:
        return preferred if is_port_free(preferred) else free_port()
    if not is_port_free(wanted):
        raise ResourceExhaustedError(
            ErrorReason.PORT_IN_USE, f"Port {wanted} is in use; name another one.", port=wanted
        )
    return wanted
