"""What other tools write down about how a model was made, as parents, relations and weights.

Two kinds are read: the configuration of a merge as mergekit takes it, and the metadata of a model card on the
Hugging Face Hub. Both name models, never versions; who records a recipe decides which versions are meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Relation

__all__ = ["Recipe", "RecipeParent", "recipe_of_card", "recipe_of_merge"]

Document: TypeAlias = Mapping[str, object]

# Methods that compute with what the models changed from their base; of the others the base gives a tokenizer at most.
_ONTO_BASE = frozenset(
    {
        *("breadcrumbs", "breadcrumbs_ties", "dare_linear", "dare_ties", "della", "della_linear"),
        *("model_stock", "sce", "task_arithmetic", "ties"),
    }
)
# Methods whose weights are shares, which mergekit divides by their sum unless told not to.
_SHARES = frozenset({"linear", "nuslerp"})
_CARD_RELATIONS = {
    "adapter": Relation.ADAPTED,
    "finetune": Relation.FINETUNED,
    "merge": Relation.MERGED,
    "quantized": Relation.QUANTIZED,
}
_MOST_PARENTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeParent:
    """A model that a recipe starts from.

    Attributes:
        name: As the recipe writes it: a name at a hub, or a path.
        relation: How the new model was made from it.
        weight: Its share or factor, if the recipe gives one number for the whole model.
    """

    name: str
    relation: Relation
    weight: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model was made.

    Attributes:
        parents: What from, in order, each name with one relation once.
        metadata: What the recipe says besides, by key: ``merge_method``, ``license``.
        datasets: Names of data sets that it says the model was trained on.
    """

    parents: tuple[RecipeParent, ...]
    metadata: Mapping[str, str]
    datasets: tuple[str, ...] = ()


def recipe_of_merge(document: Document) -> Recipe:
    """The recipe that the configuration of a merge holds: its models, in order, and the base behind them.

    A base that the method computes with is a parent without a share; one that is a model of the merge itself, or
    gives a tokenizer only, is none besides. Weights of ``linear`` and ``nuslerp`` become shares of 1.

    Raises:
        InvalidArgumentError: UNREADABLE_INPUT.
    """
    method = document.get("merge_method")
    if not isinstance(method, str):
        raise _unreadable(f"merge_method is a text; found {_shown(method)}")
    found: dict[str, list[float | None]] = {}
    for entry in _entries(document):
        found.setdefault(_model_name(entry.get("model")), []).append(_weight(entry))
    parents = [
        # A model of several slices has the weight that all of them give it.
        RecipeParent(
            name=name, relation=Relation.MERGED, weight=weights[0] if len(set(weights)) == 1 else None
        )
        for name, weights in found.items()
    ]
    if method in _SHARES and _is_normalized(document):
        parents = _as_shares(parents)
    base = document.get("base_model")
    if base is not None and method in _ONTO_BASE and (name := _model_name(base)) not in found:
        parents.append(RecipeParent(name=name, relation=Relation.DERIVED))
    return _recipe(parents, {"merge_method": method})


def recipe_of_card(document: Document) -> Recipe:
    """The recipe that the metadata of a model card holds: ``base_model`` and how, data sets, licence.

    Without ``base_model_relation`` several bases are a merge, a base of the library ``peft`` is adapted, and any
    other is fine-tuned, as the Hub reads it.

    Raises:
        InvalidArgumentError: UNREADABLE_INPUT.
    """
    bases = _texts(document, "base_model")
    if not bases:
        raise _unreadable("a model card has a base_model, which this one lacks")
    relation = _card_relation(document, bases)
    license_name = document.get("license")
    metadata = {"license": license_name} if isinstance(license_name, str) else {}
    parents = [RecipeParent(name=name, relation=relation) for name in bases]
    return replace(_recipe(parents, metadata), datasets=tuple(dict.fromkeys(_texts(document, "datasets"))))


def _recipe(parents: Sequence[RecipeParent], metadata: Mapping[str, str]) -> Recipe:
    distinct = {(parent.name, parent.relation): parent for parent in parents}
    if not 1 <= len(distinct) <= _MOST_PARENTS:
        raise _unreadable(f"a recipe names 1 to {_MOST_PARENTS} models; found {len(distinct)}")
    return Recipe(parents=tuple(distinct.values()), metadata=metadata)


def _entries(document: Document) -> Iterator[Document]:
    """What says ``model:`` in a merge: its list of models, or the sources of its slices."""
    yield from _mappings(document, "models")
    for piece in _mappings(document, "slices"):
        yield from _mappings(piece, "sources")


def _mappings(document: Document, key: str) -> Iterator[Document]:
    entries = document.get(key) or []
    if not isinstance(entries, list):
        raise _unreadable(f"{key} is a list; found {_shown(entries)}")
    for entry in cast("list[object]", entries):
        if not isinstance(entry, dict):
            raise _unreadable(f"{key} has entries with a model each; found {_shown(entry)}")
        yield cast("Document", entry)


def _model_name(value: object) -> str:
    """The name of a model, without the adapter that may be merged into it first (``MODEL+ADAPTER``)."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        inner = fields.get("model", fields.get("path"))
        return _model_name(cast("dict[str, Any]", inner).get("path") if isinstance(inner, dict) else inner)
    if not isinstance(value, str) or not value.strip():
        raise _unreadable(f"a model is named by a text; found {_shown(value)}")
    return value.partition("+")[0].strip()


def _weight(entry: Document) -> float | None:
    """The one weight of a model; None where it differs from layer to layer, or none is given."""
    parameters = entry.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise _unreadable(f"parameters have names; found {_shown(parameters)}")
    weight = cast("dict[str, object]", parameters).get("weight")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        return None
    return float(weight)


def _is_normalized(document: Document) -> bool:
    parameters = document.get("parameters")
    return (
        not isinstance(parameters, dict)
        or cast("dict[str, object]", parameters).get("normalize") is not False
    )


def _as_shares(parents: Sequence[RecipeParent]) -> list[RecipeParent]:
    weights = [parent.weight for parent in parents if parent.weight is not None]
    total = math.fsum(weights)
    if len(weights) < len(parents) or not total:
        return list(parents)
    return [replace(parent, weight=weight / total) for parent, weight in zip(parents, weights, strict=True)]


def _texts(document: Document, key: str) -> list[str]:
    value = document.get(key)
    values = cast("list[object]", value) if isinstance(value, list) else [] if value is None else [value]
    for each in values:
        if not isinstance(each, str) or not each.strip():
            raise _unreadable(f"{key} is a name or a list of names; found {_shown(each)}")
    return [cast("str", each).strip() for each in values]


def _card_relation(document: Document, bases: Sequence[str]) -> Relation:
    told = document.get("base_model_relation")
    if told is not None:
        relation = _CARD_RELATIONS.get(told) if isinstance(told, str) else None
        if relation is None:
            raise _unreadable(
                f"base_model_relation is one of {', '.join(_CARD_RELATIONS)}; found {_shown(told)}"
            )
        return relation
    if len(bases) > 1:
        return Relation.MERGED
    return Relation.ADAPTED if document.get("library_name") == "peft" else Relation.FINETUNED


def _shown(value: object) -> str:
    """A value for a message; never a nested one, since aliases make a short text stand for an endless value."""
    is_plain = value is None or isinstance(value, str | int | float)
    return repr(value)[:80] if is_plain else f"a {type(value).__name__}"


def _unreadable(what: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.UNREADABLE_INPUT, f"The recipe cannot be used: {what}.")
