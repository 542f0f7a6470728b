"""Settings of the client, read once from the environment and a ``.env`` file beside the caller."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

__all__ = ["ClientSettings", "process_environment", "read_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where the client finds a service, and the world of its local stack.

    Attributes:
        address: ``HOST:PORT`` of a service (``MGIT_ADDRESS``); None means the local stack of ``home``.
        token: Bearer token (``MGIT_TOKEN``).
        tls_ca: File with the certificate authority of the service (``MGIT_TLS_CA``); None means plaintext.
        home: Folder of the local stack (``MGIT_HOME``): Neo4j, store and logs. Another value, another world.
        audit_token: Token for questions in Cypher alone (``MGIT_AUDIT_TOKEN``).
        ray_address: Where Ray is (``RAY_ADDRESS``, as Ray itself reads it); None means that it is started here.
    """

    address: str | None
    token: str | None
    tls_ca: Path | None
    home: Path
    audit_token: str | None = None
    ray_address: str | None = None

    def __repr__(self) -> str:
        token = None if self.token is None else "***"
        return (
            f"ClientSettings(address={self.address!r}, token={token!r}, tls_ca={self.tls_ca!r}, "
            f"home={self.home!r})"
        )


def read_settings(environment: Mapping[str, str] | None = None) -> ClientSettings:
    """The settings that ``environment`` holds; None reads the process's, over those of a ``.env`` file."""
    values = process_environment() if environment is None else environment
    tls_ca = values.get("MGIT_TLS_CA")
    home = values.get("MGIT_HOME")
    return ClientSettings(
        address=values.get("MGIT_ADDRESS") or None,
        token=values.get("MGIT_TOKEN") or None,
        tls_ca=Path(tls_ca).expanduser() if tls_ca else None,
        home=(
            Path(home).expanduser().absolute()
            if home
            else platformdirs.user_data_path("mgit", appauthor=False)
        ),
        audit_token=values.get("MGIT_AUDIT_TOKEN") or None,
        ray_address=values.get("RAY_ADDRESS") or None,
    )


def process_environment() -> dict[str, str]:
    """The environment of this process, over the values of a ``.env`` file in the working folder."""
    values: dict[str, str] = {}
    if Path(".env").is_file():
        import dotenv  # noqa: PLC0415 - most runs have no such file

        values |= {key: value for key, value in dotenv.dotenv_values(".env").items() if value is not None}
    return values | dict(os.environ)
