"""Bugs from rows of the graph, and back.

An edge cannot lead to versions of a data set that are yet to come. So where a bug affects all of them, its property
``every_version_of`` has the name, and questions find the versions by it; a single version is an edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mgit_core.bugs import (
    Bug,
    BugSeverity,
    BugState,
    BugSubject,
    DatasetSubject,
    ModelSubject,
    TensorSubject,
    order_subjects,
)
from mgit_core.lineage import Dataset, Relation
from mgit_storage.lineage import records
from mgit_storage.lineage.records import Row

__all__ = ["SubjectKeys", "bug_from_row", "bug_properties", "keys_of_subjects"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKeys:
    """What a bug affects, by the keys of the graph, each kind sorted.

    Attributes:
        model_uids: Models.
        tensors: Digests of tensors, hexadecimal.
        datasets: Name and version of single versions.
        every_version_of: Names of data sets of which all versions are affected.
    """

    model_uids: tuple[str, ...]
    tensors: tuple[str, ...]
    datasets: tuple[tuple[str, str], ...]
    every_version_of: tuple[str, ...]


def keys_of_subjects(subjects: Iterable[BugSubject]) -> SubjectKeys:
    """The keys of what a bug affects, each once."""
    ordered = order_subjects(subjects)
    datasets = [subject.dataset for subject in ordered if isinstance(subject, DatasetSubject)]
    return SubjectKeys(
        model_uids=tuple(subject.uid for subject in ordered if isinstance(subject, ModelSubject)),
        tensors=tuple(subject.digest.hex() for subject in ordered if isinstance(subject, TensorSubject)),
        datasets=tuple((dataset.name, dataset.version) for dataset in datasets if dataset.version),
        every_version_of=tuple(dataset.name for dataset in datasets if not dataset.version),
    )


def bug_properties(bug: Bug, every_version_of: Iterable[str]) -> Row:
    """The properties of a new bug."""
    return {
        "id": bug.id,
        "title": bug.title,
        "description": bug.description,
        "severity": bug.severity.value,
        "state": bug.state.value,
        "carried_by": [records.edge_type(relation) for relation in Relation if relation in bug.carried_by],
        "every_version_of": list(every_version_of),
        "created_at": bug.created_at,
        "updated_at": bug.updated_at,
    }


def bug_from_row(row: Row) -> Bug:
    """A bug from a row of one of the describing queries."""
    bug = row["bug"]
    subjects: list[BugSubject] = [ModelSubject(uid=uid, ref=ref) for uid, ref in row["models"]]
    subjects += [TensorSubject(bytes.fromhex(digest)) for digest in row["tensors"]]
    subjects += [DatasetSubject(Dataset(name=name, version=version)) for name, version in row["datasets"]]
    subjects += [DatasetSubject(Dataset(name=name)) for name in bug["every_version_of"]]
    return Bug(
        id=bug["id"],
        title=bug["title"],
        affects=order_subjects(subjects),
        created_at=records.moment_of(bug["created_at"]),
        updated_at=records.moment_of(bug["updated_at"]),
        description=bug["description"],
        severity=BugSeverity(bug["severity"]),
        state=BugState(bug["state"]),
        carried_by=tuple(records.relation_of(type_name) for type_name in bug["carried_by"]),
        fixed_in=tuple(map(records.summary_from_row, row["fixed_in"])),
    )
