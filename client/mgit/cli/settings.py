"""What the environment says about the output of commands."""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["may_color"]


def may_color(environment: Mapping[str, str] | None = None) -> bool:
    """False where ``NO_COLOR`` has any value, as its convention has it; None reads the process's environment."""
    values = os.environ if environment is None else environment
    return not values.get("NO_COLOR")
