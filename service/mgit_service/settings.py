"""Settings of the service, read once from the environment and a ``.env`` file in the working folder."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pydantic
import pydantic_settings
from pydantic import Field, SecretStr

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, MGitError

__all__ = ["ListenAddress", "ServiceSettings", "read_settings"]


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the service listens.

    Attributes:
        host: Host name or address, without the brackets of IPv6.
        port: 0 lets the system choose one.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; a name other than ``localhost`` counts as reachable."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """The address that ``HOST:PORT`` writes.

        Raises:
            ValueError: If it is none; pydantic tells which setting it was.
        """
        host, colon, port = text.rpartition(":")
        is_bracketed = host.startswith("[") and host.endswith("]")
        if not colon or not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
            raise ValueError(f"HOST:PORT was wanted, found {text[:80]!r}")
        if ":" in host and not is_bracketed:
            raise ValueError(f"an IPv6 address stands in brackets, found {text[:80]!r}")
        return cls(host[1:-1] if is_bracketed else host, int(port))


def _parsed(value: object) -> object:
    return ListenAddress.parse(value) if isinstance(value, str) else value


class ServiceSettings(pydantic_settings.BaseSettings):
    """All settings. Secrets are wrapped, so that no log and no message shows them.

    Attributes:
        listen: ``MGIT_LISTEN``.
        store: ``MGIT_STORE``; made if it is not there.
        digest: ``MGIT_DIGEST``; used only when a store is made.
        token: ``MGIT_TOKEN``; if set, every call but health checks must carry it.
        tls_cert: ``MGIT_TLS_CERT``, a PEM file with the certificate chain.
        tls_key: ``MGIT_TLS_KEY``, a PEM file with the private key.
        neo4j_uri: ``NEO4J_URI``.
        neo4j_username: ``NEO4J_USERNAME``.
        neo4j_password: ``NEO4J_PASSWORD``.
        neo4j_database: ``NEO4J_DATABASE``; None means the server's default.
        reflection: ``MGIT_REFLECTION``; None means on where the service is reachable from this machine only.
        grace_s: ``MGIT_GRACE_SECONDS``, how long running calls may go on after a stop was asked for.
        upkeep: ``MGIT_UPKEEP``, whether the service makes sketches and merges indexes by itself.
        window_bytes: ``MGIT_WINDOW_BYTES``, how much of an uploaded tensor is kept in memory to judge it whole.
        audit: ``MGIT_AUDIT``, whether auditors may ask the graph in Cypher.
        audit_token: ``MGIT_AUDIT_TOKEN``; opens those questions and nothing else.
        audit_seconds: ``MGIT_AUDIT_SECONDS``, the longest time of a question.
        audit_rows: ``MGIT_AUDIT_ROWS``, the largest number of rows of an answer.
        audit_bytes: ``MGIT_AUDIT_BYTES``, the largest answer.
        log_level: ``MGIT_LOG_LEVEL``.
    """

    model_config = pydantic_settings.SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    listen: Annotated[ListenAddress, pydantic_settings.NoDecode, pydantic.BeforeValidator(_parsed)] = Field(
        default=ListenAddress("127.0.0.1", 50051), validation_alias="MGIT_LISTEN"
    )
    store: Path = Field(validation_alias="MGIT_STORE")
    digest: DigestAlgorithm = Field(default=DigestAlgorithm.BLAKE3, validation_alias="MGIT_DIGEST")
    token: SecretStr | None = Field(default=None, validation_alias="MGIT_TOKEN")
    tls_cert: Path | None = Field(default=None, validation_alias="MGIT_TLS_CERT")
    tls_key: Path | None = Field(default=None, validation_alias="MGIT_TLS_KEY")
    neo4j_uri: str = Field(default="bolt://127.0.0.1:7687", validation_alias="NEO4J_URI")
    neo4j_username: str = Field(default="neo4j", validation_alias="NEO4J_USERNAME")
    neo4j_password: SecretStr = Field(default=SecretStr(""), validation_alias="NEO4J_PASSWORD")
    neo4j_database: str | None = Field(default=None, validation_alias="NEO4J_DATABASE")
    reflection: bool | None = Field(default=None, validation_alias="MGIT_REFLECTION")
    grace_s: float = Field(default=10.0, ge=0, le=3600, validation_alias="MGIT_GRACE_SECONDS")
    upkeep: bool = Field(default=True, validation_alias="MGIT_UPKEEP")
    window_bytes: int = Field(default=64 << 20, ge=1 << 20, le=1 << 34, validation_alias="MGIT_WINDOW_BYTES")
    audit: bool = Field(default=False, validation_alias="MGIT_AUDIT")
    audit_token: SecretStr | None = Field(default=None, validation_alias="MGIT_AUDIT_TOKEN")
    audit_seconds: float = Field(default=30.0, gt=0, le=3600, validation_alias="MGIT_AUDIT_SECONDS")
    audit_rows: int = Field(default=100_000, ge=1, le=10_000_000, validation_alias="MGIT_AUDIT_ROWS")
    audit_bytes: int = Field(default=64 << 20, ge=1 << 20, le=1 << 32, validation_alias="MGIT_AUDIT_BYTES")
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", validation_alias="MGIT_LOG_LEVEL"
    )

    @property
    def has_tls(self) -> bool:
        """Whether certificate and key are both named."""
        return self.tls_cert is not None and self.tls_key is not None

    @property
    def is_reflecting(self) -> bool:
        """Whether the service describes its own RPCs to whoever asks."""
        return self.listen.is_loopback if self.reflection is None else self.reflection

    def check_secure(self) -> None:
        """Refuse what would carry models or the token in the clear, or let in anybody.

        Raises:
            FailedPreconditionError: INSECURE_BIND.
            InvalidArgumentError: INVALID_ARGUMENT, if only one of certificate and key is named, or one token is both.
        """
        if self.audit_token is not None and self.audit_token == self.token:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                "MGIT_AUDIT_TOKEN opens questions to the graph only, and MGIT_TOKEN everything; they must differ.",
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, "MGIT_TLS_CERT and MGIT_TLS_KEY go together; one is not set."
            )
        if self.listen.is_loopback or (self.has_tls and self.token is not None):
            return
        missing = ["MGIT_TOKEN"] if self.token is None else []
        missing += [] if self.has_tls else ["MGIT_TLS_CERT", "MGIT_TLS_KEY"]
        raise FailedPreconditionError(
            ErrorReason.INSECURE_BIND,
            f"MGIT_LISTEN={self.listen} can be reached from other machines, which wants TLS and a token; set "
            f"{' and '.join(missing)}, or listen on 127.0.0.1.",
        )


def read_settings() -> ServiceSettings:
    """The settings of this process.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, naming each setting that is missing or cannot be read.
    """
    try:
        # Pydantic fills the fields from the environment, which type checkers cannot see.
        return ServiceSettings()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    except pydantic.ValidationError as error:
        raise _refused(error) from None


def _refused(error: pydantic.ValidationError) -> MGitError:
    found = [
        f"{problem['loc'][0]} is not set"
        if problem["type"] == "missing"
        else f"{problem['loc'][0]}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_input=False, include_url=False)
    ]
    return InvalidArgumentError(
        ErrorReason.INVALID_ARGUMENT, f"The settings cannot be used: {'; '.join(found)}."
    )
