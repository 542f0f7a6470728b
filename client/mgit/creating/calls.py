"""A call of a creation function, and what came of it: values."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgit.closing import Closing
from mgit.frameworks.source import Source
from mgit_core.creation import CreationRecord
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ParentLink, Relation

__all__ = ["ALONE", "CreationCall", "Printed", "Produced", "parent_document", "parent_link"]

ALONE = ""
"""The member of a call that makes one model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationCall:
    """A call that is to be made.

    Attributes:
        record: The creation function, its arguments and seed; of several members the record of any.
        members: Parents of each model that the call makes, in order, by member; ``ALONE`` for a call that makes one. The
            function gets them in the order of their names, whatever it is here: a record does not keep another one.
        takes_any_source: Whether the function may have changed since it was recorded.
        traces_layers: Whether layers of modules that it gives are traced.
    """

    record: CreationRecord
    members: Mapping[str, tuple[ParentLink, ...]]
    takes_any_source: bool = False
    traces_layers: bool = False

    def __post_init__(self) -> None:
        """Refuses a call that makes nothing, or one model and several.

        Raises:
            InvalidArgumentError: INVALID_CREATION.
        """
        if not self.members or (ALONE in self.members and len(self.members) > 1):
            raise InvalidArgumentError(
                ErrorReason.INVALID_CREATION,
                "A call makes one model, or several that each have a name among them; found "
                f"{', '.join(map(repr, self.members)) or 'none'}.",
            )

    @property
    def is_group(self) -> bool:
        """Whether it makes several models, and the function gets and gives them by member."""
        return ALONE not in self.members

    def as_document(self) -> dict[str, Any]:
        """The call as a process is told it."""
        record = self.record
        return {
            "entry_point": record.entry_point,
            "code_digest": None if self.takes_any_source else record.code_digest.hex(),
            "arguments": dict(record.arguments),
            "seed": record.seed,
            "traces_layers": self.traces_layers,
            "members": {
                member: [parent_document(link) for link in self.members[member]]
                for member in sorted(self.members)
            },
        }


class Produced(Closing):
    """What a call made: parameters in files of their own, until it is closed.

    Attributes:
        sources: What was made, by member; each may be added as a model.
        environment: What it ran with.
        output: The end of what was printed, at most 4 KiB.
        output_bytes: How much was printed altogether.
        seconds: How long the call took.
    """

    def __init__(
        self, folder: Path, sources: Mapping[str, Source], environment: Mapping[str, str], printed: Printed
    ) -> None:
        self._folder = folder
        self.sources = sources
        self.environment = environment
        self.output = printed.output
        self.output_bytes = printed.output_bytes
        self.seconds = printed.seconds

    def close(self) -> None:
        """Delete the files. Idempotent."""
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a call printed, and how long it took."""

    output: str
    output_bytes: int
    seconds: float


def parent_document(link: ParentLink) -> dict[str, Any]:
    """A parent as a process is told it."""
    return {"uid": link.parent_uid, "relation": link.relation.value, "weight": link.weight}


def parent_link(document: Mapping[str, Any]) -> ParentLink:
    """A parent that a process was told."""
    return ParentLink(
        parent_uid=document["uid"], relation=Relation(document["relation"]), weight=document["weight"]
    )
