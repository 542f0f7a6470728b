"""Values as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

__all__ = ["format_bytes", "format_fields", "format_moment", "format_seconds", "format_table"]

_UNITS = ("kB", "MB", "GB", "TB", "PB")


def format_bytes(size_bytes: int) -> str:
    """A size in decimal units with three digits that count: ``90.9 MB``."""
    if abs(size_bytes) < 1000:
        return f"{size_bytes} B"
    size, step = size_bytes / 1000, 0
    while abs(size) >= 999.5 and step < len(_UNITS) - 1:
        size, step = size / 1000, step + 1
    decimals = 2 if abs(size) < 9.995 else 1 if abs(size) < 99.95 else 0
    return f"{size:.{decimals}f} {_UNITS[step]}"


def format_moment(moment: datetime) -> str:
    """Local date and time, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def format_seconds(seconds: float) -> str:
    """A duration, in ms below one second."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    """Aligned lines, the headers first.

    Args:
        headers: Names of the columns.
        rows: As many texts each.
        sides: ``l`` or ``r`` for each column: where its texts are aligned.
    """
    widths = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
    for row in (headers, *rows):
        cells = [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def format_fields(fields: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Aligned ``name  value`` lines; fields without a value are left out."""
    shown = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        yield f"{name.ljust(width)}  {value}"
