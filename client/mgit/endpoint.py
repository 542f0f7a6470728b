"""Where a service answers and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["Endpoint"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a service answers and how it is asked.

    Attributes:
        address: ``HOST:PORT``.
        token: Bearer token, if the service wants one; sent over TLS, and in plaintext to this machine only.
        tls_ca: File of the certificate authority; None means plaintext.
        timeout_s: Time for one unary call or traversal; transfers have none, since they grow with the model.
    """

    address: str
    token: str | None = None
    tls_ca: Path | None = None
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuses to show a token to the network.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        if self.token and self.tls_ca is None and self.address.rpartition(":")[0] not in _LOOPBACK:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"A token is not sent to {self.address} in plaintext. Name the authority of the service's "
                "certificate (MGIT_TLS_CA or tls_ca), or give no token.",
                address=self.address,
            )

    def __repr__(self) -> str:
        token = None if self.token is None else "***"
        return f"Endpoint(address={self.address!r}, token={token!r}, tls_ca={self.tls_ca!r})"
