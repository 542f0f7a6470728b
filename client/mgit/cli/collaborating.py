"""``clone push pull remote``: models to and from other services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from mgit.cli.formatting import format_bytes, format_table
from mgit.cli.invocation import Invocation, invocation_of
from mgit.remotes.book import ORIGIN, Remotes
from mgit.remotes.values import Remote, Transfer, TransferredModel

app = typer.Typer(rich_markup_mode=None)
remotes = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

_ADDRESS = typer.Argument(metavar="HOST:PORT", help="Where the service answers.")
_NAME = typer.Argument(metavar="NAME", help="Name of the remote.")
_TOKEN_FILE = typer.Option(
    None, metavar="F", help="File with its token, read at each exchange; the token is not kept."
)
_TLS_CA = typer.Option(None, metavar="F", help="File of the authority of its certificate.")
_SINCE = typer.Option(
    None, metavar="REF", help="Leave the parameters of this model and of its ancestors where they are."
)
_ONLY = typer.Option(
    [], metavar="GLOB", help="Only parameters with such names; others stay where they are. May be repeated."
)
_FORCE = typer.Option(False, "--force", help="Move tags that point elsewhere.")


@app.command()
def clone(
    context: typer.Context,
    address: str = _ADDRESS,
    refs: list[str] = typer.Argument(None, metavar="[REF]...", help="Models of the service; default: all."),
    *,
    name: str = typer.Option(ORIGIN, metavar="NAME", help="What the remote is called.", show_default=True),
    token_file: Path | None = _TOKEN_FILE,
    tls_ca: Path | None = _TLS_CA,
    since: str | None = _SINCE,
    only: list[str] = _ONLY,
) -> None:
    """Add a service as a remote, and pull from it.

    The store may hold models already: one whose name and number are taken here goes to REMOTE/NAME. A clone that was
    cut is finished by repeating it.

    Example: mgit clone models.example.org:50051
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        done = repository.clone(
            address,
            refs or (),
            name=name,
            token_file=token_file,
            tls_ca=tls_ca,
            since=since,
            only=only,
            progress=invocation.shows_progress or None,
        )
    _answer(invocation, done, "Pulled")


@app.command()
def push(
    context: typer.Context,
    words: list[str] = typer.Argument(
        None, metavar="[REMOTE] [REF]...", help="A remote, then models; default: origin, and all models."
    ),
    *,
    since: str | None = _SINCE,
    only: list[str] = _ONLY,
    rename: bool = typer.Option(
        False, "--rename", help="Push models whose names are taken there as PREFIX/NAME."
    ),
    prefix: str | None = typer.Option(
        None, metavar="PREFIX", help="What --rename puts before names; default: your login name."
    ),
    force: bool = _FORCE,
) -> None:
    """Send models, with what they were made from.

    Edges, tags, tests, results and bugs go along. Only chunks that the remote lacks travel. Nothing is sent if names
    or tags mean something else there. A push that was cut is finished by repeating it.

    Example: mgit push origin sst2
    """
    said = _Said(words or (), since=since, only=only, rename=rename, prefix=prefix, force=force)
    _exchange(invocation_of(context), said, is_push=True)


@app.command()
def pull(
    context: typer.Context,
    words: list[str] = typer.Argument(
        None, metavar="[REMOTE] [REF]...", help="A remote, then models; default: origin, and all models."
    ),
    *,
    since: str | None = _SINCE,
    only: list[str] = _ONLY,
    rename: bool = typer.Option(
        True,
        "--rename/--no-rename",
        help="Whether models whose names are taken here go to PREFIX/NAME; else nothing is pulled.",
    ),
    prefix: str | None = typer.Option(
        None, metavar="PREFIX", help="What is put before such names; default: the name of the remote."
    ),
    force: bool = _FORCE,
) -> None:
    """Fetch models, with what they were made from.

    Edges, tags, tests, results and bugs come along. Without a remote, a model that is promised here is fetched from
    who promised it. A pull that was cut is finished by repeating it.

    Example: mgit pull origin sst2 --since minilm
    """
    said = _Said(words or (), since=since, only=only, rename=rename, prefix=prefix, force=force)
    _exchange(invocation_of(context), said, is_push=False)


@remotes.callback()
def remote() -> None:
    """Name the services to push to and pull from.

    They are kept in MGIT_HOME, in a file that only you can read; tokens stay in their own files.

    Example: mgit remote add origin models.example.org:50051
    """


@remotes.command()
def add(
    context: typer.Context,
    name: str = _NAME,
    address: str = _ADDRESS,
    *,
    token_file: Path | None = _TOKEN_FILE,
    tls_ca: Path | None = _TLS_CA,
) -> None:
    """Remember a service under a name; it is not asked yet.

    Example: mgit remote add origin models.example.org:50051 --token-file ~/.mgit-token --tls-ca ca.pem
    """
    added = Remotes().add(name, address, token_file=token_file, tls_ca=tls_ca)
    line = f"Remote {added.name} is {added.address}."
    invocation_of(context).answer(_document_of_remote(added), lambda: [line], [added.name])


@remotes.command()
def ls(context: typer.Context) -> None:
    """List the remotes.

    Example: mgit remote ls
    """
    invocation = invocation_of(context)
    found = Remotes().list()
    if not found:
        invocation.tell("There are no remotes; 'mgit remote add NAME HOST:PORT' adds one.")
    document = {"remotes": [_document_of_remote(each) for each in found]}
    invocation.answer(document, lambda: _remote_lines(found), [each.name for each in found])


@remotes.command()
def rm(context: typer.Context, name: str = _NAME) -> None:
    """Forget a remote; what was pulled from it stays.

    Example: mgit remote rm origin
    """
    removed = Remotes().remove(name)
    line = f"Remote {removed.name} is forgotten."
    invocation_of(context).answer(_document_of_remote(removed), lambda: [line], [removed.name])


app.add_typer(remotes, name="remote")


@dataclass(frozen=True, slots=True)
class _Said:
    """The words and options of a push or a pull."""

    words: Sequence[str]
    since: str | None
    only: Sequence[str]
    rename: bool
    prefix: str | None
    force: bool


def _exchange(invocation: Invocation, said: _Said, *, is_push: bool) -> None:
    remote, refs = _remote_first(said.words)
    with invocation.connect() as repository:
        exchange = repository.push if is_push else repository.pull
        done = exchange(
            refs,
            remote=remote,
            since=said.since,
            only=said.only,
            rename=said.rename,
            prefix=said.prefix,
            force=said.force,
            progress=invocation.shows_progress or None,
        )
    _answer(invocation, done, "Pushed" if is_push else "Pulled")


def _remote_first(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The remote that the first word names, and the references; a word that names no remote is a reference."""
    known = {each.name for each in Remotes()}
    if words and words[0] in known:
        return words[0], list(words[1:])
    return None, list(words)


def _answer(invocation: Invocation, done: Transfer, did: str) -> None:
    document = {
        "remote": done.remote,
        "models": [_document_of_transferred(each) for each in done.models],
        "known": done.known,
        "bytes_sent": done.bytes_sent,
        "bytes_received": done.bytes_received,
        "chunks_as_stored": done.chunks_as_stored,
        "chunks_alone": done.chunks_alone,
        "chunk_bytes": done.chunk_bytes,
        "saved_bytes": done.saved_bytes,
        **{kind: getattr(done, kind) for kind in ("edges", "tags", "tests", "results", "bugs")},
    }
    for line in _notes(done, did):
        invocation.tell(line)
    invocation.answer(document, lambda: map(_model_line, done.models), [each.ref for each in done.models])


def _document_of_transferred(model: TransferredModel) -> dict[str, object]:
    return {
        "ref": model.ref,
        "uid": model.uid,
        "source_ref": model.source_ref,
        "state": model.state.value,
        "promised": model.promised,
    }


def _document_of_remote(found: Remote) -> dict[str, object]:
    return {
        "name": found.name,
        "address": found.address,
        "store_id": found.store_id,
        "token_file": None if found.token_file is None else str(found.token_file),
        "tls_ca": None if found.tls_ca is None else str(found.tls_ca),
    }


def _model_line(model: TransferredModel) -> str:
    was = f" (there {model.source_ref})" if model.renamed else ""
    return f"{model.ref}{was}{', promised' if model.promised else ''}"


def _remote_lines(found: Sequence[Remote]) -> Iterator[str]:
    rows = [
        [each.name, each.address, "TLS" if each.tls_ca else "", "token" if each.token_file else ""]
        for each in found
    ]
    yield from format_table(["name", "address", "", ""], rows, "llll") if rows else ()


def _notes(done: Transfer, did: str) -> Iterator[str]:
    yield (
        f"{did} {len(done.models):,} models, {done.known:,} were there; {format_bytes(done.bytes_sent)} sent to "
        f"{done.remote}, {format_bytes(done.bytes_received)} received, {format_bytes(done.saved_bytes)} saved."
    )
    if done.chunks_as_stored or done.chunks_alone:
        yield f"{done.chunks_as_stored:,} chunks went as they are stored, {done.chunks_alone:,} encoded anew."
    if done.promised:
        yield (
            f"The parameters of {len(done.promised):,} models are promised, in part or all; 'mgit pull REF' fetches "
            "them where they are wanted."
        )
