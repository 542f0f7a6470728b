"""Models that are computed from the weights of others: averages, and what loses weights or digits."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["State", "average", "prune", "quantize"]

State: TypeAlias = Mapping[str, torch.Tensor]


def average(states: Sequence[State], weights: Sequence[float] | None = None) -> dict[str, torch.Tensor]:
    """The weighted mean of models, tensor by tensor, as federated averaging takes it of what its workers trained.

    Summed in float64 in the order given and rounded once, so the bits depend on that order only. Whole numbers are
    rounded to the nearest.

    Args:
        states: State dicts of equal names and shapes.
        weights: Share of each, such as how many examples it saw; need not add up to 1. None means equal shares.

    Raises:
        InvalidArgumentError: SHAPE_MISMATCH; INVALID_CREATION, for no models, or weights that are none.
    """
    shares = [1.0] * len(states) if weights is None else list(weights)
    total = math.fsum(shares)
    is_wrong = len(shares) != len(states) or any(not share >= 0 for share in shares)
    if not states or is_wrong or not (total > 0 and math.isfinite(total)):
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION,
            f"An average takes at least one model, and for each a finite weight of at least 0, not all 0; found "
            f"{len(states)} models with weights {shares}.",
        )
    first = states[0]
    for position, state in enumerate(states[1:], start=2):
        if {name: each.shape for name, each in state.items()} != {n: each.shape for n, each in first.items()}:
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"Models of one average have equal names and shapes; those of number {position} are others.",
            )
    return {
        name: _mean([state[name] for state in states], [share / total for share in shares]) for name in first
    }


def prune(state: State, share: float, *patterns: str) -> dict[str, torch.Tensor]:
    """A model with the smallest weights of each tensor set to zero, by magnitude; of equal ones the first.

    Args:
        state: A state dict.
        share: How many of each tensor, from 0 to 1; rounded down.
        patterns: Shell patterns over names; without one, all with two or more axes.

    Raises:
        InvalidArgumentError: INVALID_CREATION.
    """
    if not 0 <= share <= 1:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION, f"The share of weights to prune is from 0 to 1; found {share!r}."
        )

    def cut(tensor: torch.Tensor) -> torch.Tensor:
        flat = tensor.detach().clone().reshape(-1)
        smallest = torch.argsort(flat.abs(), stable=True)[: math.floor(share * flat.numel())]
        flat[smallest] = 0
        return flat.reshape(tensor.shape)

    return _changed(state, patterns, cut)


def quantize(state: State, *patterns: str, bits: int = 8) -> dict[str, torch.Tensor]:
    """A model whose weights are rounded to so many bits and kept in their own type (simulated quantization).

    Each tensor has one step, symmetric around zero: its largest magnitude over 2^(bits - 1) - 1.

    Args:
        state: A state dict.
        patterns: Shell patterns over names; without one, all with two or more axes.
        bits: From 2 to 16.

    Raises:
        InvalidArgumentError: INVALID_CREATION, for other bits, or weights that are not finite.
    """
    if not 2 <= bits <= 16:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION, f"Weights are quantized to 2 to 16 bits; found {bits!r}."
        )
    most = 2 ** (bits - 1) - 1

    def coarsen(tensor: torch.Tensor) -> torch.Tensor:
        wide = tensor.detach().double()
        largest = float(wide.abs().max()) if wide.numel() else 0.0
        if not math.isfinite(largest):
            raise InvalidArgumentError(
                ErrorReason.INVALID_CREATION, "Weights that are quantized are finite; found one that is not."
            )
        if not largest:
            return tensor.detach().clone()
        step = largest / most
        steps = torch.round(wide / step).clamp(-most, most)
        coarse: torch.Tensor = (steps * step).to(tensor.dtype)
        return coarse

    return _changed(state, patterns, coarsen)


def _mean(tensors: Sequence[torch.Tensor], shares: Sequence[float]) -> torch.Tensor:
    first = tensors[0]
    wide = torch.complex128 if first.is_complex() else torch.float64
    total = torch.zeros(first.shape, dtype=wide)
    for tensor, share in zip(tensors, shares, strict=True):
        total += tensor.detach().cpu().to(wide) * share
    is_whole = not (first.is_floating_point() or first.is_complex())
    return (torch.round(total) if is_whole else total).to(first.dtype)


def _changed(
    state: State, patterns: Sequence[str], change: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The state with a change of the floating-point tensors that are meant, each once, however many names it has."""
    made: dict[tuple[int, torch.Size, tuple[int, ...]], torch.Tensor] = {}
    found: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        is_meant = any(fnmatch.fnmatchcase(name, each) for each in patterns) if patterns else tensor.ndim > 1
        if not (is_meant and tensor.is_floating_point()):
            found[name] = tensor
            continue
        memory = tensor.data_ptr(), tensor.shape, tensor.stride()
        if memory not in made:
            made[memory] = change(tensor)
        found[name] = made[memory]
    return found
