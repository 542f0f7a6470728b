"""Helpers of creation functions: what they are mostly made of, computed to the same bits every time."""

from __future__ import annotations

from mgit.frameworks.torch.creation_lora import LoraLinear, add_lora, lora_state, merge_lora
from mgit.frameworks.torch.creation_ties import Frozen, Initialization, freeze, initialize_from, tie
from mgit.frameworks.torch.creation_training import (
    Training,
    deterministic,
    distill,
    finetune,
    train_together,
)
from mgit.frameworks.torch.creation_weights import average, prune, quantize

__all__ = [
    "Frozen",
    "Initialization",
    "LoraLinear",
    "Training",
    "add_lora",
    "average",
    "deterministic",
    "distill",
    "finetune",
    "freeze",
    "initialize_from",
    "lora_state",
    "merge_lora",
    "prune",
    "quantize",
    "tie",
    "train_together",
]
