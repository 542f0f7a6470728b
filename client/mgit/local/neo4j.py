"""The managed Neo4j: a real Community server with a home of its own.

The client never speaks Bolt beyond the handshake; the service is what logs in.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from mgit.local.distribution import java_binary
from mgit.local.ports import LOOPBACK, choose_port, free_port
from mgit.local.process import ProcessRecord, start_detached, tail, write_private
from mgit_core.errors import ErrorReason, FailedPreconditionError, MGitError

__all__ = ["ManagedNeo4j", "Neo4jServer", "free_port"]

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 20.0
_ANSWER_TIMEOUT_S = 45.0  # A server that recovers after a crash answers late; ending it would begin again.
# Four proposals of the Bolt handshake: 5.0 to 5.8, 4.4, and nothing twice.
_BOLT_HANDSHAKE = bytes.fromhex("6060b017 00080805 00000404 00000000 00000000".replace(" ", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Neo4jServer:
    """A managed server that answers.

    Attributes:
        bolt_uri: Where drivers connect.
        http_url: Where the Browser is served.
        username: Always ``neo4j``.
        password_file: Holds the password; only its owner may read it. None without authentication.
        version: Of the server, from its discovery document.
        process: The server's process.
        log: Its output.
    """

    bolt_uri: str
    http_url: str
    username: str
    password_file: Path | None
    version: str
    process: ProcessRecord
    log: Path

    @property
    def browser_url(self) -> str:
        """The Browser, with address and user filled in."""
        scheme, _, rest = self.bolt_uri.partition("://")
        dbms = urllib.parse.quote(f"{scheme}://{self.username}@{rest}", safe=":/@")
        return f"{self.http_url}/browser/?dbms={dbms}&db=neo4j"

    def password(self) -> str:
        """The password; empty without authentication."""
        return "" if self.password_file is None else self.password_file.read_text(encoding="utf-8").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedNeo4j:
    """A home of a server, running or not.

    Attributes:
        home: Folder with everything of this server.
        jars: The distribution.
        is_throw_away: For tests: no authentication, old transaction logs go at once, and what was planned stays
            planned however the graph changes.
    """

    home: Path
    jars: Path
    is_throw_away: bool = False

    @property
    def _pid_file(self) -> Path:
        return self.home / "neo4j.pid"

    @property
    def _ports_file(self) -> Path:
        return self.home / "ports.json"

    @property
    def _password_file(self) -> Path:
        return self.home / "password"

    @property
    def log(self) -> Path:
        """Output of the server."""
        return self.home / "logs" / "console.log"

    def find(self) -> Neo4jServer | None:
        """The running server of this home, if it answers."""
        process, ports = ProcessRecord.load(self._pid_file), self._ports()
        if process is None or ports is None:
            return None
        version = _answering_version(*ports)
        return None if version is None else self._server(process, *ports, version)

    def start(self, *, bolt_port: int | None = None, http_port: int | None = None) -> Neo4jServer:
        """Start the server, or find it running.

        Args:
            bolt_port: Must be free if given; else 7687 or the last one used, or any free one.
            http_port: The same, with 7474.

        Raises:
            ResourceExhaustedError: PORT_IN_USE.
            FailedPreconditionError: NEO4J_START_FAILED, with the end of the log.
        """
        running = self._await_running()
        if running is not None:
            return running
        last_bolt, last_http = self._ports() or (7687, 7474)
        bolt = choose_port(bolt_port, last_bolt)
        http = choose_port(http_port, last_http)
        self._prepare(bolt, http)
        process = start_detached(self._command(), self._environment(), self.log)
        process.save(self._pid_file)
        version = self._wait_until_ready(process, bolt, http)
        return self._server(process, bolt, http, version)

    def stop(self) -> bool:
        """Stop the server if it runs; whether it ran. Its data stays."""
        process = ProcessRecord.load(self._pid_file)
        if process is not None:
            process.stop(_STOP_TIMEOUT_S)
        self._pid_file.unlink(missing_ok=True)
        return process is not None

    def _ports(self) -> tuple[int, int] | None:
        """The ports last used, Bolt's first; None if none are written down, or nothing that can be read."""
        try:
            ports = json.loads(self._ports_file.read_text(encoding="utf-8"))
            return int(ports["bolt"]), int(ports["http"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _await_running(self) -> Neo4jServer | None:
        """The server that runs already, perhaps still starting after its starter was killed.

        One that does not answer for long is ended, so that a new one can have the home.
        """
        end = time.monotonic() + _ANSWER_TIMEOUT_S
        process = ProcessRecord.load(self._pid_file)
        while process is not None and process.is_running() and time.monotonic() < end:
            running = self.find()
            if running is not None:
                return running
            time.sleep(0.1)
        if process is not None:
            process.stop(_STOP_TIMEOUT_S)
        return None

    def _server(self, process: ProcessRecord, bolt: int, http: int, version: str) -> Neo4jServer:
        return Neo4jServer(
            bolt_uri=f"bolt://{LOOPBACK}:{bolt}",
            http_url=f"http://{LOOPBACK}:{http}",
            username="neo4j",
            password_file=None if self.is_throw_away else self._password_file,
            version=version,
            process=process,
            log=self.log,
        )

    def _prepare(self, bolt: int, http: int) -> None:
        for folder in (self.home, self.home / "conf", self.home / "data", self.home / "logs"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._ports_file, json.dumps({"bolt": bolt, "http": http}))
        write_private(self.home / "conf" / "neo4j.conf", _configuration(bolt, http, self.is_throw_away))
        if not self.is_throw_away and not self._password_file.exists():
            self._set_initial_password()

    def _set_initial_password(self) -> None:
        """Make up a password and write it where the server looks at its first start.

        Arguments of a process are seen by every user of the machine, so the tool gets the name of a file that
        only its owner reads. The file gets its final name when the tool is done: killed between, it begins again.
        """
        unused = self._password_file.with_suffix(".unused")
        write_private(unused, f"{secrets.token_hex(16)}\n")
        command = [
            *(java_binary(), "-cp", f"{self.jars}/*", "org.neo4j.cli.AdminTool"),
            *("dbms", "set-initial-password", f"@{unused}"),
        ]
        done = subprocess.run(  # noqa: S603 - the program and every argument are ours
            command, env=self._environment(), capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()[-500:]
            raise FailedPreconditionError(
                ErrorReason.NEO4J_START_FAILED, f"The first password of Neo4j could not be set: {said}"
            )
        unused.replace(self._password_file)

    def _environment(self) -> dict[str, str]:
        own = {"NEO4J_HOME": os.fspath(self.home), "NEO4J_CONF": os.fspath(self.home / "conf")}
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("NEO4J_", "JAVA_"))}
        return {**kept, **own}

    def _command(self) -> list[str]:
        opens = ("java.nio", "java.io", "sun.nio.ch")
        return [
            java_binary(),
            # Measured against G1: 120 MB less at rest, as quick to start and to answer on few cores.
            *("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC"),
            *("-XX:-OmitStackTraceInFastThrow", "-XX:+DisableExplicitGC"),
            *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in opens),
            "--enable-native-access=ALL-UNNAMED",
            *("-Dlog4j2.disable.jmx=true", "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8"),
            *("-cp", f"{self.jars}/*", "org.neo4j.server.CommunityEntryPoint"),
            *(f"--home-dir={self.home}", f"--config-dir={self.home / 'conf'}", "--console-mode"),
        ]

    def _wait_until_ready(self, process: ProcessRecord, bolt: int, http: int) -> str:
        end = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < end:
            version = _answering_version(bolt, http)
            if version is not None:
                return version
            if not process.is_running():
                raise self._start_failed("it ended at once")
            time.sleep(0.1)
        process.stop(_STOP_TIMEOUT_S)
        raise self._start_failed(f"it did not answer within {_START_TIMEOUT_S:.0f} s")

    def _start_failed(self, what: str) -> MGitError:
        return FailedPreconditionError(
            ErrorReason.NEO4J_START_FAILED,
            f"Neo4j did not start: {what}. The end of its log, {self.log.name} in the logs folder of its home:\n"
            f"{tail(self.log)}",
        )


def _configuration(bolt: int, http: int, is_throw_away: bool) -> str:  # noqa: FBT001 - private
    settings = {
        "server.default_listen_address": LOOPBACK,
        "server.bolt.listen_address": f"{LOOPBACK}:{bolt}",
        "server.bolt.advertised_address": f"{LOOPBACK}:{bolt}",
        "server.http.listen_address": f"{LOOPBACK}:{http}",
        "server.http.advertised_address": f"{LOOPBACK}:{http}",
        "server.https.enabled": "false",
        "dbms.security.auth_enabled": "false" if is_throw_away else "true",
        "server.memory.pagecache.size": "128m",
        "db.transaction.timeout": "60s",
        # Without these two the logs take 515 MiB from the first start on.
        "db.tx_log.preallocate": "false",
        "db.tx_log.rotation.size": "16M",
        "db.tx_log.rotation.retention_policy": "keep_none" if is_throw_away else "2 days 256M",
        # The default waits ten seconds for idle connections at each stop.
        "internal.server.bolt.thread_pool_shutdown_wait_time": "0s",
        "dbms.usage_report.enabled": "false",
        "client.allow_telemetry": "false",
        "server.bolt.telemetry.enabled": "false",
        "dbms.security.allow_csv_import_from_file_urls": "false",
    }
    if is_throw_away:
        # A graph that is filled and emptied again and again would have each query planned every ten seconds.
        settings["dbms.cypher.min_replan_interval"] = "1d"
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _answering_version(bolt: int, http: int) -> str | None:
    """The server's version, if both its doors answer."""
    try:
        with socket.create_connection((LOOPBACK, bolt), timeout=2) as connection:
            connection.sendall(_BOLT_HANDSHAKE)
            agreed = connection.recv(4)
        if len(agreed) != 4 or agreed == b"\0\0\0\0":
            return None
        request = urllib.request.Request(f"http://{LOOPBACK}:{http}/", headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - as above
            version = json.loads(answer.read()).get("neo4j_version")
    except (OSError, urllib.error.URLError, ValueError):
        return None
    return None if version is None else str(version)
