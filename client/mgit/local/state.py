"""What a home remembers of its stack: addresses that ``up`` chose, and the processes behind them.

The file is read by every command that is told no address, so this module imports nothing that is slow.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mgit.local.process import ProcessRecord, write_private
from mgit_core.errors import CorruptError, ErrorReason

__all__ = ["HomeLayout", "StackState", "find_address"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class HomeLayout:
    """Where things lie in a home.

    Attributes:
        home: The folder with all of a local stack.
    """

    home: Path

    @property
    def neo4j(self) -> Path:
        """Home of the managed Neo4j."""
        return self.home / "neo4j"

    @property
    def store(self) -> Path:
        """Chunks, packs and manifests, unless ``MGIT_STORE`` names another folder."""
        return self.home / "store"

    @property
    def logs(self) -> Path:
        """Output of the service."""
        return self.home / "logs"

    @property
    def service_log(self) -> Path:
        """Output of the service."""
        return self.logs / "service.log"

    @property
    def neo4j_log(self) -> Path:
        """Output of the managed Neo4j."""
        return self.neo4j / "logs" / "console.log"

    @property
    def password_file(self) -> Path:
        """Password of the managed Neo4j; only its owner may read it."""
        return self.neo4j / "password"

    @property
    def state_file(self) -> Path:
        """What this module keeps."""
        return self.home / "stack.json"

    @property
    def lock_file(self) -> Path:
        """Held while a stack starts or stops."""
        return self.home / "stack.lock"

    def make(self) -> None:
        """Make the folders, for their owner only."""
        for folder in (self.home, self.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """A stack that was started. It holds no secret.

    Attributes:
        address: ``HOST:PORT`` of the service.
        neo4j_uri: Bolt address of the Neo4j that the service uses.
        browser_url: The Neo4j Browser with the address filled in; empty for a Neo4j that is not managed here.
        username: User name at Neo4j.
        store: Folder of the store.
        service: The service's process; None after ``down``.
        is_managed: Whether the Neo4j is the home's own one.
        neo4j_version: Version of the managed Neo4j; empty for another one.
    """

    address: str
    neo4j_uri: str
    browser_url: str
    username: str
    store: str
    service: ProcessRecord | None
    is_managed: bool
    neo4j_version: str = ""
    format: int = field(default=_FORMAT)

    @property
    def port(self) -> int:
        """Port of the service."""
        return int(self.address.rpartition(":")[2])

    def is_running(self) -> bool:
        """Whether the service's process runs; it may still be starting."""
        return self.service is not None and self.service.is_running()

    def save(self, layout: HomeLayout) -> None:
        """Write it down at once."""
        write_private(layout.state_file, json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, layout: HomeLayout) -> StackState | None:
        """What was written down; None if no stack was ever started here.

        Raises:
            CorruptError: UNKNOWN_FORMAT_VERSION.
        """
        try:
            text = layout.state_file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            values = json.loads(text)
            service = values.pop("service")
            record = None if service is None else ProcessRecord(**service)
            state = cls(**values, service=record)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _unreadable(layout.state_file) from error
        if state.format != _FORMAT:
            raise _unreadable(layout.state_file)
        return state


def _unreadable(path: Path) -> CorruptError:
    return CorruptError(
        ErrorReason.UNKNOWN_FORMAT_VERSION,
        f"The state file {path} cannot be read. End its service if one runs, delete the file, and repeat 'mgit up'.",
    )


def find_address(home: Path) -> str | None:
    """The address of the service that runs in ``home``; None if none runs.

    Raises:
        CorruptError: UNKNOWN_FORMAT_VERSION.
    """
    state = StackState.load(HomeLayout(home))
    return state.address if state is not None and state.is_running() else None
