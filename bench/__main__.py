"""Runs benchmarks: ``python -m bench [NAME]…``; all without names.

Each writes ``bench/results/NAME.json``; ``docs/benchmarks.md`` is made anew from all results that are there.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from bench.figures import read_reports, table_lines

__all__ = ["main"]

_NAMES = (
    "storage",
    "storage_delta",
    "storage_index",
    "transfer",
    "models",
    "memory",
    "maintenance",
    "load_many",
    "rpc",
    "start",
    "lineage",
    "bisect",
    "bugs",
    "family",
    "compression",
    "graphs",
    "lossy",
    "infer",
    "updates",
    "diff",
    "exchange",
    "cascade",
)
_ROOT = Path(__file__).parents[1]
_RESULTS = _ROOT / "bench" / "results"
_PAGE = _ROOT / "docs" / "benchmarks.md"
_INTRODUCTION = """# Benchmarks

Written by `make bench`. Each figure stands beside its goal and, where there is one, beside a ceiling that was measured
in the same run. Compare within one table only: single times on a shared machine are noise. GB is 10^9 bytes.
"""


def main() -> None:
    """Run the named benchmarks one after the other, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_NAMES)}; default: all")
    names = parser.parse_args().names or _NAMES
    unknown = sorted(set(names) - set(_NAMES))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(_NAMES)}")
    for name in names:
        report = importlib.import_module(f"bench.{name}").measure()
        report.save(_RESULTS / f"{name}.json")
        print("\n".join(table_lines(report)), flush=True)
    sections = [line for report in read_reports(_RESULTS) for line in table_lines(report)]
    _PAGE.write_text("\n".join([_INTRODUCTION, *sections]), encoding="utf-8")


if __name__ == "__main__":
    main()
