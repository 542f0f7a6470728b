"""``ls show log tag rm``: the catalog of models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import typer

from mgit.cli.documents import Document, document_of_layers, document_of_model
from mgit.cli.formatting import format_bytes, format_fields, format_moment, format_table
from mgit.cli.invocation import Invocation, invocation_of
from mgit.cli.layers import layer_lines
from mgit.values import ModelState, Tag
from mgit_core.creation import CreationRecord, is_merge
from mgit_core.loss import LossMethod, LossRecord
from mgit_core.names import LATEST, parse_reference

if TYPE_CHECKING:
    from mgit.model import Model

app = typer.Typer(rich_markup_mode=None)

_REF = typer.Argument(help="NAME, NAME@VERSION, NAME@TAG or @UID.")


@app.command()
def ls(
    context: typer.Context,
    prefix: str = typer.Argument("", help="Only names that begin so, case ignored."),
    type_: str | None = typer.Option(None, "--type", help="Only models of this type."),
) -> None:
    """List the latest version of each model.

    Example: mgit ls sentence --type encoder
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        models = list(repository.models(prefix, type_))
    document = {"models": [document_of_model(model) for model in models], "truncated": False}
    if not models:
        narrowed = " that fit" if prefix or type_ else ""
        invocation.tell(f"There are no models{narrowed}; 'mgit add PATH --name NAME' adds one.")
    invocation.answer(document, lambda: _table(models), [model.ref for model in models])


def _table(models: Iterable[Model]) -> Iterator[str]:
    rows = [
        (
            model.ref if model.state is ModelState.PRESENT else f"{model.ref} (removed)",
            model.type or "",
            format_bytes(model.size_bytes),
            str(model.tensor_count),
            format_moment(model.created_at),
            ", ".join(f"{edge.relation} {edge.parent_ref}" for edge in model.parents),
            " ".join(model.tags),
        )
        for model in models
    ]
    headers = ("MODEL", "TYPE", "SIZE", "TENSORS", "ADDED", "PARENTS", "TAGS")
    return format_table(headers, rows, "llrrlll") if rows else iter(())


@app.command()
def show(
    context: typer.Context,
    ref: str = _REF,
    *,
    layers: bool = typer.Option(False, "--layers", help="Its layers and what flows from which to which."),
) -> None:
    """Describe a model with its parents and tensors.

    With --layers the tensors are grouped by the layers that own them. Models that were added without a layer graph
    show what their parameter names tell; that they do is told on standard error.

    Example: mgit show sst2@1
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        model = repository.get(ref)
        if layers:
            _show_layers(invocation, model)
            return
        is_there = model.state is ModelState.PRESENT
        tensors = _tensor_documents(model) if is_there else []
        files: list[Document] = (
            [{"path": file.path, "size_bytes": file.size_bytes} for file in model.files] if is_there else []
        )
    document = {**document_of_model(model), "tensors": tensors, "files": files}
    invocation.answer(document, lambda: _description(model, tensors, files), [model.ref])


def _show_layers(invocation: Invocation, model: Model) -> None:
    graph = model.layers()
    if not graph.is_traced:
        invocation.tell(
            graph.note or "Its layers are known by name only; edges say what comes next in the file."
        )
    document = {"ref": model.ref, "uid": model.uid, **document_of_layers(graph)}
    invocation.answer(document, lambda: layer_lines(graph), [layer.path for layer in graph.layers])


def _tensor_documents(model: Model) -> list[Document]:
    return [
        {
            "name": name,
            "dtype": str(tensor.dtype),
            "shape": list(tensor.shape),
            "size_bytes": tensor.size_bytes,
            "digest": tensor.digest,
        }
        for name, tensor in model.tensors.items()
    ]


def _description(model: Model, tensors: list[Document], files: list[Document]) -> Iterator[str]:
    yield from format_fields(_fields(model))
    if files:
        yield ""
        yield from format_table(
            ("FILE", "SIZE"),
            [(str(file["path"]), format_bytes(_int(file["size_bytes"]))) for file in files],
            "lr",
        )
    if tensors:
        yield ""
        yield from format_table(
            ("TENSOR", "DTYPE", "SHAPE", "SIZE"), [_tensor_row(each) for each in tensors], "lllr"
        )


def _fields(model: Model) -> list[tuple[str, str]]:
    size = f"{format_bytes(model.size_bytes)} in {model.tensor_count} tensors" if model.digest else ""
    return [
        ("model", model.ref),
        ("uid", model.uid),
        ("state", model.state.value),
        ("type", model.type or ""),
        ("digest", model.digest or ""),
        ("added", format_moment(model.created_at)),
        ("size", size),
        *(("parent", _parent_line(edge)) for edge in document_of_model(model)["parents"]),  # type: ignore[attr-defined]
        ("previous", "" if model.previous is None else model.previous.ref),
        ("tags", " ".join(model.tags)),
        ("data sets", ", ".join(f"{each.name}@{each.version}".rstrip("@") for each in model.datasets)),
        *_loss_fields(model.loss),
        *_creation_fields(model.creation),
        *_promise_fields(model),
        *((f"meta {key}", str(value)) for key, value in sorted(model.metadata.items())),
    ]


def _creation_fields(record: CreationRecord | None) -> Iterator[tuple[str, str]]:
    if record is None:
        return
    yield "created by", "merging, in the service" if is_merge(record) else record.entry_point
    yield from (("argument", f"{name}={value}") for name, value in sorted(record.arguments.items()))
    yield "seed", "" if record.seed is None else str(record.seed)
    yield "made with", ", ".join(f"{name} {value}" for name, value in sorted(record.environment.items()))
    yield "together as", f"{record.member} of {record.group}" if record.group else ""


def _promise_fields(model: Model) -> Iterator[tuple[str, str]]:
    if model.promised_by is not None:
        yield (
            "promised",
            f"parameters were left at {model.promised_by.remote}; 'mgit pull {model.ref}' fetches them",
        )


def _loss_fields(loss: LossRecord | None) -> Iterator[tuple[str, str]]:
    if loss is None:
        return
    guard = loss.guard
    how = "k" if loss.method is LossMethod.STEP else "eps"
    yield "loss", f"{how} = {loss.strength:g} against @{loss.base_uid}, in {len(loss.tensors)} tensors"
    yield (
        "largest error",
        f"{loss.largest_error:.3g}; relative to the change {loss.largest_relative_error:.2g}",
    )
    values = f"{guard.before:.6g} before, {guard.after:.6g} after"
    yield "guard", f"{guard.entry_point}: {guard.metric} ({guard.direction} is better) {values}"
    yield "original", loss.original_digest.hex()


def _parent_line(parent: Document) -> str:
    weight = "" if parent["weight"] is None else f", weight {parent['weight']:g}"
    sure = "" if parent["confidence"] is None else f", confidence {parent['confidence']:.2f}"
    return f"{parent['ref']} ({parent['relation']}{weight}, {parent['origin']}{sure})"


def _tensor_row(tensor: Document) -> tuple[str, str, str, str]:
    shape = tensor["shape"]
    axes = " x ".join(str(length) for length in shape) if isinstance(shape, list) else ""
    return str(tensor["name"]), str(tensor["dtype"]), axes or "-", format_bytes(_int(tensor["size_bytes"]))


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


@app.command()
def log(context: typer.Context, ref: str = _REF) -> None:
    """List the versions of a model, newest first.

    With a selector, from that version on down. Removed versions are listed too.

    Example: mgit log sst2
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        wanted = parse_reference(ref)
        if wanted.name is not None and wanted.version is None and wanted.tag is None:
            models = list(repository.versions(wanted.name))  # All of them may be removed.
        else:
            newest = repository.get(ref)
            models = [model for model in repository.versions(newest.name) if model.version <= newest.version]
    document = {"models": [document_of_model(model) for model in models], "truncated": False}
    invocation.answer(document, lambda: _table(models), [model.ref for model in models])


@app.command()
def tag(
    context: typer.Context,
    ref: str = typer.Argument(help="The model; its name alone with --delete, or to list."),
    tag_name: str | None = typer.Argument(None, metavar="[TAG]", help="The tag; none lists the name's tags."),
    *,
    force: bool = typer.Option(False, "--force", help="Move a tag that points elsewhere."),
    delete: bool = typer.Option(False, "--delete", help="Delete the tag."),
) -> None:
    """List, set, move or delete tags.

    A tag is unique within a model name, is not a number, and is not 'latest'.

    Example: mgit tag sst2@1 best
    """
    invocation = invocation_of(context)
    if tag_name is None and (delete or force):
        raise typer.BadParameter("give the tag", param_hint="TAG")
    with invocation.connect() as repository:
        if tag_name is None:
            tags = repository.tags(parse_reference(ref).name or repository.get(ref).name)
            document: Document = {"tags": [_tag_document(each) for each in tags]}
            invocation.answer(document, lambda: _tag_lines(tags), [each.tag for each in tags])
            return
        if delete:
            name = parse_reference(ref).name or repository.get(ref).name
            changed = repository.untag(name, tag_name)
        else:
            changed = repository.tag(ref, tag_name, force=force)
    did = "deleted; it pointed to" if delete else "points to"
    line = f"{changed.model_name}@{changed.tag} {did} {changed.model.ref}"
    invocation.answer(_tag_document(changed), lambda: [line], [changed.model.ref])


def _tag_document(tag: Tag) -> Document:
    return {"name": tag.model_name, "tag": tag.tag, "ref": tag.model.ref, "uid": tag.model.uid}


def _tag_lines(tags: list[Tag]) -> Iterator[str]:
    return format_table(("TAG", "MODEL"), [(each.tag, each.model.ref) for each in tags], "ll")


@app.command()
def rm(context: typer.Context, ref: str = _REF) -> None:
    """Remove a model; its number is never given again.

    A tombstone stays if an edge or tag touches it. On a terminal you are asked first, unless --yes is given.

    Example: mgit rm sst2@1 --yes
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        model = repository.get(ref)
        selector = parse_reference(ref)
        is_latest = selector.uid is None and selector.version is None and selector.tag is None
        which = f" (the {LATEST} version)" if is_latest else ""
        invocation.confirm(f"Remove {model.ref}{which}?")
        removed = repository.remove(f"@{model.uid}")
    document = {"ref": removed.ref, "uid": removed.uid, "state": ModelState.REMOVED.value}
    invocation.answer(document, lambda: [f"Removed {removed.ref}."], [removed.ref])
