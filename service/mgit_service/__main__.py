"""The console script ``mgit-service``: serves in the foreground until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import sys
from importlib.metadata import version

from mgit_core.errors import MGitError
from mgit_service.algebra import keep_algebra_in_one_thread
from mgit_service.logs import start_logging
from mgit_service.memory import keep_freed_memory
from mgit_service.settings import ServiceSettings, read_settings

__all__ = ["main"]

_FAILED = 1


def main() -> None:
    """Serve, or with ``--check`` ask the service of the same settings how it is.

    Exits with 0 after a stop that was asked for, or if the checked service is serving; with 1 and one line on
    standard error otherwise.
    """
    arguments = _parser().parse_args()
    try:
        settings = read_settings()
        if arguments.check:
            _check(settings)
        else:
            _serve(settings)
    except MGitError as error:
        print(f"mgit-service: {error.message} ({error.reason.value})", file=sys.stderr)  # noqa: T201 - its output
        sys.exit(_FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mgit-service",
        description="Serves lineage and parameters over gRPC. Settings come from the environment and .env: "
        "MGIT_LISTEN, MGIT_STORE, MGIT_TOKEN, MGIT_TLS_CERT, MGIT_TLS_KEY, NEO4J_URI, NEO4J_PASSWORD and others.",
    )
    parser.add_argument("--check", action="store_true", help="ask a running service whether it is serving")
    parser.add_argument("--version", action="version", version=version("mgit-lineage"))
    return parser


def _serve(settings: ServiceSettings) -> None:
    settings.check_secure()
    keep_algebra_in_one_thread()
    # The parts of a server are not needed by a check, and refusals need not wait for them.
    from mgit_service.app import serve  # noqa: PLC0415
    from mgit_storage.store import open_store  # noqa: PLC0415

    start_logging(settings.log_level)
    keep_freed_memory()
    store = open_store(settings.store, settings.digest)
    asyncio.run(serve(settings, store))


def _check(settings: ServiceSettings) -> None:
    from mgit_service.check import check_serving  # noqa: PLC0415 - a server has no need of a client

    check_serving(settings)


if __name__ == "__main__":
    main()
