"""The form of a model: the order of its parameters, its files and its layer graph.

A creation function gives parameters and no more. What it made takes over the form of a model that is there and has the
same parameters, values aside: then files fit that tell their shapes, such as a configuration or the header of a file of
tensors. Everything that makes models with creation functions does it by the one rule here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mgit.connection import Connection
from mgit.cutting import CutSource
from mgit.manifests import Listing, read_listing
from mgit_core.cascade.outlines import outline_of, tell_difference
from mgit_core.errors import ErrorReason, FailedPreconditionError, NotFoundError
from mgit_core.files import FileKind, FileList
from mgit_core.layers.document import pack_layer_graph, unpack_layer_graph
from mgit_core.layers.fitting import fitted_to
from mgit_core.manifest import Manifest
from mgit_proto.v1 import parameters_pb2, types_pb2

__all__ = ["FormRequest", "get_listing", "take_form", "without_tied_copies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRequest:
    """Which form a new model takes over.

    Attributes:
        origins: Models that may have it. The first that has the same parameters gives it; one that is promised, or
            was removed meanwhile, gives none.
        takes_files: Whether the files belong to it; otherwise the new model is parameters alone.
    """

    origins: tuple[types_pb2.Model, ...]
    takes_files: bool = True


def take_form(
    connection: Connection, header: parameters_pb2.ModelHeader, cut: CutSource, request: FormRequest
) -> tuple[CutSource, str]:
    """``cut`` in the form of the first origin that fits, and what a person should know of it.

    Format and layer graph go into ``header``. Without an origin that fits both stay as they are. Idempotent.

    Raises:
        MGitError: As the service answers.
    """
    differing: tuple[types_pb2.Model, str] | None = None
    for origin in request.origins:
        listing = _open(connection, origin)
        if listing is None:
            continue
        fitting = without_tied_copies(cut, listing)
        difference = tell_difference(outline_of(listing.manifest), outline_of(fitting.manifest))
        if not difference:
            return _in_form_of(connection, header, fitting, _Origin(origin, listing, request.takes_files))
        if listing.files.files and differing is None:
            differing = origin, difference
    if differing is None or not request.takes_files:
        return cut, ""
    return cut, f"It has no files of {_ref(differing[0])}, which might not fit: {differing[1]}."


def _open(connection: Connection, origin: types_pb2.Model) -> Listing | None:
    """What an origin is made of; None if that is not here."""
    if origin.HasField("promised_by"):
        return None
    try:
        return get_listing(connection, origin.summary.uid)
    except (FailedPreconditionError, NotFoundError) as error:
        # It was removed while the function ran, whose work is not to be lost for that.
        if error.reason not in {ErrorReason.MODEL_REMOVED, ErrorReason.MODEL_NOT_FOUND}:
            raise
        return None


def without_tied_copies(cut: CutSource, listing: Listing) -> CutSource:
    """``cut`` without the names of tied parameters that the files of another model leave out.

    A module has every name of a tensor that it uses twice, as a language model does with its embedding; files have one.
    """
    known = {parameter.name for parameter in listing.manifest.parameters}
    ties = cut.files.ties
    copies = {name for tie in ties if not known.isdisjoint(tie) for name in tie} - known
    if not copies or all(entry.kind is not FileKind.SAFETENSORS for entry in listing.files.files):
        return cut
    kept = (tuple(name for name in tie if name not in copies) for tie in ties)
    parameters = tuple(each for each in cut.manifest.parameters if each.name not in copies)
    return replace(
        cut,
        manifest=Manifest(cut.manifest.algorithm, parameters),
        files=replace(cut.files, ties=tuple(tie for tie in kept if len(tie) > 1)),
    )


def get_listing(connection: Connection, uid: str) -> Listing:
    """What a model is made of.

    Raises:
        MGitError: As the service answers.
    """
    request = parameters_pb2.GetManifestRequest(model=f"@{uid}")
    answers = connection.collect(connection.parameters.GetManifest, request)
    return read_listing(connection.capabilities.algorithm, answers)


@dataclass(frozen=True, slots=True)
class _Origin:
    """A model whose form is taken over, and what of it."""

    model: types_pb2.Model
    listing: Listing
    takes_files: bool


def _in_form_of(
    connection: Connection, header: parameters_pb2.ModelHeader, cut: CutSource, origin: _Origin
) -> tuple[CutSource, str]:
    taken: list[str] = []
    del header.ties[:]
    header.ties.extend(types_pb2.Tie(names=tie) for tie in cut.files.ties)
    if origin.takes_files:
        cut = _with_files(cut, origin.listing)
        header.source_format = origin.listing.files.source_format
        taken += ["files"] if cut.files.files else []
    if origin.model.layer_graph_digest:
        request = parameters_pb2.GetLayerGraphRequest(model=f"@{origin.model.summary.uid}")
        answer = connection.call(connection.parameters.GetLayerGraph, request)
        header.layer_graph = answer.document
        taken += ["layer graph"]
    elif header.layer_graph:
        names = [parameter.name for parameter in cut.manifest.parameters]
        header.layer_graph = pack_layer_graph(fitted_to(unpack_layer_graph(header.layer_graph), names))
    note = f"It has the same parameters as {_ref(origin.model)} and takes over its {' and '.join(taken)}."
    return cut, note if taken else ""


def _with_files(cut: CutSource, listing: Listing) -> CutSource:
    """``cut`` in the order and with the files of another model: a file of tensors keeps its header, which fits both."""
    made = {parameter.name: parameter for parameter in cut.manifest.parameters}
    ordered = tuple(made[parameter.name] for parameter in listing.manifest.parameters)
    algorithm = cut.manifest.algorithm
    files = FileList(
        algorithm=algorithm,
        source_format=listing.files.source_format,
        files=listing.files.files,
        ties=cut.files.ties,
    )
    return replace(cut, manifest=Manifest(algorithm, ordered), files=files)


def _ref(model: types_pb2.Model) -> str:
    return f"{model.summary.name}@{model.summary.version}"
