"""Labeled text that every machine has: the docstrings of Python's standard library.

The source files are parsed, never imported. A row is one paragraph of a docstring, its label the topic of
the package it was found in. The rows are the same for the same Python version, in the same order.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError

__all__ = ["LABEL_SETS", "LabeledText", "Row", "read_label_set"]

# Only packages that stay: what newer Pythons dropped (distutils, cgi, telnetlib) or distributors split off
# (tkinter) would change the labels from machine to machine. `_pydecimal` and `_pydatetime` are the Python
# halves of `decimal` and `datetime`.
LABEL_SETS: dict[int, dict[str, tuple[str, ...]]] = {
    1: {
        "mail": ("email", "imaplib", "mailbox", "poplib", "smtplib"),
        "web": ("http", "urllib", "webbrowser", "wsgiref", "xmlrpc"),
        "sockets": ("ftplib", "ipaddress", "selectors", "socket", "socketserver", "ssl"),
        "xml": ("xml", "html", "plistlib"),
    },
    2: {
        "asyncio": ("asyncio",),
        "processes": ("concurrent", "multiprocessing", "subprocess"),
        "threads": ("queue", "sched", "threading", "contextlib", "weakref"),
        "logging": ("logging", "traceback", "warnings"),
    },
    3: {
        "numbers": ("_pydecimal", "fractions", "numbers", "random", "statistics"),
        "time": ("_pydatetime", "_strptime", "calendar", "datetime", "timeit"),
        "types": ("_collections_abc", "collections", "dataclasses", "enum", "typing"),
        "files": ("bz2", "gzip", "lzma", "pathlib", "shutil", "tarfile", "tempfile", "zipfile"),
    },
    4: {
        "imports": ("importlib", "pkgutil", "runpy", "zipimport"),
        "tests": ("doctest", "unittest"),
        "syntax": ("ast", "dis", "inspect", "pydoc", "symtable", "tokenize"),
        "options": ("argparse", "cmd", "configparser", "getopt", "optparse"),
        "debugging": ("bdb", "cProfile", "pdb", "profile", "pstats", "trace", "tracemalloc"),
    },
}
"""Label sets by number: topic to the standard library's packages."""

_MIN_WORDS = 5  # Shorter paragraphs ("Internal function.") say nothing about their package.
_MIN_ROWS = 40  # Fewer rows under a label mean that the library's source is missing, not that it is small.
_HELD_OUT_IN = 5  # One document of five is held out.
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Row:
    """One text and the position of its label in `LabeledText.label_names`."""

    text: str
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledText:
    """One label set's rows; no text stands in both halves."""

    label_names: tuple[str, ...]
    train: tuple[Row, ...]
    held_out: tuple[Row, ...]


def read_label_set(number: int) -> LabeledText:
    """Rows of label set ``number``, 1 to 4, in the order of label, package, file and line.

    Which half a docstring belongs to follows from its own digest, so one that a newer Python adds moves no
    other; all paragraphs of a docstring go to the same half.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, there is no such set.
        NotFoundError: PATH_NOT_FOUND, this Python came without its library's source files.
    """
    if number not in LABEL_SETS:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"Label sets are {sorted(LABEL_SETS)}; {number} was asked for."
        )
    topics = LABEL_SETS[number]
    halves: tuple[list[Row], list[Row]] = ([], [])
    seen: set[str] = set()
    for label, (topic, packages) in enumerate(topics.items()):
        before = len(seen)
        for document in _docstrings(packages):
            half = halves[_is_held_out(document)]
            for text in _paragraphs(document):
                if text not in seen:
                    seen.add(text)
                    half.append(Row(text, label))
        if len(seen) - before < _MIN_ROWS:
            raise NotFoundError(
                ErrorReason.PATH_NOT_FOUND,
                f"The source of the standard library's packages on {topic} was wanted; "
                f"{len(seen) - before} paragraphs were found.",
            )
    train, held_out = halves
    return LabeledText(label_names=tuple(topics), train=tuple(train), held_out=tuple(held_out))


def _docstrings(packages: tuple[str, ...]) -> Iterator[str]:
    library = Path(sysconfig.get_path("stdlib"))
    for package in packages:
        # A package is a folder or one file, and changes from one to the other between Python versions.
        files = [library / f"{package}.py", *sorted((library / package).rglob("*.py"))]
        for path in files:
            if path.is_file():
                yield from _docstrings_of(path)


def _docstrings_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, _Documented):
            document = ast.get_docstring(node)
            if document is not None:
                yield document


def _paragraphs(document: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", document):
        words = paragraph.split()
        if len(words) >= _MIN_WORDS and words[0] != ">>>":
            yield " ".join(words)


def _is_held_out(document: str) -> bool:
    return hashlib.sha256(document.encode()).digest()[0] % _HELD_OUT_IN == 0
