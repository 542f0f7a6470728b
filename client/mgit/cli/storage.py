"""``stats uses duplicates``: what is stored, and who shares it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import typer

from mgit.cli.documents import (
    document_of_duplicates,
    document_of_model_statistics,
    document_of_statistics,
    document_of_use,
)
from mgit.cli.formatting import format_bytes, format_fields, format_table
from mgit.cli.invocation import Invocation, invocation_of
from mgit.values import DuplicateGroup, ModelStatistics, Statistics, TensorStatistics
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def stats(
    context: typer.Context,
    ref: str | None = typer.Argument(None, metavar="[REF]", help="A model; none means the whole store."),
) -> None:
    """Add up the bytes of the store or of a model.

    Logical bytes are what the tensors and files would take if each model kept its own. Of a model, unique
    bytes are what it alone uses and shared bytes what others use too; both
    count what its differences are based on.

    Example: mgit stats sst2@1
    """
    invocation = invocation_of(context)
    if ref is None:
        _store_statistics(invocation)
    else:
        _model_statistics(invocation, ref)


def _store_statistics(invocation: Invocation) -> None:
    with invocation.connect() as repository:
        found = repository.statistics()
    invocation.answer(document_of_statistics(found), lambda: _store_lines(found), [str(found.stored_bytes)])


def _model_statistics(invocation: Invocation, ref: str) -> None:
    with invocation.connect() as repository:
        found = repository.model_statistics(ref)
    document = document_of_model_statistics(found)
    invocation.answer(document, lambda: _model_lines(found), [str(found.stored_bytes)])


def _store_lines(found: Statistics) -> Iterator[str]:
    parts = (
        ("packs", found.pack_bytes),
        ("indexes", found.index_bytes),
        ("manifests", found.manifest_bytes),
        ("other", found.other_bytes),
    )
    promised = f"{found.promised:,} of the models, {format_bytes(found.promised_bytes)}, are elsewhere: mgit pull REF"
    return format_fields(
        [
            ("models", f"{found.models:,} with {found.edges:,} provenance edges"),
            *([("promised", promised)] if found.promised else []),
            ("content", f"{found.tensors:,} distinct tensors in {found.chunks:,} chunks"),
            ("logical", format_bytes(found.logical_bytes)),
            ("stored", f"{format_bytes(found.stored_bytes)} ({_listed(parts)})"),
            ("ratio", f"{found.ratio:.2f} logical bytes for each stored one"),
            ("reclaimable", format_bytes(found.reclaimable_bytes)),
        ]
    )


def _listed(parts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {format_bytes(size)}" for name, size in parts)


def _model_lines(found: ModelStatistics) -> Iterator[str]:
    yield from format_fields(
        [
            ("model", found.model.ref),
            ("logical", format_bytes(found.logical_bytes)),
            ("stored", format_bytes(found.stored_bytes)),
            ("  unique", f"{format_bytes(found.unique_bytes)}, used by no other model"),
            ("  shared", f"{format_bytes(found.shared_bytes)}, used by other models too"),
            ("  deltas", f"{format_bytes(found.delta_bytes)}, kept as a difference to other chunks"),
        ]
    )
    if found.tensors:
        yield ""
        headers = ("TENSOR", "LOGICAL", "STORED", "ENCODING", "PREDICTED FROM", "SHARED WITH")
        yield from format_table(headers, [_tensor_row(tensor) for tensor in found.tensors], "lrrllr")


def _tensor_row(tensor: TensorStatistics) -> tuple[str, str, str, str, str, str]:
    shared = str(tensor.shared_with) if tensor.shared_with else ""
    sizes = format_bytes(tensor.logical_bytes), format_bytes(tensor.stored_bytes)
    predictors = {name: count for name, count in tensor.predictors.items() if name != "none"}
    return tensor.name, *sizes, _counted(tensor.encodings), _counted(predictors), shared


def _counted(forms: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(forms.items()))


@app.command()
def uses(
    context: typer.Context,
    model: str = typer.Argument(metavar="REF|DIGEST", help="A model, or the digest of a tensor."),
    parameter: str | None = typer.Argument(None, metavar="[PARAMETER]", help="A parameter of the model."),
) -> None:
    """List the models that hold a tensor.

    The tensor is named by its digest, in hexadecimal, or as a parameter of a model.

    Example: mgit uses sst2@1 embeddings.word_embeddings.weight
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        if parameter is None:
            digest = _checked_digest(model)
        else:
            tensors = repository.get(model).tensors
            if parameter not in tensors:
                raise NotFoundError(
                    ErrorReason.TENSOR_NOT_FOUND,
                    f"{model} has no parameter {parameter!r}; 'mgit show {model}' lists them.",
                )
            digest = tensors[parameter].digest
        found = list(repository.models_with_tensor(digest))
    document = {"digest": digest, "uses": [document_of_use(use) for use in found]}
    rows = [(use.model.ref, use.parameter) for use in found]
    invocation.answer(
        document, lambda: format_table(("MODEL", "PARAMETER"), rows, "ll"), [row[0] for row in rows]
    )


def _checked_digest(text: str) -> str:
    if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text.lower()):
        return text.lower()
    raise InvalidArgumentError(
        ErrorReason.INVALID_ARGUMENT,
        f"A tensor is named by a digest of 64 hexadecimal digits, or by REF and PARAMETER; found {text[:80]!r}.",
    )


@app.command()
def duplicates(context: typer.Context) -> None:
    """List models with exactly equal parameters.

    Example: mgit duplicates --output json
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        groups = list(repository.duplicates())
    refs = [" ".join(model.ref for model in group.models) for group in groups]
    invocation.answer(document_of_duplicates(groups), lambda: _group_lines(groups), refs)
    if not groups:
        invocation.tell("No two models have equal parameters.")


def _group_lines(groups: Iterable[DuplicateGroup]) -> Iterator[str]:
    for group in groups:
        yield f"{group.digest[:12]}  {' = '.join(model.ref for model in group.models)}"
