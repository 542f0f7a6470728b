"""Which tensor of a relative stands for which of a model, and how many of them are the very same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mgit_core.inference.samples import is_float
from mgit_core.manifest import Manifest, Parameter
from mgit_core.prediction.relatives import Relative

__all__ = ["Pairing", "pair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Two models, tensor by tensor. Integers and booleans do not count: they are the same in strangers.

    Attributes:
        counterparts: The relative's parameter of the same shape, by the model's parameter name.
        equal: Names of those that are bit-equal.
        reshaped: Names of the model's parameters whose counterpart has another shape.
        added: Names of the model's parameters without any counterpart.
        dropped: The relative's parameters that stand for none of the model's.
    """

    counterparts: Mapping[str, Parameter]
    equal: frozenset[str]
    reshaped: tuple[str, ...]
    added: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def has_other_head(self) -> bool:
        """Whether either has tensors that the other has not, or in another shape."""
        return bool(self.reshaped or self.added or self.dropped)


def pair(model: Manifest, relative: Manifest) -> Pairing:
    """The pairing of ``model`` with a relative."""
    lookup = Relative(parameters=relative)
    counterparts: dict[str, Parameter] = {}
    equal: set[str] = set()
    reshaped: list[str] = []
    added: list[str] = []
    used: set[str] = set()
    for parameter in model.parameters:
        if not is_float(parameter.spec):
            continue
        found = lookup.find(parameter.name, parameter.spec)
        if found is None or not is_float(found.spec) or found.name in used:
            added.append(parameter.name)
            continue
        used.add(found.name)
        if found.spec.shape != parameter.spec.shape:
            reshaped.append(parameter.name)
            continue
        counterparts[parameter.name] = found
        if found.digest == parameter.digest:
            equal.add(parameter.name)
    dropped = [each.name for each in relative.parameters if is_float(each.spec) and each.name not in used]
    return Pairing(
        counterparts=counterparts,
        equal=frozenset(equal),
        reshaped=tuple(reshaped),
        added=tuple(added),
        dropped=tuple(dropped),
    )
