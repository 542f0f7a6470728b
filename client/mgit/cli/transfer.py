"""``add get``: models in and out."""

from __future__ import annotations

from pathlib import Path

import typer

from mgit.cli.additions import answer_added
from mgit.cli.arguments import parse_dataset, parse_lossy, parse_metadata, parse_parent
from mgit.cli.invocation import invocation_of

app = typer.Typer(rich_markup_mode=None)


@app.command()
def add(
    context: typer.Context,
    path: Path = typer.Argument(help="A file or folder; see below."),
    *,
    name: str = typer.Option(..., help="Name of the model; a new version is made if it exists."),
    parent: list[str] = typer.Option(
        [], metavar="REF[:RELATION[:WEIGHT]]", help="What it was made from, and how; may be repeated."
    ),
    previous: str | None = typer.Option(
        None, metavar="REF|none", help="What it is a newer version of; default: the latest of the name."
    ),
    recipe: Path | None = typer.Option(
        None, metavar="FILE", help="How it was made: a mergekit YAML or a model card."
    ),
    layers: str | None = typer.Option(
        None,
        metavar="REF",
        help="A model with the same parameters; its layer graph is kept with this one too.",
    ),
    auto_parent: bool = typer.Option(
        False, "--auto-parent", help="Find its parents by its weights and link them; says which, and why."
    ),
    type_: str | None = typer.Option(None, "--type", help="A label that groups models."),
    meta: list[str] = typer.Option(
        [], metavar="K=V", help="Metadata; numbers, true and false are kept as such; may be repeated."
    ),
    dataset: list[str] = typer.Option(
        [], metavar="NAME[@V]", help="A data set it was trained on; may be repeated."
    ),
    created_by: str | None = typer.Option(
        None, metavar="MODULE:FUNCTION", help="The creation function that made it; recorded, not run."
    ),
    arg: list[str] = typer.Option(
        [], metavar="K=V", help="What the creation function was called with; may be repeated."
    ),
    seed: int | None = typer.Option(
        None, min=0, help="Seed of the creation function; default: 0 if it takes one."
    ),
    lossy: str | None = typer.Option(
        None, metavar="k=N|eps=N", help="Lose a little, as far as the guard allows; k=2 is a good start."
    ),
    guard: str | None = typer.Option(
        None,
        metavar="MODULE:FUNCTION",
        help="What measures the lossy model; default: the tests of its type and of all.",
    ),
) -> None:
    """Add a model from a file or folder.

    PATH is a safetensors file, a sharded one by its index or folder, a Hugging Face folder, a PEFT adapter
    folder, a torch state dict, or a Zarr group. Relations: finetuned, adapted, pruned, quantized, distilled,
    merged, aggregated, cast, derived (the default). Prints the reference of the new version.

    The models that a recipe names become parents, with relations and weights; each must be known under its name
    or the last part of it.

    With --created-by the model can be made again: by 'mgit rebuild', and by 'mgit update' when a parent changes. 'mgit
    create' runs a function and records it.

    With --lossy the weights are moved near those of the first parent before they are sent, which makes a
    fine-tune some forty times smaller. The guard is a function of yours that gets a model and returns a number;
    it is run here, and the loss is halved until it holds. Without it every registered test of the type and of all
    models has to hold; if there is none, nothing is lost. What is stored is told on standard error.

    Example: mgit add sst2.safetensors --name sst2 --parent minilm:finetuned --meta epochs=3
    """
    invocation = invocation_of(context)
    parents = [parse_parent(text) for text in parent]
    datasets = [parse_dataset(text) for text in dataset]
    metadata = parse_metadata(meta)
    loss = None if lossy is None else parse_lossy(lossy)
    has_no_previous = previous == "none"
    with invocation.connect() as repository:
        model = repository.add(
            name,
            path,
            parents=parents,
            previous=None if has_no_previous else previous,
            no_previous=has_no_previous,
            metadata=metadata,
            type=type_,
            datasets=datasets,
            lossy=loss,
            guard=guard,
            recipe=recipe,
            layer_graph=None if layers is None else repository.get(layers).layers(),
            auto_parent=auto_parent,
            created_by=created_by,
            arguments=parse_metadata(arg) if arg else None,
            seed=seed,
            progress=invocation.shows_progress or None,
        )
    answer_added(invocation, model)


@app.command()
def get(
    context: typer.Context,
    ref: str = typer.Argument(help="NAME, NAME@VERSION, NAME@TAG or @UID."),
    *,
    to: Path = typer.Option(..., help="File or folder to write; it must not exist."),
    format_: str | None = typer.Option(
        None,
        "--format",
        metavar="safetensors|folder|zarr|torch",
        help="Default: as it was added, else by the ending of --to.",
    ),
    tensor: list[str] = typer.Option(
        [], metavar="GLOB", help="Only parameters with such names; may be repeated."
    ),
) -> None:
    """Write a model back to a file or folder.

    Files that were added come back byte for byte, tensors bit for bit; every digest is verified.

    Example: mgit get sst2@1 --to sst2.safetensors
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        model = repository.get(ref)
        written = model.save(
            to, format=format_, tensors=tuple(tensor), progress=invocation.shows_progress or None
        )
    document = {"ref": model.ref, "uid": model.uid, "path": str(written), "digest": model.digest}
    invocation.answer(document, lambda: [str(written)], [str(written)])
