"""The base as it is; of a tensor that was resized, with zeros behind it."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import Buffer

from mgit_core.coding.predictors.fields import Bytes, Fields, join_padded

__all__ = ["predict"]


def predict(parameters: bytes, sources: Sequence[Buffer], raw_size: int) -> Bytes:
    """The sources joined, zeros behind them. There are no parameters.

    Raises:
        CorruptError: CHUNK_CORRUPT.
    """
    Fields(parameters).end()
    return join_padded(sources, raw_size)
