"""Everything that needs torch: state dicts in and out, traces, and helpers of creation functions."""

from __future__ import annotations

from mgit.frameworks.torch.states import (
    is_torch_object,
    read_torch_file,
    read_torch_object,
    to_state_dict,
    write_torch_file,
)
from mgit.frameworks.torch.tracing import ExampleInputs, trace_layers

__all__ = [
    "ExampleInputs",
    "is_torch_object",
    "read_torch_file",
    "read_torch_object",
    "to_state_dict",
    "trace_layers",
    "write_torch_file",
]
