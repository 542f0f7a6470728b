"""The model that a guard gets: tensors that are read when they are asked for."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from mgit.frameworks.source import Source, SourceParameter
    from mgit_core.tensor import AnyArray

__all__ = ["GuardedModel"]


class GuardedModel(Mapping[str, "AnyArray"]):
    """A model that is not added yet: numpy arrays by parameter name, in the model's order.

    Each array is read when it is indexed and belongs to the caller. ``load`` and ``tensors`` are those of
    ``mgit.Model``, so that a function which measures a model of a repository measures this one too.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parameters = {parameter.name: parameter for parameter in source.parameters}

    def __getitem__(self, name: str) -> AnyArray:
        return _read(self._parameters[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"<model of {len(self)} tensors for a guard>"

    @property
    def source(self) -> Source:
        """Where its bytes come from."""
        return self._source

    @property
    def tensors(self) -> Mapping[str, AnyArray]:
        """The arrays by name: the model itself."""
        return self

    def load(
        self, framework: Literal["numpy", "torch"] = "numpy", *, tensors: Sequence[str] = ()
    ) -> dict[str, Any]:
        """All parameters in memory, as ``mgit.Model.load`` gives them.

        Args:
            framework: ``numpy`` gives arrays, ``torch`` a state dict on the CPU.
            tensors: Shell patterns over parameter names; empty means all.

        Raises:
            NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits no parameter.
            InvalidArgumentError: INVALID_ARGUMENT.
            FailedPreconditionError: FRAMEWORK_MISSING.
        """
        if framework not in {"numpy", "torch"}:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"A framework is numpy or torch; found {framework!r}."
            )
        arrays = {name: self[name] for name in self._select(tensors)}
        if framework == "numpy":
            return arrays
        from mgit.frameworks.torch import to_state_dict  # noqa: PLC0415 - torch for torch outputs only

        dtypes = {name: self._parameters[name].spec.dtype for name in arrays}
        return dict(to_state_dict(arrays, dtypes))

    def _select(self, patterns: Sequence[str]) -> list[str]:
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(name, pattern) for name in self._parameters):
                raise NotFoundError(
                    ErrorReason.TENSOR_NOT_FOUND, f"No parameter of the model fits {pattern[:80]!r}."
                )
        return [
            name
            for name in self._parameters
            if not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        ]


def _read(parameter: SourceParameter) -> AnyArray:
    import numpy as np  # noqa: PLC0415 - declaring a guard does without numpy

    from mgit.frameworks.source import bytes_of  # noqa: PLC0415 - as above
    from mgit_core.chunking import chunk_ranges  # noqa: PLC0415 - as above
    from mgit_core.tensor import dtype_named  # noqa: PLC0415 - as above

    spec = parameter.spec
    array: AnyArray = np.empty(spec.shape, dtype_named(spec.dtype))
    view = bytes_of(array)
    for start, stop in chunk_ranges(spec):
        view[start:stop] = parameter.content.read(start, stop)
    return array
