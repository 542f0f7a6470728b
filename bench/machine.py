"""Names the machine that figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

__all__ = ["describe_machine"]


def describe_machine() -> str:
    """Processor, cores, memory, system and the versions that matter, on one line."""
    processor = _first_value(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown"
    memory = _first_value(Path("/proc/meminfo"), "MemTotal")
    gigabytes = f"{int(memory.split()[0]) / 2**20:.0f} GiB" if memory else "unknown memory"
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "grpcio", "zstandard", "blake3"))
    return (
        f"{os.cpu_count()} cores of {processor}, {gigabytes}, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def _first_value(path: Path, key: str) -> str:
    if not path.exists():
        return ""
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
