"""How the process keeps the memory that it works in."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

# Numbers of mallopt(3) in the GNU C library.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGEST_BLOCK_BYTES = 32 << 20  # The most that the library takes.
_KEPT_BYTES = 64 << 20
# Each thread would keep what it freed for itself: a chunk is taken in by one, encoded by another, and so on.
_ARENAS = 2


def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks of some megabytes instead of giving each back to the system.

    A chunk passes through several buffers of a megabyte, each used for a moment. By default such a buffer is
    mapped anew every time, and touching it the first time costs more than what is done with it: measured,
    reading chunks takes twice the processor time, encoding them twice as well.

    Returns:
        Whether the C library knows these settings; others, such as musl, are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK_BYTES)
        and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        and mallopt(_M_ARENA_MAX, _ARENAS)
    )
