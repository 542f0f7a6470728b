"""What is known of a model besides its edges, as one value: for pictures and overviews of many models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mgit_core.lineage import Dataset, MetadataValue

__all__ = ["ModelFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Facts about a model.

    A test counts while it is registered, and by its newest result alone, whatever code that ran with. One whose
    value is only kept, since no threshold says what is good, is neither passed nor failed.

    Attributes:
        uid: The model.
        type: Model type; None if it has none.
        metadata: What its author wrote about it, by key.
        tags: Tags that point to it, sorted.
        size_bytes: Bytes of all tensors; 0 for a removed model.
        passed_tests: Names of tests whose newest result is a pass, sorted.
        failed_tests: Names of tests whose newest result is a failure or an error, sorted.
        bug_ids: Open bugs that affect it, inherited ones too, sorted; empty where the graph alone was asked.
        datasets: Data sets that it was trained on, sorted.
    """

    uid: str
    type: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    size_bytes: int = 0
    passed_tests: tuple[str, ...] = ()
    failed_tests: tuple[str, ...] = ()
    bug_ids: tuple[str, ...] = ()
    datasets: tuple[Dataset, ...] = ()
