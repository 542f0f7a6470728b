"""``infer``: where models belong, by their weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from mgit.cli.invocation import Invocation, invocation_of
from mgit.inference import Inference, LinkedClaim

if TYPE_CHECKING:
    from mgit.repository import Repository

app = typer.Typer(rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was found for a model, and what became of it."""

    inference: Inference
    linked: tuple[LinkedClaim, ...]


@app.command()
def infer(
    context: typer.Context,
    ref: list[str] = typer.Argument(None, metavar="[REF]...", help="Which models; default: all."),
    *,
    apply: bool = typer.Option(False, "--apply", help="Link what is claimed, with its confidence."),
    min_confidence: float | None = typer.Option(
        None, metavar="X", help="Only claims at least so sure, up to 1; default: the service's threshold."
    ),
    orphans: bool = typer.Option(False, "--orphans", help="Leave out models with declared parents."),
    any_time: bool = typer.Option(
        False, "--any-time", help="Later models count as parents too, where the weights alone say so."
    ),
    backfill: bool = typer.Option(False, "--backfill", help="Make the sketches that models lack first."),
) -> None:
    """Find what models were made from, by their weights.

    Tells parents, how each child was made, how sure that is, and what it rests on. Nothing is recorded without
    --apply; then each claim becomes an edge of inferred origin. One that is there or would close a cycle is
    skipped and named.

    Example: mgit infer --apply --min-confidence 0.9
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        sketched = repository.backfill_sketches(progress=invocation.shows_progress or None) if backfill else 0
        found = repository.infer_lineage(
            ref or (),
            min_confidence=min_confidence,
            only_orphans=orphans,
            any_time=any_time,
            progress=invocation.shows_progress or None,
        )
        answers = [_Answer(each, _link(repository, each) if apply else ()) for each in found]
    invocation.answer(
        _document(answers, sketched),
        lambda: _lines(invocation, answers, sketched),
        [f"{claim.child.ref} {claim.parent.ref}" for each in answers for claim in each.inference.claims],
    )


def _link(repository: Repository, inference: Inference) -> tuple[LinkedClaim, ...]:
    return repository.link_claims(inference.claims)


def _document(answers: Sequence[_Answer], sketched: int) -> dict[str, object]:
    return {
        "models": len(answers),
        "sketched": sketched,
        "claims": [claim for each in answers for claim in _claims(each)],
        "notes": [
            {"ref": each.inference.model.ref, "note": each.inference.note}
            for each in answers
            if each.inference.note
        ],
    }


def _claims(answer: _Answer) -> Iterator[dict[str, object]]:
    outcomes = {id(linked.claim): linked for linked in answer.linked}
    for claim in answer.inference.claims:
        outcome = outcomes.get(id(claim))
        yield {
            "child": claim.child.ref,
            "parent": claim.parent.ref,
            "child_uid": claim.child.uid,
            "parent_uid": claim.parent.uid,
            "kinship": claim.kinship.value,
            "relation": None if claim.relation is None else claim.relation.value,
            "weight": claim.weight,
            "confidence": claim.confidence,
            "evidence": list(claim.evidence),
            "linked": outcome is not None and outcome.edge is not None,
            "skipped": outcome.reason if outcome is not None else "",
        }


def _lines(invocation: Invocation, answers: Sequence[_Answer], sketched: int) -> Iterator[str]:
    if sketched:
        invocation.tell(f"{sketched:,} parameter sets got their sketches.")
    for answer in answers:
        claims = list(_claims(answer))
        ref = answer.inference.model.ref
        if not claims:
            yield f"{ref}: no parent claimed. {answer.inference.note}"
        for claim in claims:
            share = "" if claim["weight"] is None else f", share {claim['weight']:.3g}"
            yield f"{ref}: {claim['kinship']} from {claim['parent']}{share}, confidence {claim['confidence']:.2f}"
            yield from (f"  {sentence}" for sentence in answer_sentences(claim))


def answer_sentences(claim: dict[str, object]) -> Iterator[str]:
    """What a claim rests on, and what became of it, for a person."""
    evidence = claim["evidence"]
    assert isinstance(evidence, list)  # noqa: S101 - made above
    yield from map(str, evidence)
    if claim["linked"]:
        yield "linked"
    elif claim["skipped"]:
        yield f"not linked: {claim['skipped']}"
