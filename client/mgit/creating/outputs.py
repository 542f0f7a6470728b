"""What creation functions give, checked and handed over through files: one of bytes, one that says what lies where.

No pickle: the process that made the parameters ran code of a user's, and the one that takes them over does not have
to trust it with more than names, types and bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mgit.frameworks.arrays import read_arrays
from mgit.frameworks.source import Source, SourceParameter, open_file
from mgit.layers import LayerRequest, make_layer_graph
from mgit.running.telling import show_value
from mgit.tensors import LazyTensor
from mgit_core.chunking import chunk_ranges
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.layers.document import unpack_layer_graph
from mgit_core.tensor import TensorSpec

__all__ = ["read_outputs", "write_outputs"]

_BYTES_NAME = "parameters.bin"
_INDEX_NAME = "index.json"


def write_outputs(made: Mapping[str, object], folder: Path, *, traces_layers: bool = False) -> None:
    """Write what a function gave for each member; names that show one memory are written once.

    Layers of modules are traced, if they are to be, once all parameters are written: the modules' code runs for it.

    Raises:
        InvalidArgumentError: INVALID_CREATION, for what is no parameters; UNKNOWN_DTYPE or SHAPE_MISMATCH.
    """
    # All at once: what one of them shows must still be there when the others are compared with it.
    states = {member: _parameters_of(value, member) for member, value in made.items()}
    with (folder / _BYTES_NAME).open("wb") as file:
        writer = _Writer(file)
        members = {member: writer.write(state) for member, state in states.items()}
    if traces_layers:
        for member, state in states.items():
            members[member]["layer_graph"] = _trace(made[member], state).hex()
    (folder / _INDEX_NAME).write_text(json.dumps(members), encoding="utf-8")


def read_outputs(folder: Path) -> dict[str, Source]:
    """What was written, by member, as models that may be added; bytes are read when they are wanted.

    Raises:
        OSError: If the files are not there.
        ValueError: If the index is none.
        InvalidArgumentError: UNKNOWN_DTYPE, SHAPE_MISMATCH or INVALID_LAYER_GRAPH.
    """
    content = open_file(folder / _BYTES_NAME)
    index = json.loads((folder / _INDEX_NAME).read_text(encoding="utf-8"))
    return {
        member: Source(
            source_format=document["source_format"],
            parameters=tuple(
                SourceParameter(name=name, spec=TensorSpec(dtype, tuple(shape)), content=content.at(start))
                for name, dtype, shape, start in document["parameters"]
            ),
            ties=tuple(map(tuple, document["ties"])),
            layer_graph=_checked(bytes.fromhex(document.get("layer_graph", ""))),
        )
        for member, document in index.items()
    }


@dataclass(slots=True)
class _Writer:
    """Appends tensors to a file, each memory once."""

    file: BinaryIO
    _size_bytes: int = 0
    _starts: dict[Hashable, int] = field(default_factory=dict)

    def write(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What was written of a model, for the index."""
        parameters: list[tuple[str, str, tuple[int, ...], int]] = []
        shown: dict[int, list[str]] = {}
        for name, value in values.items():
            parameter = _open_value(name, value)
            key = _memory_of(value, parameter.spec)
            start = self._starts.get(key)
            if start is None:
                start = self._starts[key] = self._append(parameter)
            if parameter.spec.size_bytes:
                shown.setdefault(start, []).append(name)
            parameters.append((name, parameter.spec.dtype, parameter.spec.shape, start))
        is_torch = any(_is_tensor(value) for value in values.values())
        return {
            "source_format": "torch" if is_torch else "numpy",
            "parameters": parameters,
            "ties": [names for names in shown.values() if len(names) > 1],
        }

    def _append(self, parameter: SourceParameter) -> int:
        start = self._size_bytes
        for first, stop in chunk_ranges(parameter.spec):
            self.file.write(parameter.content.read(first, stop))
        self._size_bytes += parameter.spec.size_bytes
        return start


def _parameters_of(value: object, member: str) -> dict[str, Any]:
    """The parameters that ``value`` is: of a module its state, else arrays and tensors by name."""
    state = getattr(value, "state_dict", None)
    found = state() if callable(state) and not isinstance(value, Mapping | type) else value
    whose = f" for {member}" if member else ""
    if not isinstance(found, Mapping):
        raise _invalid(
            "A creation function gives arrays or tensors by name, or a module; it gave "
            f"{show_value(value)} of type {type(value).__name__}{whose}."
        )
    if not found:
        raise _invalid(f"A model has at least one parameter; the creation function gave none{whose}.")
    return dict(found)


def _trace(value: object, names: Collection[str]) -> bytes:
    """The layer graph of a module; empty for arrays and tensors by name, and if there is no saying."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.nn.Module):
        return b""
    try:
        document, _ = make_layer_graph(LayerRequest(), value, names)
    except Exception:  # noqa: BLE001 - code of the module's may raise anything, and what it made is good without
        return b""
    return document


def _checked(layer_graph: bytes) -> bytes:
    if layer_graph:
        unpack_layer_graph(layer_graph)
    return layer_graph


def _open_value(name: object, value: Any) -> SourceParameter:
    if not isinstance(name, str):
        raise _invalid(f"Names of parameters are texts; the creation function gave {show_value(name)}.")
    if _is_tensor(value):
        from mgit.frameworks.torch import read_torch_object  # noqa: PLC0415 - torch for tensors of torch only

        return read_torch_object({name: value}).parameters[0]
    if isinstance(value, LazyTensor):
        value = value[...]
    if not isinstance(value, np.ndarray | np.generic):
        raise _invalid(
            f"Parameters are arrays of numpy or tensors of torch; the creation function gave {show_value(value)} of type "
            f"{type(value).__name__} for {name[:80]!r}."
        )
    return read_arrays({name: np.asarray(value)}).parameters[0]


def _memory_of(value: Any, spec: TensorSpec) -> Hashable:
    """Equal for two values that show the same memory in the same way. Both are still held, so that none took its place."""
    if isinstance(value, LazyTensor):
        return "model", value.digest
    if _is_tensor(value):
        turned = value.is_conj(), value.is_neg()
        return "torch", value.data_ptr(), str(value.device), spec, tuple(value.stride()), turned
    if isinstance(value, np.ndarray):
        return "numpy", value.__array_interface__["data"][0], spec, value.strides, value.dtype.str
    return "scalar", id(value)


def _is_tensor(value: object) -> bool:
    """Whether ``value`` is of torch; who has such a thing has imported torch already."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_CREATION, message)
