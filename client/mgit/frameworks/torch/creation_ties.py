"""Parameters that models share, take over, or must not change (paper, section 3: ENTANGLE, INIT_FROM, FREEZE)."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, NotFoundError

__all__ = ["Frozen", "Initialization", "freeze", "initialize_from", "tie"]


def tie(models: Mapping[str, torch.nn.Module], *patterns: str) -> tuple[str, ...]:
    """Let models share their tensors of some names: those of the first are those of all from now on.

    Training one of them trains all; a creation function that gives them makes models with the same bytes there.

    Args:
        models: By name; each has all tensors that fit a pattern in the first one, in the same shape and type.
        patterns: Shell patterns over names of parameters and buffers, such as ``encoder.*``.

    Returns:
        Names of what is tied.

    Raises:
        NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits nothing, or a model that lacks a tensor.
        InvalidArgumentError: SHAPE_MISMATCH.
    """
    first, *others = models.values()
    shared = _tensors_of(first)
    names = _fitting(shared, patterns)
    for label, model in list(models.items())[1:]:
        own = _tensors_of(model)
        for name in names:
            if name not in own:
                raise NotFoundError(
                    ErrorReason.TENSOR_NOT_FOUND, f"Model {label} has no tensor {name!r} to tie."
                )
            _check_alike(name, shared[name], own[name], f"model {label}")
    for model in others:
        for name in names:
            path, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(path), attribute, shared[name])
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialization:
    """What a model took over from another.

    Attributes:
        copied: Names of tensors that it has from there.
        kept: Names of its others.
    """

    copied: tuple[str, ...]
    kept: tuple[str, ...]


def initialize_from(child: torch.nn.Module, parent: Any, *patterns: str) -> Initialization:
    """Copy tensors of a parent into a child, where names, shapes and types agree; says which were copied.

    Args:
        child: Changed in place.
        parent: A state dict, a module, or a parent as a creation function gets it.
        patterns: Shell patterns over names; a tensor that fits one must be copied. Without one all that agree are.

    Raises:
        NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits nothing in the child, or a tensor that the parent lacks.
        InvalidArgumentError: SHAPE_MISMATCH, for a tensor that fits a pattern but not the parent's.
    """
    source = _state_of(parent)
    own = _tensors_of(child)
    if patterns:
        copied = _fitting(own, patterns)
        for name in copied:
            if name not in source:
                raise NotFoundError(ErrorReason.TENSOR_NOT_FOUND, f"The parent has no tensor {name!r}.")
            _check_alike(name, source[name], own[name], "the child")
    else:
        copied = tuple(name for name in own if name in source and _is_alike(source[name], own[name]))
    with torch.no_grad():
        for name in copied:
            own[name].copy_(source[name])
    return Initialization(copied=copied, kept=tuple(name for name in own if name not in set(copied)))


class Frozen:
    """Tensors that must stay as they are. Its context checks them at the end.

    Attributes:
        names: Their names.
    """

    def __init__(self, module: torch.nn.Module, names: Iterable[str]) -> None:
        self._module = module
        self.names = tuple(names)
        tensors = _tensors_of(module)
        for name in self.names:
            tensors[name].requires_grad_(False)
        self._digests = {name: _digest_of(tensors[name]) for name in self.names}

    def check(self) -> None:
        """Refuse a module whose frozen tensors are not bit for bit what they were.

        Raises:
            FailedPreconditionError: CREATION_FAILED, naming the first.
        """
        tensors = _tensors_of(self._module)
        for name in self.names:
            if name not in tensors or _digest_of(tensors[name]) != self._digests[name]:
                raise FailedPreconditionError(
                    ErrorReason.CREATION_FAILED,
                    f"Tensor {name!r} was frozen, and was changed all the same. Buffers, such as the running means of "
                    "a batch norm, change in training mode whatever is frozen.",
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.check()


def freeze(module: torch.nn.Module, *patterns: str) -> Frozen:
    """Take tensors out of training; what this gives checks that they stayed bit for bit what they are now.

    Args:
        module: The module.
        patterns: Shell patterns over names of parameters and buffers.

    Raises:
        NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits nothing.
    """
    return Frozen(module, _fitting(_tensors_of(module), patterns))


def _tensors_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers themselves, by the names of the state dict; tied ones under each of theirs."""
    named = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    return {name: named[name] for name in module.state_dict() if name in named}


def _state_of(parent: Any) -> Mapping[str, torch.Tensor]:
    if isinstance(parent, torch.nn.Module):
        return _tensors_of(parent)
    if isinstance(parent, Mapping):
        return parent
    state: Mapping[str, torch.Tensor] = parent.load("torch", progress=None)
    return state


def _fitting(tensors: Mapping[str, torch.Tensor], patterns: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(patterns)
    for pattern in wanted:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in tensors):
            raise NotFoundError(
                ErrorReason.TENSOR_NOT_FOUND,
                f"No tensor of the module fits {pattern[:80]!r}; it has {', '.join(list(tensors)[:5])}.",
            )
    return tuple(name for name in tensors if any(fnmatch.fnmatchcase(name, each) for each in wanted))


def _is_alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype


def _check_alike(name: str, one: torch.Tensor, other: torch.Tensor, whose: str) -> None:
    if not _is_alike(one, other):
        raise InvalidArgumentError(
            ErrorReason.SHAPE_MISMATCH,
            f"Tensor {name!r} is {one.dtype} {list(one.shape)}, and {other.dtype} {list(other.shape)} in {whose}.",
        )


def _digest_of(tensor: torch.Tensor) -> Digest:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    content: Any = flat.view(torch.uint8).numpy() if flat.numel() else b""
    return digest_of(DigestAlgorithm.BLAKE3, memoryview(content))
