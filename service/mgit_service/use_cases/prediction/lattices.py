"""Where guarded loss began with the tensors of a model: told by its uploader, or by the record that is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mgit_core.errors import CorruptError, InvalidArgumentError, NotFoundError
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest, Parameter
from mgit_core.names import Reference
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.prediction.planning import LatticeBase
from mgit_service.use_cases.references import find_model

__all__ = ["MAX_HINTS", "LatticeHint", "find_lattices", "lattices_of_model"]

MAX_HINTS = 100_000
"""Most lattice hints of one upload."""


@dataclass(frozen=True, slots=True)
class LatticeHint:
    """Says that a parameter is a base plus whole multiples of a step.

    Attributes:
        parameter: Parameter name.
        base: Reference of the model whose parameter of that name is the base.
        step: The step.
    """

    parameter: str
    base: str
    step: float


async def find_lattices(
    backend: Backend, parameters: Iterable[Parameter], hints: Iterable[LatticeHint]
) -> dict[str, LatticeBase]:
    """The bases of those hints that can be used, by parameter name.

    A hint cannot be used if its base is not there, has no such parameter of the same type and shape, or if its
    step is no number above 0. That is no error: it is the reason for which hints are not more than hints.
    """
    own = {parameter.name: parameter for parameter in parameters}
    bases: dict[str, Mapping[str, Parameter]] = {}
    lattices: dict[str, LatticeBase] = {}
    for hint in hints:
        if hint.base not in bases:
            bases[hint.base] = await _parameters_of(backend, hint.base)
        parameter, base = own.get(hint.parameter), bases[hint.base].get(hint.parameter)
        is_step = math.isfinite(hint.step) and hint.step > 0
        if parameter is not None and base is not None and parameter.spec == base.spec and is_step:
            lattices[hint.parameter] = LatticeBase(base, hint.step)
    return lattices


async def lattices_of_model(backend: Backend, model: Model, manifest: Manifest) -> dict[str, LatticeBase]:
    """The bases of a model that guarded loss was done to; none for others.

    Args:
        backend: Store and graph.
        model: The model, with its record.
        manifest: What it is made of.
    """
    if model.loss is None:
        return {}
    base = str(Reference(uid=model.loss.base_uid))
    hints = [LatticeHint(tensor.name, base, tensor.step) for tensor in model.loss.tensors]
    return await find_lattices(backend, manifest.parameters, hints)


async def _parameters_of(backend: Backend, reference: str) -> Mapping[str, Parameter]:
    try:
        model = await find_model(backend.lineage, reference)
        if model.parameters is None or not model.parameters.is_whole:
            return {}
        manifest = await in_thread(backend, backend.parameters.read_manifest, model.parameters.manifest_key)
    except (NotFoundError, InvalidArgumentError, CorruptError):
        return {}
    return {parameter.name: parameter for parameter in manifest.parameters}
