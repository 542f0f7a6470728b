"""The local stack: a Neo4j and a service, started, found and stopped as one."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from mgit.local.distribution import NEO4J_VERSION, fetch_neo4j, is_fetched
from mgit.local.neo4j import ManagedNeo4j
from mgit.local.ports import choose_port, is_port_free
from mgit.local.process import ProcessRecord
from mgit.local.service import ServiceHealth, ask_health, start_service, wait_until_serving
from mgit.local.settings import StackSettings
from mgit.local.state import HomeLayout, StackState
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    MGitError,
    ResourceExhaustedError,
)

__all__ = ["LocalStack", "StackStatus"]

_DEFAULT_PORT = 50051
_STOP_TIMEOUT_S = 20.0
# A first binding makes the schema, which takes long on a busy machine.
_MANAGED_HEAL_TIMEOUT_S = 90.0
_HEAL_TIMEOUT_S = 20.0
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackStatus:
    """How a stack is.

    Attributes:
        state: What the home remembers.
        health: How the service says it is.
        neo4j: Process of the managed Neo4j, if it runs.
    """

    state: StackState
    health: ServiceHealth
    neo4j: ProcessRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph:
    """A Neo4j that answers, and how the service logs in."""

    uri: str
    username: str
    password: str
    database: str = ""
    browser_url: str = ""
    is_managed: bool = False
    version: str = ""

    def environment(self) -> dict[str, str]:
        values = {
            "NEO4J_URI": self.uri,
            "NEO4J_USERNAME": self.username,
            "NEO4J_PASSWORD": self.password,
            "NEO4J_DATABASE": self.database,
        }
        return {key: value for key, value in values.items() if value or key == "NEO4J_PASSWORD"}


class LocalStack:
    """The stack of one home. Another home is another world."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings
        self.layout = HomeLayout(settings.home)

    def up(self, report: Report) -> StackState:
        """Start what does not run, and wait until all of it answers. Safe to repeat, and at the same time.

        Args:
            report: Told in a short sentence what takes long.

        Raises:
            FailedPreconditionError: MAVEN_MISSING, NEO4J_START_FAILED, SERVICE_START_FAILED, or STORE_MISMATCH.
            UnauthenticatedError: NEO4J_CREDENTIALS_WRONG.
            UnavailableError: NEO4J_UNAVAILABLE, or another part that the service misses.
            ResourceExhaustedError: PORT_IN_USE.
        """
        self.layout.make()
        with _locked(self.layout.lock_file):
            state = StackState.load(self.layout)
            graph = self._given_graph() or self._running_graph()
            if state is not None and graph is not None and self._still_fits(state, graph):
                return state
            jars = None if graph else self._fetch(report)
            self.settings.cache.mkdir(parents=True, exist_ok=True)
            # Homes choose their ports one after the other: a chosen port is taken only once a server listens.
            with _locked(self.settings.cache / "ports.lock"):
                if graph is None:
                    graph = self._started_graph(jars, report)
                    if state is not None and self._still_fits(state, graph):
                        return state  # The service recovered by itself when its Neo4j came back.
                return self._service(state, graph, report)

    def down(self) -> bool:
        """Stop the service, then the managed Neo4j; whether anything ran. All that is stored stays."""
        if not self.layout.home.exists():
            return False
        with _locked(self.layout.lock_file):
            state = StackState.load(self.layout)
            did_run = state is not None and state.is_running()
            if state is not None:
                if state.service is not None:
                    state.service.stop(_STOP_TIMEOUT_S)
                replace(state, service=None).save(self.layout)
            return self._managed(self.settings.cache).stop() or did_run

    def status(self) -> StackStatus | None:
        """How the stack is; None if none was ever started in this home."""
        state = StackState.load(self.layout)
        if state is None:
            return None
        health = (
            ask_health(state.address)
            if state.is_running()
            else ServiceHealth(
                is_serving=False, problems=("The service is not running; start it with 'mgit up'.",)
            )
        )
        found = self._managed(self.settings.cache).find() if state.is_managed else None
        return StackStatus(state=state, health=health, neo4j=None if found is None else found.process)

    def serve_environment(self, listen: str | None) -> dict[str, str]:
        """The environment of a service in the foreground, over this home's store and Neo4j.

        Args:
            listen: ``HOST:PORT``; None means ``MGIT_LISTEN`` or the service's default.

        Raises:
            FailedPreconditionError: NEO4J_START_FAILED: no address was given, and none runs in this home.
        """
        graph = self._given_graph() or self._running_graph()
        if graph is None:
            raise FailedPreconditionError(
                ErrorReason.NEO4J_START_FAILED,
                "No Neo4j: NEO4J_URI names none, and none runs in this home. 'mgit up' starts one.",
            )
        self.layout.make()
        listening = {} if listen is None else {"MGIT_LISTEN": listen}
        return {**self.settings.environment, **graph.environment(), "MGIT_STORE": self._store, **listening}

    def _fetch(self, report: Report) -> Path:
        if not is_fetched(self.settings.cache):
            report(f"Fetching Neo4j {NEO4J_VERSION} with Maven (133 MB, once) …")
        return fetch_neo4j(self.settings.cache)

    def _managed(self, jars: Path) -> ManagedNeo4j:
        return ManagedNeo4j(home=self.layout.neo4j, jars=jars)

    def _started_graph(self, jars: Path | None, report: Report) -> _Graph:
        report(f"Starting Neo4j {NEO4J_VERSION} …")
        self._managed(jars or self.settings.cache).start()
        running = self._running_graph()
        if running is None:
            raise FailedPreconditionError(
                ErrorReason.NEO4J_START_FAILED,
                "Neo4j stopped answering right after its start; repeat 'mgit up'.",
            )
        return running

    def _given_graph(self) -> _Graph | None:
        given = self.settings.graph
        if given is None:
            return None
        return _Graph(
            uri=given.uri, username=given.username, password=given.password, database=given.database
        )

    def _running_graph(self) -> _Graph | None:
        server = self._managed(self.settings.cache).find()
        if server is None:
            return None
        return _Graph(
            uri=server.bolt_uri,
            username=server.username,
            password=server.password(),
            browser_url=server.browser_url,
            is_managed=True,
            version=server.version,
        )

    @property
    def _store(self) -> str:
        return str(self.settings.store or self.layout.store)

    def _service(self, state: StackState | None, graph: _Graph, report: Report) -> StackState:
        if state is not None and state.service is not None and state.is_running():
            report("Restarting the service …")
            state.service.stop(_STOP_TIMEOUT_S)
        address = self._choose_address(state)
        report("Starting the service …")
        own = {**graph.environment(), "MGIT_STORE": self._store, "MGIT_LISTEN": address}
        process = start_service(own, self.settings.environment, self.layout.service_log)
        new = StackState(
            address=address,
            neo4j_uri=graph.uri,
            browser_url=graph.browser_url,
            username=graph.username,
            store=self._store,
            service=process,
            is_managed=graph.is_managed,
            neo4j_version=graph.version,
        )
        new.save(self.layout)  # Before the wait, so that 'mgit down' ends it if this process is killed.
        try:
            self._wait(new, process)
        except BaseException:
            process.stop(_STOP_TIMEOUT_S)
            replace(new, service=None).save(self.layout)
            raise
        return new

    def _still_fits(self, state: StackState, graph: _Graph) -> bool:
        """Whether the running service is the one that would be started now, of this version, and answers."""
        if state.service is None or not state.is_running():
            return False
        if (state.neo4j_uri, state.store) != (graph.uri, self._store):
            return False
        try:
            health = self._wait(state, state.service)
        except MGitError:
            return False
        return health.service_version == version("mgit-lineage")

    def _wait(self, state: StackState, process: ProcessRecord) -> ServiceHealth:
        heal_timeout_s = _MANAGED_HEAL_TIMEOUT_S if state.is_managed else _HEAL_TIMEOUT_S
        log = self.layout.service_log
        return wait_until_serving(process, state.address, log, heal_timeout_s=heal_timeout_s)

    def _choose_address(self, state: StackState | None) -> str:
        wanted = self.settings.listen
        if wanted is not None:
            return _checked_address(wanted)
        return f"127.0.0.1:{choose_port(None, _DEFAULT_PORT if state is None else state.port)}"


def _checked_address(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    if host not in _LOOPBACK or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"MGIT_LISTEN is {listen!r}, but a local stack listens at 127.0.0.1:PORT. For other addresses, "
            "with a token and TLS, run 'mgit serve'.",
        )
    if not is_port_free(int(port)):
        raise ResourceExhaustedError(
            ErrorReason.PORT_IN_USE,
            f"Port {port}, which MGIT_LISTEN names, is in use; name another or none.",
            port=port,
        )
    return listen


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold a file's lock; the system lets it go if this process dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
