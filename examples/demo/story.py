"""The demonstration, from an empty machine to a family of models that shares its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from examples.demo.adding import Kept, add_family
from examples.demo.auditing import report_bug, run_test
from examples.demo.questions import Answer, Graph, ask_ancestors, ask_sharers
from examples.demo.restoring import restore_all
from examples.demo.summary import Summary, write_summary
from examples.demo.telling import Narrator, answer_lines, family_table, format_bytes, model_table
from examples.minilm.family import DEMO, build
from examples.minilm.recipe import Member

import mgit
from mgit.local.settings import StackSettings
from mgit.local.stack import LocalStack
from mgit.local.state import StackState
from mgit.pictures import draw_html, draw_tree
from mgit.values import Lineage
from mgit_core.digest import Digest
from mgit_zarr import chunk_files

__all__ = ["family_folder", "tell_story"]

_SHARED_TENSOR = "embeddings.word_embeddings.weight"
_SHOWN_KEYS = 4


def family_folder(settings: StackSettings) -> Path:
    """Where trained families lie: the user's cache, shared by all homes."""
    return settings.cache / "families"


def tell_story(folder: Path, settings: StackSettings, members: Sequence[Member] = DEMO) -> Summary:
    """Runs the demonstration and leaves the stack up.

    May be interrupted anywhere and run again: nothing is trained or added twice.

    Args:
        folder: Where the summary and the picture go; made if it is not there.
        settings: Of the local stack.
        members: The family, parents first.

    Raises:
        MGitError: As the local stack, the SDK and the family raise it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    narrator = Narrator()
    stack = LocalStack(settings)
    with narrator.phase("stack", "The local stack: a real Neo4j, and the service that speaks gRPC"):
        state = stack.up(narrator.report)
        narrator.say(f"   service {state.address}", f"   Neo4j   {state.neo4j_uri}")
    with narrator.phase("family", "A family of models, trained here on the docstrings of Python's library"):
        family = build(members, family_folder(settings), narrator.training)
        narrator.say(*family_table(family))
    with mgit.connect(state.address) as repository:
        with narrator.phase("add", "Every model goes in over gRPC; only chunks that are new are sent"):
            kept = add_family(
                repository, family, folder / "added.json", lambda each: narrator.live(each.model.ref)
            )
            narrator.say(*model_table(kept), *_reuse_lines(kept))
        with narrator.phase("restore", "Every model comes back, and each file is compared byte for byte"):
            exact_restores = restore_all(kept, lambda each: narrator.live(each.model.ref))
            narrator.say(f"   {exact_restores} of {len(kept)} models are the same, byte for byte.")
        with narrator.phase("audit", "A test of every model, and a bug with all that inherit it"):
            narrator.say(*run_test(repository, kept), *report_bug(repository, _faulty(kept)))
        lineage = _family_lineage(repository, kept)
        graph = _graph(stack, state)
        with narrator.phase("questions", "The lineage, which lives in Neo4j"):
            narrator.say(*(f"   {line}" for line in draw_tree(lineage)))
            answers = _answers(repository, graph, kept)
            for answer in answers:
                narrator.say(*answer_lines(answer))
            narrator.say("", *_sharing_lines(kept))
        (folder / "lineage.html").write_text(
            draw_html(lineage, title="A family of sentence encoders"), encoding="utf-8"
        )
        statistics = repository.statistics()
        neo4j_version = repository.status().neo4j_version
    summary = Summary(
        seconds={"whole": round(narrator.whole_s, 2), **narrator.seconds},
        models=len(kept),
        edges=len(lineage.edges),
        logical_bytes=statistics.logical_bytes,
        stored_bytes=statistics.stored_bytes,
        ratio=round(statistics.ratio, 3),
        exact_restores=exact_restores,
        ancestors_ms=answers[0].median_ms,
        neo4j_version=neo4j_version,
        browser_url=state.browser_url,
    )
    write_summary(folder / "summary.json", summary)
    narrator.say(*_closing_lines(folder, summary, stack))
    return summary


def _reuse_lines(kept: Sequence[Kept]) -> Iterator[str]:
    reused = sum(each.reused for each in kept)
    if reused:
        yield f"   {reused} of {len(kept)} models were there from an earlier run, and were not added again."


def _family_lineage(repository: mgit.Repository, kept: Sequence[Kept]) -> Lineage:
    """The family alone, whatever else the store holds."""
    uids = {each.model.uid for each in kept}
    whole = repository.lineage([each.model for each in kept], facts=True)
    return Lineage(
        models=tuple(model for model in whole.models if model.uid in uids),
        edges=tuple(edge for edge in whole.edges if {edge.child_uid, edge.parent_uid} <= uids),
        revisions=tuple(edge for edge in whole.revisions if {edge.newer_uid, edge.older_uid} <= uids),
        truncated=whole.truncated,
        facts=tuple(fact for fact in whole.facts if fact.uid in uids),
    )


def _faulty(kept: Sequence[Kept]) -> mgit.Model:
    """The first model that has a previous version: something was made from it, and something was not."""
    return next(each.model for each in kept if each.built.member.previous is not None)


def _graph(stack: LocalStack, state: StackState) -> Graph:
    given = stack.settings.graph
    if given is not None:
        return Graph(
            uri=given.uri,
            username=given.username,
            password=given.password,
            database=given.database or None,
        )
    password = stack.layout.password_file.read_text(encoding="utf-8").strip()
    return Graph(uri=state.neo4j_uri, username=state.username, password=password, database=None)


def _answers(repository: mgit.Repository, graph: Graph, kept: Sequence[Kept]) -> tuple[Answer, Answer]:
    youngest = max(kept, key=lambda each: _depth(each, kept))
    return (
        ask_ancestors(repository, graph, youngest.model),
        ask_sharers(repository, graph, kept[0].model, _SHARED_TENSOR),
    )


def _depth(each: Kept, kept: Sequence[Kept]) -> int:
    """Steps of the longest way back from a member."""
    by_ref = {other.built.ref: other for other in kept}
    return max((1 + _depth(by_ref[ref], kept) for ref, _ in each.built.member.parents), default=0)


def _sharing_lines(kept: Sequence[Kept]) -> Iterator[str]:
    """Which chunks of its parameters, as Zarr names them, each second version shares with the first."""
    by_ref = {each.built.ref: each for each in kept}
    for newer in kept:
        if newer.built.member.previous is None:
            continue
        older = by_ref[newer.built.member.previous]
        chunks = _chunks(newer)
        shared = [path for path in chunks.items() if path in _chunks(older).items()]
        yield f"{newer.model.ref} shares {len(shared)} of its {len(chunks)} Zarr chunks with {older.model.ref}:"
        yield from (f"    {path}  {digest.hex()[:16]}" for path, digest in shared[:_SHOWN_KEYS])
        yield "    and so on." if len(shared) > _SHOWN_KEYS else ""


def _chunks(each: Kept) -> dict[str, Digest]:
    return {file.path: file.digest for file in chunk_files(each.model.content.listing.manifest)}


def _closing_lines(folder: Path, summary: Summary, stack: LocalStack) -> Iterator[str]:
    logical, stored = format_bytes(summary.logical_bytes), format_bytes(summary.stored_bytes)
    yield ""
    yield "== Done"
    yield f"   {summary.models} models, {summary.edges} edges, {summary.exact_restores} restored exactly."
    yield f"   {logical} kept in {stored}: {summary.ratio:.2f} to 1. It took {summary.seconds['whole']:.0f} s."
    yield f"   Summary {folder / 'summary.json'}, picture {folder / 'lineage.html'}"
    if summary.browser_url:
        yield f"   Neo4j Browser: {summary.browser_url}"
        yield f"   Its user is neo4j, its password is in {stack.layout.password_file}"
    yield ""
    yield "   Try next:"
    for command in (
        "ls",
        "log topic-network",
        "ancestors topic-network-recovered",
        "bug ls",
        "get topic-soup --to topic-soup.zarr",
        "stats topic-network@2",
        "down",
    ):
        yield f"     .venv/bin/mgit {command}"
