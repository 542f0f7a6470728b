"""Adapters alone: folders that hold the two factors of low-rank changes and not what they change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mgit_core.manifest import Manifest
from mgit_core.prediction.relatives import Relative
from mgit_core.tensor import TensorSpec

__all__ = ["Factors", "factors_of"]

_HALF = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\b")
# A classifier that was trained beside them may be saved with the factors.
_LEAST_FACTORS = 0.5
_LEAST_FITTING = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """What an adapter changes.

    Attributes:
        shapes: Shape of each changed weight, by its module.
        rank: Largest rank.
    """

    shapes: Mapping[str, tuple[int, int]]
    rank: int

    def fit(self, base: Manifest) -> bool:
        """Whether ``base`` has the weights that are changed, by name and shape."""
        lookup = Relative(parameters=base)
        fitting = sum(
            (found := lookup.find(f"{module}.weight", TensorSpec("float32", shape))) is not None
            and found.name.endswith(_last(module))
            and found.spec.shape == shape
            for module, shape in self.shapes.items()
        )
        return fitting >= _LEAST_FITTING * len(self.shapes)


def factors_of(manifest: Manifest) -> Factors | None:
    """The factors, if a parameter set holds mostly such."""
    halves: dict[str, dict[str, tuple[int, ...]]] = {}
    count = 0
    for parameter in manifest.parameters:
        found = _HALF.match(parameter.name)
        if found is not None and len(parameter.spec.shape) == 2:
            halves.setdefault(found["module"], {})[found["side"]] = parameter.spec.shape
            count += 1
    pairs = {module: sides for module, sides in halves.items() if len(sides) == 2}
    if not pairs or count < _LEAST_FACTORS * len(manifest.parameters):
        return None
    return Factors(
        shapes={module: (sides["B"][0], sides["A"][1]) for module, sides in pairs.items()},
        rank=max(sides["A"][0] for sides in pairs.values()),
    )


def _last(module: str) -> str:
    return f"{module.rpartition('.')[2]}.weight"
