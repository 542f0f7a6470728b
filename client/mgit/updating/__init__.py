"""Updates: what was made from a model is made anew when the model is updated (paper, section 3, "Cascade")."""

from __future__ import annotations

from mgit.updating.calls import UpdateCalls, Updates
from mgit.updating.values import (
    CascadeState,
    LeaveOutReason,
    LeftOut,
    PublishMode,
    StepState,
    Update,
    UpdateListener,
    UpdateParent,
    UpdateProgress,
    UpdateReference,
    UpdateStep,
)

__all__ = [
    "CascadeState",
    "LeaveOutReason",
    "LeftOut",
    "PublishMode",
    "StepState",
    "Update",
    "UpdateCalls",
    "UpdateListener",
    "UpdateParent",
    "UpdateProgress",
    "UpdateReference",
    "UpdateStep",
    "Updates",
]
