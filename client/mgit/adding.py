"""Adds a model: reads the source, cuts it, and sends what the service lacks."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mgit.connection import Connection
from mgit.cutting import cut_source
from mgit.forms import FormRequest, take_form
from mgit.frameworks.detection import open_source
from mgit.frameworks.source import Source
from mgit.layers import LayerRequest, make_layer_graph
from mgit.lossy import GuardFunction, Lossy
from mgit.lossy.request import LossRequest, PreparedModel
from mgit.progress import ProgressCounter
from mgit.recipes import follow_recipe
from mgit.upload import Upload, upload
from mgit.values import Addition, ModelReference, Parent, Relation, reference_of
from mgit.wire import write_parent
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, NotFoundError
from mgit_core.recipes import Recipe
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2

__all__ = ["NewModel", "add_model", "open_recipe", "request_loss", "write_previous"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """A model that is to be added.

    Attributes:
        header: What is said of it as a whole; format, ties and an adapter's base are filled in from the source.
        source: What it is made from.
        request_id: Makes it idempotent.
        loss: What may be lost; None means nothing.
        recipe: How it was made, as another tool wrote it down.
        layers: Which layer graph it gets; None means the one that the source tells.
        form: Which form it takes over; None means that of the source.
    """

    header: parameters_pb2.ModelHeader
    source: object
    request_id: str
    loss: LossRequest | None = None
    recipe: Recipe | None = None
    layers: LayerRequest | None = None
    form: FormRequest | None = None


def add_model(
    connection: Connection, new: NewModel, progress: ProgressCounter
) -> tuple[types_pb2.Model, Addition]:
    """Add a model; gives it as the service answered, and what adding it did.

    Raises:
        MGitError: As the readers of sources, or as the service answers.
    """
    started = time.perf_counter()
    source = open_source(new.source)
    header = parameters_pb2.ModelHeader()
    header.CopyFrom(new.header)
    notes = [*source.notes]
    if new.recipe is not None:
        notes += follow_recipe(connection, header, new.recipe)
    notes += _add_base_model(connection, header, source.base_model)
    notes += _add_layers(header, new, source)
    header.source_format = source.source_format
    header.ties.extend(types_pb2.Tie(names=tie) for tie in source.ties)
    with contextlib.ExitStack() as spools:
        prepared = _prepare(connection, header, source, new.loss, spools)
        cut = prepared.cut
        if new.form is not None:
            cut, note = take_form(connection, header, cut, new.form)
            notes += [note] if note else []
        job = Upload(header=header, cut=cut, request_id=new.request_id, lattices=prepared.lattices)
        uploaded = upload(connection, job, progress)
    notes += [*prepared.notes, *_unused(uploaded.unused_hints)]
    return uploaded.model, Addition(
        new_bytes=uploaded.stored_bytes,
        sent_bytes=uploaded.sent_bytes,
        seconds=time.perf_counter() - started,
        same_as=uploaded.same_as,
        repeated=uploaded.repeated,
        notes=tuple(notes),
    )


def _add_layers(header: parameters_pb2.ModelHeader, new: NewModel, source: Source) -> Iterator[str]:
    """Put the layer graph into the header; gives notes for a person."""
    header.layer_graph = source.layer_graph
    if new.layers is not None:
        names = [parameter.name for parameter in source.parameters]
        header.layer_graph, note = make_layer_graph(new.layers, new.source, names)
        if note:
            yield note


def _prepare(
    connection: Connection,
    header: parameters_pb2.ModelHeader,
    source: Source,
    loss: LossRequest | None,
    spools: contextlib.ExitStack,
) -> PreparedModel:
    """What is to be sent; with loss its bytes last as long as ``spools``."""
    if loss is None:
        return PreparedModel(cut=cut_source(source, connection.capabilities.algorithm))
    from mgit.lossy.search import prepare  # noqa: PLC0415 - for a loss only

    if loss.guard is None:
        from mgit.running.guarding import find_guards  # noqa: PLC0415 - as above

        try:
            loss = replace(loss, tests=find_guards(connection, header))
        except (FailedPreconditionError, InvalidArgumentError) as error:
            # To store exactly does no harm; to leave out a test that would have refused the loss might.
            note = f"A test that guards such models cannot be run here: stored exactly. {error.message}"
            return PreparedModel(cut=cut_source(source, connection.capabilities.algorithm), notes=(note,))
    return prepare(connection, header, source, loss, spools)


def _unused(hints: Sequence[str]) -> Iterator[str]:
    if hints:
        more = f" and {len(hints) - 1} more" if len(hints) > 1 else ""
        yield (
            f"The service could not use the parent as the base of {hints[0]!r}{more}: stored in another way, "
            "and with as little loss."
        )


def request_loss(lossy: Lossy | None, guard: str | GuardFunction | None) -> LossRequest | None:
    """What may be lost; None means nothing.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, for a guard that has nothing to guard.
    """
    if lossy is None and guard is not None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, "A guard decides how much may be lost; no loss was asked for."
        )
    return None if lossy is None else LossRequest(lossy=lossy, guard=guard)


def open_recipe(path: str | os.PathLike[str]) -> Recipe:
    """The recipe that a file holds.

    Raises:
        NotFoundError: PATH_NOT_FOUND.
        InvalidArgumentError: UNREADABLE_INPUT.
    """
    from mgit.frameworks.recipes import read_recipe  # noqa: PLC0415 - brings YAML, and for recipes only

    return read_recipe(Path(path))


def write_previous(model: ModelReference | None, *, no_previous: bool) -> parameters_pb2.Previous | None:
    """Which version edge is wanted; None means the latest version of the name.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, if a version is named and there shall be none.
    """
    if no_previous and model is not None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, "Either a previous version is named or there is none; found both."
        )
    if no_previous:
        return parameters_pb2.Previous(none=True)
    return None if model is None else parameters_pb2.Previous(model=reference_of(model))


def _add_base_model(
    connection: Connection, header: parameters_pb2.ModelHeader, base: str | None
) -> Iterator[str]:
    """Make the base that an adapter names a parent, unless one is declared; gives notes for a person."""
    if base is None or any(link.relation == types_pb2.RELATION_ADAPTED for link in header.parents):
        return
    # Of a path the folder's name counts: the rest means something on one machine only.
    name = Path(base).name if Path(base).is_absolute() else base
    try:
        request = lineage_pb2.GetModelRequest(model=name)
        summary = connection.call(connection.lineage.GetModel, request).model.summary
    except (NotFoundError, InvalidArgumentError, FailedPreconditionError):
        yield f"The adapter names {base!r} as its base, which the service does not know: no parent recorded."
        return
    header.parents.append(write_parent(Parent(f"@{summary.uid}", Relation.ADAPTED)))
    yield f"The adapter names {base!r} as its base: recorded as adapted from {summary.name}@{summary.version}."
