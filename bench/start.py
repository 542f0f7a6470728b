"""How long the parts take to start and stop, and what they hold at rest."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from bench.figures import Figure, Report, median_seconds
from bench.machine import describe_machine
from bench.stack import clean_environment, new_home, running_stack

from mgit.local.distribution import fetch_neo4j
from mgit.local.neo4j import ManagedNeo4j
from mgit.local.settings import read_stack_settings

__all__ = ["measure"]

_REPEATS = 5


def measure() -> Report:
    """Neo4j alone, then the command line against a running stack."""
    with new_home() as home:
        figures = [*_neo4j(home / "alone"), *_commands(home / "stack")]
    return Report(title="Starting, stopping, resting", machine=describe_machine(), figures=figures)


def _neo4j(home: Path) -> list[Figure]:
    settings = read_stack_settings(clean_environment(home))
    server = ManagedNeo4j(home=home, jars=fetch_neo4j(settings.cache))
    server.start()  # The very first start also makes the database; users meet the later ones.
    server.stop()
    start = time.perf_counter()
    running = server.start()
    started_s = time.perf_counter() - start
    resident_mb = psutil.Process(running.process.pid).memory_info().rss / 1e6
    start = time.perf_counter()
    server.stop()
    stopped_s = time.perf_counter() - start
    return [
        _at_most("managed Neo4j: start to answering", started_s, "s", 12),
        _at_most("managed Neo4j: stop", stopped_s, "s", 1.5),
        _at_most("managed Neo4j: resident memory at rest", resident_mb, "MB", 600),
    ]


def _commands(home: Path) -> list[Figure]:
    environment = clean_environment(home)
    mgit = str(Path(sys.executable).with_name("mgit"))
    with running_stack(home) as state:
        help_s = median_seconds(lambda: _run([mgit, "--help"], environment), _REPEATS)
        list_s = median_seconds(lambda: _run([mgit, "ls"], environment), _REPEATS)
        process = state.service
        resident_mb = psutil.Process(process.pid).memory_info().rss / 1e6 if process else 0.0
    bare_s = median_seconds(lambda: _run([sys.executable, "-c", ""], environment), _REPEATS)
    return [
        Figure(name="an empty Python process", value=bare_s, unit="s"),
        _at_most("mgit --help", help_s, "s", 0.4),
        _at_most("mgit ls against a running stack", list_s, "s", 0.8),
        Figure(name="service: resident memory at rest", value=resident_mb, unit="MB"),
    ]


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    subprocess.run(list(command), env=environment, check=True, capture_output=True)


def _at_most(name: str, value: float, unit: str, goal: float) -> Figure:
    return Figure(
        name=name, value=value, unit=unit, goal=f"at most {goal:g} {unit}", is_reached=value <= goal
    )
