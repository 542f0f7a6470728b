"""What a draft says of the model as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mgit_core.cascade.values import StepLease, StepTarget
from mgit_core.creation import CreationRecord
from mgit_core.lineage import Dataset, MetadataValue
from mgit_core.loss import LossRecord
from mgit_service.use_cases.references import ParentRequest

__all__ = ["DraftHeader", "StepDraft"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDraft:
    """What a draft says of the step of a cascade that makes it.

    Attributes:
        lease: Who works at the step.
        target_uid: UID of the target.
        target: The target; None until it was looked up.
    """

    lease: StepLease
    target_uid: str
    target: StepTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftHeader:
    """What a draft says of the model as a whole.

    Attributes:
        name: Model name, checked.
        parents: In order.
        previous: Reference of the older model; None with ``automatic_previous`` False means no version edge.
        automatic_previous: The latest version of the same name, if there is one.
        type: Model type, or None.
        metadata: Checked.
        datasets: Each once.
        source_format: What it looked like at the source; empty if that is not said.
        ties: Groups of parameter names that shared one memory at the source.
        loss: What guarded loss did, checked; None for a model that is added as it is.
        layer_graph: Its layer graph as a document, not yet looked at; empty for none.
        creation: How it was created, checked; None if that is not known.
        step: The step of a cascade that makes it; None for a model that is numbered at once.
    """

    name: str
    parents: tuple[ParentRequest, ...] = ()
    previous: str | None = None
    automatic_previous: bool = True
    type: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()
    source_format: str = ""
    ties: tuple[tuple[str, ...], ...] = ()
    loss: LossRecord | None = None
    layer_graph: bytes = b""
    creation: CreationRecord | None = None
    step: StepDraft | None = None
