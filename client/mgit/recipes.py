"""What a recipe says of a new model, pinned to models that the service knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from mgit.connection import Connection
from mgit.values import Parent
from mgit.wire import write_metadata, write_parent
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
)
from mgit_core.names import check_model_name
from mgit_core.recipes import Recipe, RecipeParent
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2

__all__ = ["follow_recipe"]


def follow_recipe(
    connection: Connection, header: parameters_pb2.ModelHeader, recipe: Recipe
) -> Iterator[str]:
    """Add a recipe's parents, metadata and data sets to a header; gives notes for a person.

    What the header says already stays as it is: a parent that it names gets no second edge, a key no second value.
    A name means the latest version of the model that is called so, or is called by its last segment.

    Raises:
        NotFoundError: PARENT_NOT_FOUND, naming every model that the service does not know.
    """
    found = [(parent, _find(connection, parent.name)) for parent in recipe.parents]
    unknown = [parent.name for parent, model in found if model is None]
    if unknown:
        raise NotFoundError(
            ErrorReason.PARENT_NOT_FOUND,
            f"The recipe names models that the service does not know: {', '.join(unknown)}. Add them first under "
            "that name or its last part, or name the parents yourself and leave the recipe out.",
            parent=unknown[0],
        )
    known = {_pinned(connection, link.parent) for link in header.parents}
    for parent, model in found:
        if model is not None and model.uid not in known:
            header.parents.append(
                write_parent(Parent(f"@{model.uid}", parent.relation, weight=parent.weight))
            )
            yield f"The recipe: {parent.relation} from {model.name}@{model.version}{_share(parent)}."
    yield from _say_besides(header, recipe)


def _say_besides(header: parameters_pb2.ModelHeader, recipe: Recipe) -> Iterator[str]:
    for key, value in write_metadata(recipe.metadata).items():
        if key not in header.metadata:
            header.metadata[key].CopyFrom(value)
    there = {dataset.name for dataset in header.datasets}
    for name in recipe.datasets:
        if name not in there:
            try:
                header.datasets.append(types_pb2.Dataset(name=check_model_name(name)))
            except InvalidArgumentError:
                yield f"The recipe names data set {name[:80]!r}, which is no name here: not recorded."


def _find(connection: Connection, name: str) -> types_pb2.ModelSummary | None:
    for reference in dict.fromkeys((name, PurePath(name).name)):
        try:
            return _summary(connection, reference)
        except (NotFoundError, InvalidArgumentError, FailedPreconditionError):
            continue
    return None


def _pinned(connection: Connection, reference: str) -> str:
    """UID of a parent that the header names; one that is not known is refused with the draft."""
    try:
        return _summary(connection, reference).uid
    except MGitError as error:
        if error.is_retryable:
            raise
        return reference


def _summary(connection: Connection, reference: str) -> types_pb2.ModelSummary:
    request = lineage_pb2.GetModelRequest(model=reference)
    return connection.call(connection.lineage.GetModel, request).model.summary


def _share(parent: RecipeParent) -> str:
    return "" if parent.weight is None else f", weight {parent.weight:.4g}"
