"""Buffers of each thread, reused: fresh ones of 1 MiB cost several times what is done in them."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["SPARE", "scratch"]

_Scalar = TypeVar("_Scalar", bound=np.generic)

SPARE = "spare"
"""The buffer for what a function needs only until it returns, or until it calls another function of this package."""


class _Buffers(threading.local):
    def __init__(self) -> None:
        self.by_name: dict[str, npt.NDArray[np.uint8]] = {}


_buffers = _Buffers()


def scratch(name: str, dtype: np.dtype[_Scalar], count: int) -> npt.NDArray[_Scalar]:
    """A buffer of ``count`` items whose content is arbitrary.

    It is valid until the calling thread asks for the same name again.

    Args:
        name: Which of the thread's buffers; a module uses names that begin with its own.
        dtype: Type of an item.
        count: Items wanted.
    """
    size = dtype.itemsize * count
    buffer = _buffers.by_name.get(name)
    if buffer is None or buffer.size < size:
        buffer = _buffers.by_name[name] = np.empty(size, np.uint8)
    view: npt.NDArray[Any] = buffer[:size].view(dtype)
    return view
