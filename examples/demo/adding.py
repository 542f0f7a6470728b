"""Adds a family to a repository, each model once however often the demonstration runs."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.minilm.family import Built
from examples.minilm.recipe import Average

import mgit
from mgit.errors import NotFoundError
from mgit.values import ModelState, Parent

__all__ = ["Kept", "add_family"]

_KEY = "family_key"
"""Metadata key that tells a member of this very family from another model of the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A member of the family, and the model that a repository keeps of it."""

    built: Built
    model: mgit.Model
    reused: bool
    """Whether an earlier run added it."""
    new_bytes: int | None
    """Bytes that the store grew by when it was added; None if an earlier run did not write that down."""


def add_family(
    repository: mgit.Repository,
    family: Sequence[Built],
    record: Path,
    tell: Callable[[Kept], None],
) -> list[Kept]:
    """Adds every member that is not there, parents first, with typed edges, metadata and data sets.

    Args:
        repository: Where the models go.
        family: Members, parents before their children.
        record: File that keeps how many bytes each model added; made if it is not there.
        tell: Told of each member.
    """
    added: dict[str, int] = json.loads(record.read_text()) if record.is_file() else {}
    kept: dict[str, Kept] = {}
    for built in family:
        found = _find(repository, built)
        model = found or _add(repository, built, kept)
        if model.addition is not None:
            added[model.uid] = model.addition.new_bytes
            record.write_text(json.dumps(added, indent=2) + "\n")
        kept[built.ref] = Kept(
            built=built, model=model, reused=found is not None, new_bytes=added.get(model.uid)
        )
        tell(kept[built.ref])
    return list(kept.values())


def _find(repository: mgit.Repository, built: Built) -> mgit.Model | None:
    try:
        for model in repository.versions(built.member.name):
            if model.state is ModelState.PRESENT and model.metadata.get(_KEY) == built.key:
                return model
    except NotFoundError:
        pass  # The name was never used.
    return None


def _add(repository: mgit.Repository, built: Built, kept: dict[str, Kept]) -> mgit.Model:
    member = built.member
    label_set = built.metadata.get("label_set")
    datasets = [] if label_set is None else [_dataset(label_set)]
    previous = None if member.previous is None else kept[member.previous].model
    return repository.add(
        member.name,
        built.path,
        parents=_parents(built, kept),
        previous=previous,
        no_previous=previous is None,
        metadata={**built.metadata, _KEY: built.key},
        type="lora-adapter" if member.is_adapter else "sentence-encoder",
        datasets=datasets,
    )


def _parents(built: Built, kept: dict[str, Kept]) -> list[Parent]:
    share = 1 / len(built.member.parents) if isinstance(built.member.recipe, Average) else None
    return [Parent(kept[ref].model, mgit.Relation(relation), share) for ref, relation in built.member.parents]


def _dataset(label_set: object) -> mgit.Dataset:
    version = platform.python_version()
    return mgit.Dataset(name=f"python-docstrings-{label_set}", version=version)
