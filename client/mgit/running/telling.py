"""Words for what code of a user's gave or raised, which may be anything."""

from __future__ import annotations

import traceback
from pathlib import Path

__all__ = ["show_value", "tell_raised"]


def tell_raised(error: BaseException) -> str:
    """What was raised, and where, as a sentence."""
    return f"It raised {type(error).__name__}{_told(error)}{_place(error)}."


def show_value(value: object) -> str:
    """The beginning of how a value shows itself."""
    try:
        return repr(value)[:80]
    except Exception:  # noqa: BLE001 - as any code of a user's
        return "something that cannot be shown"


def _told(error: BaseException) -> str:
    try:
        return f": {error}"
    except Exception:  # noqa: BLE001 - as above
        return ""


def _place(error: BaseException) -> str:
    """Where it was raised: the last file's name without its folder, which is the user's own business."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f" (in {frames[-1].name}, {Path(frames[-1].filename).name}, line {frames[-1].lineno})"
