"""The command line: one module for each group of commands, imported when one of its commands is called."""

from __future__ import annotations

from mgit.cli.application import main

__all__ = ["main"]
