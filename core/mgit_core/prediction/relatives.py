"""Relatives of a model, and which of their tensors stands for a tensor of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mgit_core.lineage import Relation
from mgit_core.manifest import Manifest, Parameter
from mgit_core.tensor import TensorSpec

__all__ = ["Relative"]

# "weight" alone says nothing; "query.weight" does.
_FEWEST_COMPONENTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """A model that another may be predicted from.

    Attributes:
        parameters: What it is made of.
        relation: How the other was made from it; None if nobody says that it was.
        weight: Its share in a merge, if that is known.
        hops: Edges between the two, 1 for a parent; large for one that was found by likeness.
    """

    parameters: Manifest
    relation: Relation | None = None
    weight: float | None = None
    hops: int = 1
    _index: _NameIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the names once; a planner asks for each tensor."""
        object.__setattr__(self, "_index", _NameIndex(self.parameters))

    def find(self, name: str, spec: TensorSpec) -> Parameter | None:
        """The parameter that stands for ``name``, or None.

        First the same name; then the same name behind a prefix that one of the two has more; then the only one
        of that shape, whatever its data type. A name decides also where the shapes differ, as they do where a
        head was resized, if there are as many axes.
        """
        return self._index.find(name, spec)

    def adapter_of(self, name: str) -> tuple[Parameter, Parameter] | None:
        """Factors ``lora_B`` and ``lora_A`` of a PEFT adapter for the weight ``name``, or None."""
        return self._index.adapters.get(_module_of(name))


class _NameIndex:
    """A manifest's parameters by all that they may be looked up by."""

    __slots__ = ("_by_name", "_by_shape", "_by_suffix", "adapters")

    def __init__(self, manifest: Manifest) -> None:
        self._by_name = {parameter.name: parameter for parameter in manifest.parameters}
        self._by_suffix: dict[str, Parameter | None] = {}
        self._by_shape: dict[tuple[int, ...], Parameter | None] = {}
        for parameter in manifest.parameters:
            for suffix in _suffixes(parameter.name):
                self._by_suffix[suffix] = None if suffix in self._by_suffix else parameter
            shape = parameter.spec.shape
            self._by_shape[shape] = None if shape in self._by_shape else parameter
        self.adapters = _adapters(manifest)

    def find(self, name: str, spec: TensorSpec) -> Parameter | None:
        found = self._by_name.get(name) or self._by_suffix.get(name)
        if found is None:
            named = (self._by_name.get(suffix) for suffix in _suffixes(name))
            found = next((parameter for parameter in named if parameter is not None), None)
        if found is not None and len(found.spec.shape) == len(spec.shape):
            return found
        return self._by_shape.get(spec.shape)


def _suffixes(name: str) -> Iterator[str]:
    """The name without its first component, without its first two, and so on."""
    components = name.split(".")
    for start in range(1, len(components) - _FEWEST_COMPONENTS + 1):
        yield ".".join(components[start:])


def _module_of(name: str) -> str:
    return name.removesuffix(".weight")


def _adapters(manifest: Manifest) -> dict[str, tuple[Parameter, Parameter]]:
    """Pairs of ``lora_B`` and ``lora_A`` by the module that they belong to, also behind shorter prefixes."""
    halves: dict[tuple[str, str], Parameter] = {}
    for parameter in manifest.parameters:
        module, dot, rest = parameter.name.partition(".lora_")
        if dot and rest[:1] in {"A", "B"} and len(parameter.spec.shape) == 2:
            halves[module, rest[:1]] = parameter
    pairs: dict[str, tuple[Parameter, Parameter]] = {}
    for (module, side), output in halves.items():
        into = halves.get((module, "A"))
        if side == "B" and into is not None:
            for name in (module, *_suffixes(module)):
                pairs.setdefault(name, (output, into))
    return pairs
