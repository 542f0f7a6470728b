"""How many threads the linear algebra under numpy starts."""

from __future__ import annotations

import os

__all__ = ["keep_algebra_in_one_thread"]


def keep_algebra_in_one_thread() -> None:
    """Let each product or decomposition run in the thread that asks for it, unless the user says otherwise.

    The service works in as many threads as there are cores already. The library would start as many again, which
    spin while they wait: on a busy machine finding low-rank factors took thirty times as long. Heeded only before
    numpy is imported.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
