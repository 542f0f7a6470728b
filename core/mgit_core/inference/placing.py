"""The parents of a model among candidates, and how it was made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mgit_core.inference.choosing import Choice, choose_parent
from mgit_core.inference.kinship import Kinship
from mgit_core.inference.merging import Mixture, find_mixture
from mgit_core.inference.operations import find_low_rank, find_rounding, learned_alike, new_heads
from mgit_core.inference.relatives import Candidate, Family
from mgit_core.inference.samples import SampledModel
from mgit_core.manifest import Manifest

__all__ = ["Finding", "Placement", "place_model"]

_BY_LIKENESS = (Kinship.FINETUNED, Kinship.HEAD_REPLACED)
# Children keep more than four fifths of what a parent learned, even over several trainings; models with nothing but their
# first values in common keep two thirds at most, and more of the rest.
_SURELY_RELATED, _LEAST_LEARNED, _LEAST_BESIDE_WEAK = 0.97, 0.75, 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A parent that was found.

    Attributes:
        key: Of the candidate.
        kinship: How the model was made from it.
        weight: Its share in a merge.
        confidence: Between 0 and 1.
        evidence: What it rests on, a short sentence each.
    """

    key: str
    kinship: Kinship
    weight: float | None = None
    confidence: float
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a model belongs.

    Attributes:
        findings: Its parents, surest first; none for a root.
        note: Why there are none.
    """

    findings: tuple[Finding, ...] = ()
    note: str = ""

    @classmethod
    def of(cls, key: str, kinship: Kinship, confidence: float, evidence: tuple[str, ...]) -> Placement:
        """A single parent."""
        finding = Finding(key=key, kinship=kinship, confidence=confidence, evidence=evidence)
        return cls(findings=(finding,))


def place_model(manifest: Manifest, model: SampledModel, candidates: Sequence[Candidate]) -> Placement:
    """The parents of a model.

    Args:
        manifest: What it is made of.
        model: Blocks of it.
        candidates: Oldest first. Of those that are younger only what the weights alone say is claimed.
    """
    if not model.blocks:
        return Placement(note="It has no matrix of floating-point numbers that could be compared.")
    family = Family(manifest, model, candidates)
    if not family.members:
        return Placement(note=_strangers(family.closest, len(candidates)))
    if not family.names:
        return Placement(note="No matrix is like one that all its relatives have.")
    return _place_in(family)


def _place_in(family: Family) -> Placement:
    mixture = _mixture(family)
    if mixture is not None:
        return Placement(findings=_merged(family, mixture))
    allowed = [place for place in range(len(family.members)) if _may_be_parent(family, place)]
    if not allowed:
        return Placement(note="All that are related to it are younger, or were made from it.")
    choice = choose_parent(family, family.ranked(allowed))
    finding = _recognize(family, choice)
    # The others leave an equation, which chance does not.
    if finding.kinship in _BY_LIKENESS and _shares_start_only(family, choice.place):
        name = family.members[choice.place].name
        return Placement(note=f"It has its first values in common with {name}, but not what {name} learned.")
    return Placement(findings=(finding,))


def _strangers(closest: float, count: int) -> str:
    if not count:
        return "No other model is near enough to be compared."
    return f"Nothing is related to it: of {count} compared, the nearest has a cosine of {closest:.2f}."


def _shares_start_only(family: Family, place: int) -> bool:
    """Whether both were trained apart from the same first random values, which is no kinship."""
    if family.likeness(place) > _SURELY_RELATED:
        return False
    member = family.members[place]
    # All that both have: where little but the first values is alike, the tensors that all have are the least trained.
    blocks = member.sample.blocks
    heads = new_heads(family.model, member.sample, list(blocks))
    shapes = {
        name: counterpart.spec.shape
        for name, counterpart in member.pairing.counterparts.items()
        if name in blocks and name not in heads
    }
    strong, weak = learned_alike(family.model, member.sample, shapes)
    return strong < _LEAST_LEARNED and strong < _LEAST_BESIDE_WEAK * weak


def _may_be_parent(family: Family, place: int) -> bool:
    """An older model, unless it was made from this one; a younger one if the weights alone say so."""
    if family.is_made_from_model(place):
        return False
    return family.members[place].is_older or family.is_made_by_weights(place)


def _mixture(family: Family) -> Mixture | None:
    places = [place for place in range(len(family.members)) if not family.is_made_from_model(place)]
    found = find_mixture(family.distances, family.ranked(places))
    if found is None:
        return None
    is_timely = all(family.members[place].is_older for place in found.weights)
    # A member of a merge lies in the span of the merge and the others, but with a negative share of those.
    return found if is_timely or min(found.weights.values()) > 0 else None


def _merged(family: Family, mixture: Mixture) -> tuple[Finding, ...]:
    left = f"{len(mixture.weights)} models give it, weighted; {mixture.left:.1e} of the distance, squared, is left"
    ordered = sorted(mixture.weights.items(), key=lambda item: -abs(item[1]))
    return tuple(
        Finding(
            key=family.members[place].key,
            kinship=Kinship.MERGED,
            weight=round(weight, 6),
            confidence=0.97 if mixture.left < 1e-3 else 0.85,
            evidence=(left, f"its share is {weight:.3f}"),
        )
        for place, weight in ordered
    )


def _recognize(family: Family, choice: Choice) -> Finding:
    member = family.members[choice.place]
    kinship, reason = _kinship(family, choice.place)
    equal = len(member.pairing.equal)
    evidence = [
        f"cosine {family.likeness(choice.place):.3f}, the median over {_matrices(len(family.model.blocks))}",
        f"distance {family.distances.to_model(choice.place) ** 0.5:.2g}; {choice.reason}",
        reason,
    ]
    if equal:
        evidence.append(f"{equal} of {len(family.manifest.parameters)} tensors are bit-equal")
    return Finding(key=member.key, kinship=kinship, confidence=choice.confidence, evidence=tuple(evidence))


def _matrices(count: int) -> str:
    return "one matrix" if count == 1 else f"{count} matrices"


def _kinship(family: Family, place: int) -> tuple[Kinship, str]:
    """What was done to the member, most special first."""
    member = family.members[place]
    dtype = find_rounding(family.model, member.sample, family.names)
    if dtype is not None and not member.pairing.has_other_head:
        return Kinship.CAST, f"its numbers are the parent's, rounded to {dtype}"
    if family.is_pruned_from(place):
        zeros = family.zeros(place)
        kept = "the others are equal" if zeros.is_exact else "the others were trained on"
        return (
            Kinship.PRUNED,
            f"{zeros.own:.0%} of its numbers are zero, {zeros.relative:.0%} of the parent's; {kept}",
        )
    change = find_low_rank(family.model, member.sample, family.shapes(place))
    if change is not None:
        return (
            Kinship.ADAPTED,
            f"{change.tensors} matrices differ in at most {change.rank} dimensions, the others not at all",
        )
    if member.pairing.has_other_head:
        return Kinship.HEAD_REPLACED, _head(member)
    fresh = new_heads(family.model, member.sample, list(member.sample.blocks))
    if fresh:
        return Kinship.HEAD_REPLACED, f"{fresh[0]} has nothing in common with the parent's"
    return Kinship.FINETUNED, "matrices differ in many dimensions, as after training"


def _head(member: Candidate) -> str:
    pairing = member.pairing
    name = next(iter((*pairing.reshaped, *pairing.added, *pairing.dropped)))
    if name in pairing.reshaped:
        return f"{name} has another shape than the parent's"
    return f"{name} is in one of the two only"
