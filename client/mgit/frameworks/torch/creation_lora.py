"""Low-rank adapters of linear layers: added, trained alone, taken out, and merged."""

from __future__ import annotations

import fnmatch
from typing import Any

import torch

from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError

__all__ = ["LoraLinear", "add_lora", "lora_state", "merge_lora"]

_PARTS = ("lora_down", "lora_up")


class LoraLinear(torch.nn.Module):
    """A linear layer that is frozen, plus a product of two thin matrices that is trained.

    Attributes:
        base: The layer itself.
        scale: Factor of the product.
    """

    def __init__(self, base: torch.nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        self.base = base.requires_grad_(requires_grad=False)
        self.scale = alpha / rank
        weight = base.weight
        down = torch.empty(rank, base.in_features)
        torch.nn.init.kaiming_uniform_(down, a=5**0.5, generator=generator)
        self.lora_down = torch.nn.Parameter(down.to(weight))
        # Zero, so that the model is at first what it was.
        self.lora_up = torch.nn.Parameter(torch.zeros(base.out_features, rank).to(weight))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the layer gives, with the adapter's share."""
        thin = torch.nn.functional.linear(inputs, self.lora_down)
        base: torch.Tensor = self.base(inputs)
        return base + torch.nn.functional.linear(thin, self.lora_up) * self.scale

    def merge(self) -> torch.nn.Linear:
        """The layer with the product added to its weight, summed in float64 and rounded once."""
        with torch.no_grad():
            product = self.lora_up.double() @ self.lora_down.double() * self.scale
            self.base.weight.copy_(self.base.weight.double() + product)
        merged: torch.nn.Linear = self.base
        return merged


def add_lora(
    module: torch.nn.Module, *patterns: str, rank: int = 8, alpha: float | None = None, seed: int = 0
) -> tuple[str, ...]:
    """Put an adapter on each linear layer that fits, in place, and freeze everything else.

    Args:
        module: The module.
        patterns: Shell patterns over names of layers, such as ``*.query``.
        rank: Rows of the thin matrices.
        alpha: The product's factor is ``alpha / rank``; None means a factor of 1.
        seed: Of what the adapters begin with.

    Returns:
        Names of the layers.

    Raises:
        NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits no linear layer.
        InvalidArgumentError: INVALID_CREATION, for a rank below 1.
    """
    if rank < 1:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION, f"An adapter has a rank of at least 1; found {rank!r}."
        )
    layers = {name: each for name, each in module.named_modules() if isinstance(each, torch.nn.Linear)}
    names = tuple(name for name in layers if any(fnmatch.fnmatchcase(name, each) for each in patterns))
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in layers):
            raise NotFoundError(
                ErrorReason.TENSOR_NOT_FOUND,
                f"No linear layer fits {pattern[:80]!r}; the module has {', '.join(list(layers)[:5]) or 'none'}.",
            )
    module.requires_grad_(requires_grad=False)
    generator = torch.Generator().manual_seed(seed)
    for name in names:
        factor = float(rank) if alpha is None else alpha
        _replace(module, name, LoraLinear(layers[name], rank, factor, generator))
    return names


def lora_state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The adapters alone, as a state dict: what is stored of a model that is adapted from its base."""
    return {name: tensor for name, tensor in module.state_dict().items() if name.rpartition(".")[2] in _PARTS}


def merge_lora(module: Any) -> Any:
    """Merge every adapter into its layer, in place, so that the module has the shape that it had; gives it back."""
    adapted = [(name, each) for name, each in module.named_modules() if isinstance(each, LoraLinear)]
    for name, layer in adapted:
        _replace(module, name, layer.merge())
    return module


def _replace(module: torch.nn.Module, name: str, layer: torch.nn.Module) -> None:
    path, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(path), attribute, layer)
