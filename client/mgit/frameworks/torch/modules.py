"""The modules of a torch model that own parameters, as layers without data flow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

from mgit_core.layers.graph import AttributeValue, Layer

__all__ = ["TiedNames", "owning_modules"]

# What fixes the shape of the modules of torch.nn, and of some that are written like them.
_ATTRIBUTES = (
    *("in_features", "out_features", "in_channels", "out_channels", "kernel_size", "stride", "padding"),
    *("dilation", "groups", "transposed", "num_features", "num_groups", "num_channels", "normalized_shape"),
    *("num_embeddings", "embedding_dim", "padding_idx", "embed_dim", "num_heads", "kdim", "vdim", "nf", "nx"),
    *("input_size", "hidden_size", "proj_size", "num_layers", "bidirectional", "batch_first"),
)


def owning_modules(module: torch.nn.Module) -> tuple[Layer, ...]:
    """Each module that owns entries of the state dict, in the order of the state dict.

    The outermost module, unless it has no parts with parameters, makes a layer of each of its own: it is called once,
    but each of them is used in a place of its own.
    """
    state = module.state_dict()
    owned: defaultdict[str, list[str]] = defaultdict(list)
    for name in state:
        owned[name.rpartition(".")[0]].append(name)
    modules = dict(module.named_modules(remove_duplicate=False))
    layers: list[Layer] = []
    for path, names in owned.items():
        if path or len(owned) == 1:
            layers.append(_layer(path, modules.get(path), {name: tuple(state[name].shape) for name in names}))
        else:
            layers += [_lone_parameter(name, tuple(state[name].shape)) for name in names]
    return tuple(layers)


def _layer(path: str, module: torch.nn.Module | None, shapes: dict[str, tuple[int, ...]]) -> Layer:
    attributes: dict[str, AttributeValue] = {} if module is None else _attributes(module)
    if not attributes:
        attributes |= {f"shape_{at}": shape for at, shape in enumerate(list(shapes.values())[:99])}
    bias: object = getattr(module, "bias", ...)
    if bias is not ...:
        attributes["bias"] = bias is not None and bias is not False
    kind = "Parameters" if module is None else type(module).__name__
    return Layer(path=path, kind=kind, attributes=attributes, parameters=tuple(shapes))


def _lone_parameter(name: str, shape: tuple[int, ...]) -> Layer:
    return Layer(path=name, kind="Parameter", attributes={"shape_0": shape}, parameters=(name,))


def _attributes(module: torch.nn.Module) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for name in _ATTRIBUTES:
        value = getattr(module, name, None)
        if isinstance(value, str | int):
            found[name] = value
        elif isinstance(value, tuple) and all(isinstance(item, int) for item in value):
            found[name] = tuple(map(int, value))
    return found


class TiedNames:
    """Names of the entries of a state dict by the memory that they show."""

    def __init__(self, module: torch.nn.Module) -> None:
        """The names of all entries of the state dict of ``module``."""
        self._names: defaultdict[int, list[str]] = defaultdict(list)
        self._stored = module.state_dict(keep_vars=True)
        for name, tensor in self._stored.items():
            self._names[id(tensor)].append(name)
        self._tensors = {
            **dict(module.named_parameters(remove_duplicate=False)),
            **dict(module.named_buffers(remove_duplicate=False)),
        }

    def below(self, path: str) -> list[str]:
        """The stored names of what the module at ``path`` and its parts own."""
        return [name for name in self._stored if name.startswith(f"{path}.")]

    def in_module(self, name: str, path: str) -> str | None:
        """The name that the tensor ``name`` has in the module at ``path``, else its first one; None if not stored.

        Args:
            name: Any name of a parameter or buffer.
            path: Path of the module that takes it.
        """
        names: Iterable[str] = self._names.get(id(self._tensors.get(name)), ())
        own = next((each for each in names if each.rpartition(".")[0] == path), None)
        return own or next(iter(names), None)
