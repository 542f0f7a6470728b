"""The container files, as far as they can be checked without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mgit_service.settings import ListenAddress

DOCKER = Path(__file__).parents[3] / "docker"
ROOT = DOCKER.parent


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments, continued lines joined."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def arguments(instructions: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for found, rest in instructions if found == word]


def test_the_image_is_built_in_two_stages_and_leaves_the_tools_behind(
    instructions: list[tuple[str, str]],
) -> None:
    stages = arguments(instructions, "FROM")
    assert len(stages) == 2
    assert stages[0].endswith(" AS build")
    assert any(rest.startswith("--from=build") for rest in arguments(instructions, "COPY"))


def test_the_image_runs_as_a_user_without_rights(instructions: list[tuple[str, str]]) -> None:
    last_stage = max(at for at, (word, _) in enumerate(instructions) if word == "FROM")
    [user] = [rest for word, rest in instructions[last_stage:] if word == "USER"]
    assert int(user.partition(":")[0]) >= 1000


def test_the_image_checks_its_own_health(instructions: list[tuple[str, str]]) -> None:
    [check] = arguments(instructions, "HEALTHCHECK")
    assert "--check" in check


def test_what_the_image_copies_is_there(instructions: list[tuple[str, str]]) -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for rest in arguments(instructions, "COPY"):
        if rest.startswith("--from"):
            continue
        *sources, _ = [part for part in rest.split() if not part.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            folder = f"{Path(source).parent}/*{Path(source).suffix}"
            assert {f"!{source}", f"!{folder}"} & set(ignored), source


def test_every_port_is_published_on_this_machine_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(ListenAddress.parse(port.rpartition(":")[0]).is_loopback for port in ports)


def test_the_service_binds_with_tls_and_token(compose: dict[str, Any]) -> None:
    environment = compose["services"]["service"]["environment"]
    assert not ListenAddress.parse(environment["MGIT_LISTEN"]).is_loopback
    assert {"MGIT_TLS_CERT", "MGIT_TLS_KEY", "MGIT_TOKEN_FILE"} <= environment.keys()


def test_the_credentials_are_made_once_before_the_service_starts(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["service"]["depends_on"]["credentials"]["condition"] == "service_completed_successfully"
    assert services["credentials"]["restart"] == "no"
    [volume] = services["credentials"]["volumes"]
    folder = volume.partition(":")[2]
    assert f"{volume}:ro" in services["service"]["volumes"]
    assert services["credentials"]["entrypoint"] == ["make-credentials.sh", folder]
    environment = services["service"]["environment"]
    wanted = {environment[name] for name in ("MGIT_TLS_CERT", "MGIT_TLS_KEY", "MGIT_TOKEN_FILE")}
    script = (DOCKER / "make-credentials.sh").read_text(encoding="utf-8")
    written = {f"{folder}/{name}" for name in re.findall(r'\$folder/([a-z]+(?:\.pem)?)"', script)}
    assert wanted <= written


def test_no_secret_stands_in_the_files(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            is_secret = any(word in name for word in ("PASSWORD", "TOKEN", "AUTH"))
            assert not is_secret or name.endswith("_FILE") or "${NEO4J_PASSWORD:?" in value


def test_neo4j_is_the_community_edition_of_the_supported_line(compose: dict[str, Any]) -> None:
    assert compose["services"]["neo4j"]["image"] == "neo4j:5.26-community"


def test_data_lie_in_volumes(compose: dict[str, Any]) -> None:
    mounted = {
        volume.partition(":")[0] for service in compose["services"].values() for volume in service["volumes"]
    }
    assert mounted == set(compose["volumes"])


@pytest.mark.parametrize("script", ["make-credentials.sh", "serve.sh"])
def test_the_scripts_can_be_read_by_a_shell(script: str) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    assert subprocess.run([shell, "-n", DOCKER / script], check=False).returncode == 0
    assert (DOCKER / script).stat().st_mode & 0o111


def test_secrets_in_files_reach_the_service(tmp_path: Path) -> None:
    """``serve.sh`` with a program of this test in the place of the service."""
    program = tmp_path / "mgit-service"
    program.write_text('#!/bin/sh\necho "$MGIT_TOKEN" "$@"\n', encoding="ascii")
    program.chmod(0o755)
    (tmp_path / "token").write_text("secret\n", encoding="ascii")
    done = subprocess.run(
        [DOCKER / "serve.sh", "--check"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "MGIT_TOKEN_FILE": str(tmp_path / "token")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "secret --check\n"
