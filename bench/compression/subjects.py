"""What is compressed: weight files with the file that each one's differences are taken from."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from examples.minilm.family import Built

from mgit_core.safetensors import SafetensorsHeader, parse_header
from mgit_core.tensor import TensorSpec

__all__ = ["Subject", "Tensor", "Weights", "subjects_of"]

_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a file."""

    name: str
    spec: TensorSpec
    content: memoryview


class Weights:
    """A safetensors file, mapped."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @property
    def content(self) -> memoryview:
        """The whole file."""
        return memoryview(self._map)

    @cached_property
    def _header(self) -> SafetensorsHeader:
        return parse_header(self._map, len(self._map))

    @property
    def header(self) -> memoryview:
        """The bytes before the tensors."""
        return self.content[: self._header.length]

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """By name, in the order of their bytes."""
        return {
            tensor.name: Tensor(tensor.name, tensor.spec, self.content[tensor.start : tensor.stop])
            for tensor in self._header.tensors
        }

    def counterpart(self, tensor: Tensor) -> Tensor | None:
        """The tensor of the same name, type and shape."""
        found = self.tensors.get(tensor.name)
        return found if found is not None and found.spec == tensor.spec else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A member as the schemes see it.

    Attributes:
        ref: Its reference.
        dtype: Type of its floats: float32, bfloat16 or float16.
        weights: Its weight file.
        base: What a scheme that takes differences takes them from: the first parent of the same type.
        built: The member.
    """

    ref: str
    dtype: str
    weights: Weights
    base: Subject | None
    built: Built

    @property
    def size_bytes(self) -> int:
        """Bytes of the weight file."""
        return len(self.weights.content)


def subjects_of(members: Sequence[Built]) -> list[Subject]:
    """The whole models among the members, in order; adapters are left out."""
    subjects: dict[str, Subject] = {}
    for built in members:
        if built.member.is_adapter:
            continue
        weights = Weights(built.path / _WEIGHTS)
        dtype = next(tensor.spec.dtype for tensor in weights.tensors.values() if "float" in tensor.spec.dtype)
        parents = [built.member.same_dtype, *(parent for parent, _ in built.member.parents)]
        bases = [subjects[parent] for parent in parents if parent in subjects]
        base = next((base for base in bases if base.dtype == dtype), None)
        subjects[built.ref] = Subject(ref=built.ref, dtype=dtype, weights=weights, base=base, built=built)
    return list(subjects.values())
