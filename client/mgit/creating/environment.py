"""What a creation function runs with, as far as its results may depend on it."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["describe_environment"]

_PACKAGES = {
    "numpy": "numpy",
    "torch": "torch",
    "transformers": "transformers",
    "peft": "peft",
    "safetensors": "safetensors",
    "datasets": "datasets",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "jax": "jax",
    "tensorflow": "tensorflow",
}
"""Imported packages whose versions are told, and the distribution of each."""


def describe_environment() -> dict[str, str]:
    """Versions of Python, of ours and of packages that are imported; kind of processor, and how many threads compute.

    Imports nothing: of a package that was not imported nothing depends.
    """
    found = {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "mgit": _version("mgit-lineage"),
    }
    found |= {name: _version(package) for name, package in _PACKAGES.items() if name in sys.modules}
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        found["torch_threads"] = str(torch.get_num_threads())
        found["torch_processor"] = str(torch.backends.cpu.get_cpu_capability())
        if torch.cuda.is_initialized():
            found["cuda_device"] = str(torch.cuda.get_device_name())
    return {name: value for name, value in found.items() if value}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
