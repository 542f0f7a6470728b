"""Models of another store, as small valid values for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mgit_core.lineage import (
    EdgeOrigin,
    Model,
    ModelState,
    ModelSummary,
    Promise,
    ProvenanceEdge,
    Relation,
)
from mgit_core.ports.exchange import ImportedModel, ModelIdentity
from mgit_storage.testing.values import fresh_uid, make_commit

__all__ = ["ELSEWHERE", "identity_of", "make_edge", "make_imported", "make_tombstone"]

ELSEWHERE = Promise(store_id="00000000-0000-4000-8000-00000000000e", remote="elsewhere")
"""Who has what is promised."""

_SOME_DAY = datetime(2024, 2, 29, 1, 2, 3, 456_789, tzinfo=UTC)


def make_edge(child: str, parent: str, position: int = 0, **changed: Any) -> ProvenanceEdge:
    """An edge of some day, fine-tuned and declared; ``changed`` are other fields."""
    fields: dict[str, Any] = {
        "child_uid": child,
        "parent_uid": parent,
        "relation": Relation.FINETUNED,
        "position": position,
        "weight": None,
        "origin": EdgeOrigin.DECLARED,
        "confidence": None,
        "created_at": _SOME_DAY + timedelta(days=1),
    }
    return ProvenanceEdge(**{**fields, **changed})


def make_imported(
    name: str,
    version: int = 1,
    *parents: str,
    content: str | None = None,
    promise: Promise | None = None,
    previous: ModelSummary | None = None,
    **changed: Any,
) -> ImportedModel:
    """A model of another store that was fine-tuned from ``parents``, by uid; ``changed`` are other fields.

    Its parameters follow from ``content``, and are new ones if that is None.
    """
    commit = make_commit(name, content=content)
    uid: str = changed.pop("uid", fresh_uid())
    model = Model(
        uid=uid,
        name=name,
        version=version,
        state=ModelState.PRESENT,
        created_at=_SOME_DAY,
        parameters=replace(commit.parameters, promised_by=promise),
        parents=tuple(make_edge(uid, parent, position) for position, parent in enumerate(parents)),
        parent_refs=tuple("not heeded" for _ in parents),
        previous=previous,
    )
    return ImportedModel(model=replace(model, **changed), tensors=commit.tensors)


def make_tombstone(name: str, version: int = 1, *parents: str, **changed: Any) -> ImportedModel:
    """A removed model of another store."""
    imported = make_imported(name, version, *parents, **changed)
    return ImportedModel(model=replace(imported.model, state=ModelState.REMOVED, parameters=None))


def identity_of(imported: ImportedModel | Model) -> ModelIdentity:
    """What tells a model apart."""
    model = imported.model if isinstance(imported, ImportedModel) else imported
    return ModelIdentity(
        uid=model.uid,
        name=model.name,
        version=model.version,
        parameters=None if model.parameters is None else model.parameters.digest,
        files=model.files,
    )
