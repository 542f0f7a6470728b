"""The style and the saved queries, as files that the Neo4j Browser takes when they are dropped on its page.

It takes a style as one ``.grass`` file and saved queries as one ``.zip`` of ``.cypher`` files, a folder of the zip
for a folder of its list; the first line of a query, a comment, is the name it shows.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mgit_core.errors import AlreadyExistsError, ErrorReason

__all__ = ["SavedQuery", "StylePack", "saved_queries", "style_sheet", "write_pack"]

_PACKAGE = "mgit.browser"
_STYLE_FILE = "mgit.grass"
_QUERIES_FILE = "mgit-queries.zip"
_HEAD = re.compile(r"^// (?P<group>[^:\n]+): (?P<title>[^\n]+)\n", re.MULTILINE)
_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_FILE_NAME = 60
# The same queries make the same bytes: the earliest moment that a zip can hold.
_MOMENT = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """A question for the Browser's list.

    Attributes:
        group: Folder of the list.
        title: What the list shows.
        text: Cypher, without the comment that holds the title.
    """

    group: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StylePack:
    """Where the two files were written."""

    style: Path
    queries: Path


def style_sheet() -> str:
    """Colors and captions of the graph, in the Browser's GraSS."""
    return _resource(_STYLE_FILE)


def saved_queries() -> list[SavedQuery]:
    """The questions of the cookbook, in its order."""
    text = _resource("queries.cypher")
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return [
        SavedQuery(group=head["group"], title=head["title"], text=text[head.end() : end].strip() + "\n")
        for head, end in zip(heads, ends, strict=True)
    ]


def write_pack(folder: Path) -> StylePack:
    """Write the style and the saved queries into a folder, which is made if it is not there.

    Files that are there and the same stay as they are.

    Raises:
        AlreadyExistsError: PATH_EXISTS: a file of that name is there and has other content; nothing is written.
    """
    files = {folder / _STYLE_FILE: style_sheet().encode(), folder / _QUERIES_FILE: _zipped()}
    for path, content in files.items():
        if path.exists() and (not path.is_file() or path.read_bytes() != content):
            raise AlreadyExistsError(
                ErrorReason.PATH_EXISTS,
                f"{path} exists and is another one; move it away, or name another folder.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        path.write_bytes(content)
    return StylePack(style=folder / _STYLE_FILE, queries=folder / _QUERIES_FILE)


def _zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, query in enumerate(saved_queries(), start=1):
            name = _NOT_IN_FILE_NAMES.sub("-", query.title).strip("-").lower()[:_LONGEST_FILE_NAME]
            entry = zipfile.ZipInfo(f"MGit {query.group}/{number:02}-{name}.cypher", _MOMENT)
            archive.writestr(entry, f"// {query.title}\n{query.text}")
    return packed.getvalue()


def _resource(name: str) -> str:
    return resources.files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")
