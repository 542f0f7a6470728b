"""A health check for containers: asks the service of the same settings, over the loopback device."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mgit_core.errors import ErrorReason, InvalidArgumentError, UnavailableError
from mgit_service.settings import ListenAddress, ServiceSettings

__all__ = ["check_serving"]

_TIMEOUT_S = 3.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened at


def check_serving(settings: ServiceSettings) -> None:
    """Return if the service is serving.

    The certificate of the service is its own authority here, and must name ``localhost``.

    Raises:
        UnavailableError: SERVICE_UNAVAILABLE, if it does not answer or is not serving.
        InvalidArgumentError: INVALID_ARGUMENT for a certificate that cannot be read.
    """
    listen = settings.listen
    address = str(ListenAddress(_EVERYWHERE.get(listen.host, listen.host), listen.port))
    try:
        with _channel(settings, address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(  # pyright: ignore[reportAttributeAccessIssue] - set while the stub is made
                health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S
            )
    except grpc.RpcError as error:
        raise UnavailableError(
            ErrorReason.SERVICE_UNAVAILABLE, f"No service answers at {address}."
        ) from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise UnavailableError(
            ErrorReason.SERVICE_UNAVAILABLE, f"The service at {address} is up, but not serving."
        )


def _channel(settings: ServiceSettings, address: str) -> grpc.Channel:
    if settings.tls_cert is None:
        return grpc.insecure_channel(address)
    try:
        authority = settings.tls_cert.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"MGIT_TLS_CERT cannot be read: {error.strerror}."
        ) from error
    credentials = grpc.ssl_channel_credentials(root_certificates=authority)
    options = [("grpc.ssl_target_name_override", "localhost")]
    return grpc.secure_channel(address, credentials, options=options)
