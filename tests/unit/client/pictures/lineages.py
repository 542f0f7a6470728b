"""Lineages to draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mgit.values import (
    Dataset,
    Edge,
    EdgeOrigin,
    Lineage,
    ModelFacts,
    ModelState,
    ModelSummary,
    Relation,
    RevisionEdge,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_lineage(
    refs: Iterable[str],
    edges: Iterable[tuple[str, str, Relation]] = (),
    revisions: Iterable[tuple[str, str]] = (),
    removed: Iterable[str] = (),
) -> Lineage:
    """Models whose uid is their reference; edges as child, parent, relation."""
    gone = set(removed)
    models = tuple(
        ModelSummary(
            uid=ref,
            name=ref.rpartition("@")[0],
            version=int(ref.rpartition("@")[2]),
            state=ModelState.REMOVED if ref in gone else ModelState.PRESENT,
            created_at=START + timedelta(minutes=number),
        )
        for number, ref in enumerate(refs)
    )
    links = tuple(
        make_edge(child, parent, relation, position)
        for position, (child, parent, relation) in enumerate(edges)
    )
    versions = tuple(RevisionEdge(newer_uid=newer, older_uid=older) for newer, older in revisions)
    return Lineage(models=models, edges=links, revisions=versions, truncated=False)


def make_edge(
    child: str, parent: str, relation: Relation, position: int = 0, confidence: float | None = None
) -> Edge:
    return Edge(
        child_uid=child,
        parent_uid=parent,
        parent_ref=parent,
        relation=relation,
        position=position,
        weight=0.5 if relation is Relation.AGGREGATED else None,
        origin=EdgeOrigin.DECLARED if confidence is None else EdgeOrigin.INFERRED,
        confidence=confidence,
        created_at=START,
    )


FAMILY = make_lineage(
    ["base@1", "left@1", "right@1", "right@2", "both@1", "alone@1"],
    [
        ("left@1", "base@1", Relation.FINETUNED),
        ("right@1", "base@1", Relation.PRUNED),
        ("right@2", "base@1", Relation.PRUNED),
        ("both@1", "left@1", Relation.AGGREGATED),
        ("both@1", "right@1", Relation.AGGREGATED),
    ],
    [("right@2", "right@1")],
    ["right@1"],
)

BUG = "01890000-0000-7000-8000-000000000001"
KNOWN = replace(
    FAMILY,
    facts=(
        ModelFacts(uid="base@1", passed_tests=("finite", "size"), size_bytes=3 * 1024 * 1024 // 2),
        ModelFacts(
            uid="left@1",
            type="encoder",
            metadata={"license": "mit", "note": "a\n  long story"},
            tags=("best", "prod"),
            size_bytes=1000,
            passed_tests=("size",),
            failed_tests=("accuracy", "finite", "speed"),
            bug_ids=(BUG,),
            datasets=(Dataset(name="glue", version="2"), Dataset(name="docs")),
        ),
        ModelFacts(uid="right@1"),
        ModelFacts(uid="right@2", passed_tests=("finite",)),
        ModelFacts(uid="both@1", bug_ids=(BUG, BUG.replace("1", "2"))),
        ModelFacts(uid="alone@1"),
    ),
)
"""The same family with what is known of its models."""
