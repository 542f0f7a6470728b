"""Which parameters of two models stand for each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mgit_core.diff.structural import own_name
from mgit_core.diff.values import LayerDiff, ParameterDiff, ParameterSide
from mgit_core.manifest import Parameter

__all__ = ["PairedParameter", "pair_parameters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedParameter:
    """A parameter before and after. At least one of the two is there."""

    before: Parameter | None
    after: Parameter | None

    def as_diff(self) -> ParameterDiff:
        """What manifests tell of how it differs."""
        return ParameterDiff(before=_side(self.before), after=_side(self.after))


def _side(parameter: Parameter | None) -> ParameterSide | None:
    if parameter is None:
        return None
    return ParameterSide(name=parameter.name, spec=parameter.spec, digest=parameter.digest)


def pair_parameters(
    before: Sequence[Parameter], after: Sequence[Parameter], layers: Iterable[LayerDiff]
) -> list[PairedParameter]:
    """All parameters of two models, each once, in the order of before, then added ones in the order of after.

    Parameters of layers that stand for each other are paired by their names within the layer, then by digest, then as
    the only ones of their shape. What is left is paired by its whole name, and then by digest.

    Args:
        before: Parameters of the one model.
        after: Parameters of the other.
        layers: Every layer of both; those of one side alone say nothing here.
    """
    pairing = _Pairing(before, after)
    for layer in layers:
        pairing.pair_layer(layer)
    pairing.pair_rest()
    return list(pairing.pairs())


class _Pairing:
    """Pairs that grow."""

    def __init__(self, before: Sequence[Parameter], after: Sequence[Parameter]) -> None:
        self._before = {parameter.name: parameter for parameter in before}
        self._after = {parameter.name: parameter for parameter in after}
        self._images: dict[str, str] = {}
        self._used: set[str] = set()

    def pair_layer(self, layer: LayerDiff) -> None:
        """Pair the parameters of a layer that both models have."""
        before, after = layer.before, layer.after
        if before is None or after is None:
            return
        own = [self._before[name] for name in before.parameters if name in self._before]
        theirs = [self._after[name] for name in after.parameters if name in self._after]
        names = {each.name: own_name(before, each.name) for each in own}
        other_names = {each.name: own_name(after, each.name) for each in theirs}
        self._pair_alone(own, theirs, lambda each: names[each.name], lambda each: other_names[each.name])
        self._pair_alone(own, theirs, _digest, _digest)
        self._pair_alone(own, theirs, _shape, _shape)

    def pair_rest(self) -> None:
        """Pair what no layer paired."""
        before, after = list(self._before.values()), list(self._after.values())
        self._pair_alone(before, after, _name, _name)
        self._pair_in_order(before, after)

    def pairs(self) -> Iterator[PairedParameter]:
        """Every parameter once."""
        for name, parameter in self._before.items():
            image = self._images.get(name)
            yield PairedParameter(before=parameter, after=None if image is None else self._after[image])
        for name, parameter in self._after.items():
            if name not in self._used:
                yield PairedParameter(before=None, after=parameter)

    def _pair_alone(
        self,
        before: Sequence[Parameter],
        after: Sequence[Parameter],
        key: Callable[[Parameter], Hashable],
        other_key: Callable[[Parameter], Hashable],
    ) -> None:
        """Pair those that alone have a key on both sides."""
        waiting, others = self._waiting(before, after, key, other_key)
        for found, own in waiting.items():
            if len(own) == len(others.get(found, ())) == 1:
                self._pair(own[0], others[found][0])

    def _pair_in_order(self, before: Sequence[Parameter], after: Sequence[Parameter]) -> None:
        """Pair equal tensors; of several the first with the first."""
        waiting, others = self._waiting(before, after, _digest, _digest)
        for found, own in waiting.items():
            for one, other in zip(own, others.get(found, ()), strict=False):
                self._pair(one, other)

    def _waiting(
        self,
        before: Sequence[Parameter],
        after: Sequence[Parameter],
        key: Callable[[Parameter], Hashable],
        other_key: Callable[[Parameter], Hashable],
    ) -> tuple[dict[Hashable, list[Parameter]], dict[Hashable, list[Parameter]]]:
        waiting: dict[Hashable, list[Parameter]] = defaultdict(list)
        others: dict[Hashable, list[Parameter]] = defaultdict(list)
        for parameter in before:
            if parameter.name not in self._images:
                waiting[key(parameter)].append(parameter)
        for parameter in after:
            if parameter.name not in self._used:
                others[other_key(parameter)].append(parameter)
        return waiting, others

    def _pair(self, one: Parameter, other: Parameter) -> None:
        self._images[one.name] = other.name
        self._used.add(other.name)


def _name(parameter: Parameter) -> Hashable:
    return parameter.name


def _digest(parameter: Parameter) -> Hashable:
    return parameter.digest


def _shape(parameter: Parameter) -> Hashable:
    return parameter.spec.shape
