"""Reads and gives torch state dicts."""

from __future__ import annotations

import contextlib
import pickle
import pickletools
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from mgit.frameworks.source import BufferContent, Content, Source, SourceParameter, block_at
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
)
from mgit_core.tensor import AnyArray, TensorSpec

try:
    import torch
except ImportError as _error:
    raise FailedPreconditionError(
        ErrorReason.FRAMEWORK_MISSING,
        "This input or output needs torch: pip install 'mgit-lineage[torch]'.",
        framework="torch",
    ) from _error

__all__ = ["is_torch_object", "read_torch_file", "read_torch_object", "to_state_dict", "write_torch_file"]

_DTYPE_NAMES: dict[torch.dtype, str] = {
    torch.bool: "bool",
    torch.complex64: "complex64",
    torch.complex128: "complex128",
    **{
        getattr(torch, name): name
        for name in (
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
            *("float16", "bfloat16", "float32", "float64"),
            *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
        )
    },
}
_DTYPES = {name: dtype for dtype, name in _DTYPE_NAMES.items()}
_STATE_KEYS = ("state_dict", "model_state_dict", "model", "module")
# What the restricted unpickler says when a file wants to name or call something that is no tensor.
_CODE_WORDS = ("unsupported global", "global ", "unsupported class", "was not an allowed", "reduce", "build ")

# Operations of a pickle that name something to be imported, or call it.
_CODE_OPERATIONS = frozenset(
    {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD"}
)


@dataclass(frozen=True, slots=True)
class _TensorContent:
    """The C-order bytes of a tensor of any strides on any device, a chunk at a time."""

    spec: TensorSpec
    tensor: torch.Tensor

    def read(self, start: int, stop: int) -> memoryview:
        block = self.tensor[block_at(self.spec, start)]
        view = _bytes_of(block.resolve_conj().resolve_neg().cpu().contiguous())
        if len(view) != stop - start:
            raise AssertionError("a chunk of rule c1 is one block")
        return view


def is_torch_object(value: object) -> bool:
    """Whether ``value`` is a module, or a dict with tensors in it."""
    return isinstance(value, torch.nn.Module) or (
        isinstance(value, Mapping) and any(isinstance(item, torch.Tensor) for item in value.values())
    )


def read_torch_object(value: object) -> Source:
    """The model that a module or a state dict is; tensors that share one memory become ties.

    Raises:
        InvalidArgumentError: UNREADABLE_INPUT or UNKNOWN_DTYPE.
    """
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    return _read_state(value, prefix="", where="the state dict")


def read_torch_file(path: Path, *, prefix: str = "") -> Source:
    """The state dict in a file of ``torch.save``, loaded weights-only: no code of the file is ever run.

    Raises:
        NotFoundError: PATH_NOT_FOUND.
        InvalidArgumentError: UNSAFE_PICKLE if the file holds more than tensors and plain values;
            UNREADABLE_INPUT.
    """
    return _read_state(_load(path), prefix=prefix, where=path.name)


def to_state_dict(arrays: Mapping[str, AnyArray], dtypes: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Tensors over the memory of ``arrays``; names that show one array get one tensor.

    Args:
        arrays: Writable and in C order.
        dtypes: Name of the data type of each.
    """
    made: dict[int, torch.Tensor] = {}
    state: dict[str, torch.Tensor] = {}
    for name, array in arrays.items():
        tensor = made.get(id(array))
        if tensor is None:
            tensor = made[id(array)] = _to_tensor(array, _DTYPES[dtypes[name]])
        state[name] = tensor
    return state


def write_torch_file(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write ``state`` as ``torch.save`` does."""
    torch.save(dict(state), path)


def _to_tensor(array: AnyArray, dtype: torch.dtype) -> torch.Tensor:
    if not array.size:
        return torch.empty(array.shape, dtype=dtype)
    flat = torch.from_numpy(array.reshape(-1).view(np.uint8))
    return flat.view(dtype).reshape(array.shape)


def _load(path: Path) -> object:
    if not path.is_file():
        raise NotFoundError(ErrorReason.PATH_NOT_FOUND, f"There is no file {path}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It tells of pickle protocols, which end in an error anyway.
            # Only the zip form, torch's default since 1.6, can be mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except (
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        TypeError,
        OSError,
    ) as error:
        raise _unreadable(path.name, f"torch cannot load it ({type(error).__name__})") from error


def _refused(path: Path, text: str) -> MGitError:
    if not any(word in text.lower() for word in _CODE_WORDS) and not _names_code(path):
        return _unreadable(path.name, "it is no file of torch.save")
    return InvalidArgumentError(
        ErrorReason.UNSAFE_PICKLE,
        f"{path.name} holds more than tensors and plain values. It was not run. Save its state dict "
        "alone, or as safetensors.",
        file=path.name,
    )


def _names_code(path: Path) -> bool:
    """Whether the file is a pickle that names or calls something; it is looked through, not loaded."""
    try:
        with _open_pickle(path) as file:
            return any(operation.name in _CODE_OPERATIONS for operation, _, _ in pickletools.genops(file))
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
        return False


@contextlib.contextmanager
def _open_pickle(path: Path) -> Generator[IO[bytes]]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith("data.pkl")), "data.pkl")
        with archive.open(name) as file:
            yield file


def _read_state(value: object, *, prefix: str, where: str) -> Source:
    state = _find_state(value, where)
    parameters: list[SourceParameter] = []
    shared: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for name, tensor in state.items():
        spec = _spec_of(name, tensor, where)
        parameters.append(SourceParameter(name=prefix + name, spec=spec, content=_content(spec, tensor)))
        if spec.size_bytes:
            key = (tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride())
            shared[key].append(prefix + name)
    ties = tuple(tuple(names) for names in shared.values() if len(names) > 1)
    return Source(source_format="torch", parameters=tuple(parameters), ties=ties)


def _find_state(value: object, where: str) -> dict[str, torch.Tensor]:
    """The state dict itself, or the one that a checkpoint holds under one of the usual keys."""
    candidates: Iterable[object] = [value]
    if isinstance(value, Mapping):
        candidates = [value, *(value[key] for key in _STATE_KEYS if key in value)]
    for candidate in candidates:
        if isinstance(candidate, Mapping) and candidate:
            state: dict[str, torch.Tensor] = dict(candidate)
            if all(_is_entry(name, item) for name, item in state.items()):
                return state
    raise _unreadable(where, f"it is no state dict: {_what_is_wrong(value)}")


def _is_entry(name: object, item: object) -> bool:
    return isinstance(name, str) and isinstance(item, torch.Tensor)


def _what_is_wrong(value: object) -> str:
    if not isinstance(value, Mapping):
        return f"found {type(value).__name__}"
    if not value:
        return "it is empty"
    name, item = next((name, item) for name, item in value.items() if not _is_entry(name, item))
    return f"{str(name)[:80]!r} is of type {type(item).__name__}, not a tensor"


def _spec_of(name: str, tensor: torch.Tensor, where: str) -> TensorSpec:
    dtype = _DTYPE_NAMES.get(tensor.dtype)
    if dtype is None or tensor.is_quantized:
        raise InvalidArgumentError(
            ErrorReason.UNKNOWN_DTYPE,
            f"Tensor {name[:80]!r} of {where} has type {tensor.dtype}, which is not known.",
        )
    if tensor.layout is not torch.strided or tensor.is_meta:
        raise _unreadable(where, f"tensor {name[:80]!r} is sparse or has no bytes")
    return TensorSpec(dtype, tuple(tensor.shape))


def _content(spec: TensorSpec, tensor: torch.Tensor) -> Content:
    tensor = tensor.detach()
    is_plain = (
        tensor.device.type == "cpu"
        and tensor.is_contiguous()
        and not tensor.is_conj()
        and not tensor.is_neg()
    )
    return BufferContent(_bytes_of(tensor)) if is_plain else _TensorContent(spec, tensor)


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """The bytes of a contiguous tensor on the CPU, shared with it; also of types that numpy lacks."""
    if not tensor.numel():
        return memoryview(b"")
    flat: Any = tensor.reshape(-1).view(torch.uint8).numpy()
    return memoryview(flat).toreadonly()


def _unreadable(where: str, found: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.UNREADABLE_INPUT, f"{where} cannot be read: {found}.", file=where)
