"""A family of models from one base: every relation that is told from weights, chains, and strangers beside it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import ml_dtypes
import numpy as np
import torch
from bench.placing.networks import Network, NetworkShape, make_network
from bench.placing.training import Batches, Recipe, images, labeled_text, text, train
from torch.nn.utils import parametrize
from typing_extensions import override

from mgit_core.inference.kinship import Kinship

__all__ = ["FamilyPlan", "PoolModel", "Tensors", "grow_family"]

Tensors = Mapping[str, "np.ndarray"]

# A rate for gradient descent is far too fast for the optimizer of adapters.
_FASTEST_ADAPTER = 3e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolModel:
    """A model and what is true of it.

    Attributes:
        name: Unique within a pool.
        tensors: Its weights.
        parents: Names of the models that it was made from; none for a root.
        kinship: How; None for a root.
    """

    name: str
    tensors: Tensors
    parents: tuple[str, ...] = ()
    kinship: Kinship | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyPlan:
    """What a family is grown from.

    Attributes:
        name: Begins the names of its models.
        shape: Architecture of all of them.
        seed: All randomness follows from it.
        base: Recipe of the base and of every model that is trained from scratch.
        tuning: Recipe of a fine-tune.
        rank: Rank of adapters.
        sparsity: Share of the weights that pruning takes first.
    """

    name: str
    shape: NetworkShape
    seed: int
    base: Recipe
    tuning: Recipe
    rank: int = 4
    sparsity: float = 0.5


@dataclass(slots=True)
class _Grower:
    """The networks of a family by name, and the models so far."""

    plan: FamilyPlan
    networks: dict[str, Network] = field(default_factory=dict)
    models: list[PoolModel] = field(default_factory=list)

    def keep(
        self, name: str, network: Network, parents: tuple[str, ...] = (), kinship: Kinship | None = None
    ) -> None:
        self.networks[name] = network
        self.keep_tensors(name, tensors_of(network), parents, kinship)

    def keep_tensors(
        self, name: str, tensors: Tensors, parents: tuple[str, ...] = (), kinship: Kinship | None = None
    ) -> None:
        begin = self.plan.name
        named = tuple(f"{begin}/{parent}" for parent in parents)
        self.models.append(PoolModel(name=f"{begin}/{name}", tensors=tensors, parents=named, kinship=kinship))

    def copy(self, name: str) -> Network:
        return copy.deepcopy(self.networks[name])

    def data(self, offset: int, labels: int = 0) -> Batches:
        """The base's kind of data for no labels, else a task with so many."""
        shape, seed = self.plan.shape, self.plan.seed + 1_000 * offset
        if shape.kind != "transformer":
            return images(shape.vocabulary, seed, labels or shape.outputs)
        return labeled_text(shape, seed, labels) if labels else text(shape, seed)

    def recipe(self, offset: int, **changes: object) -> Recipe:
        return replace(self.plan.tuning, seed=self.plan.seed + offset, **changes)  # type: ignore[arg-type]


def tensors_of(network: Network) -> Tensors:
    """The state dict as arrays."""
    return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}


def grow_family(plan: FamilyPlan) -> list[PoolModel]:
    """The models, each behind those that it was made from."""
    grower = _Grower(plan)
    torch.manual_seed(plan.seed)
    _roots(grower)
    _tunes(grower)
    _heads(grower)
    _casts(grower)
    _prunes(grower)
    _merges(grower)
    _adapters(grower)
    return grower.models


def _roots(grower: _Grower) -> None:
    plan = grower.plan
    base = make_network(plan.shape, plan.seed)
    train(base, grower.data(0), plan.base)
    grower.keep("base", base)
    for number in (1, 2):
        other = make_network(plan.shape, plan.seed + 100 + number)
        # One learns what the base learned, from other first values.
        train(other, grower.data(0 if number == 1 else 5), plan.base)
        grower.keep(f"scratch-{number}", other)
    # The base's own first values, on other data: nothing of the base is in it.
    seeded = make_network(plan.shape, plan.seed)
    train(seeded, grower.data(7), plan.base)
    grower.keep("seeded", seeded)


def _tune(grower: _Grower, name: str, parent: str, batches: Batches, recipe: Recipe) -> None:
    network = grower.copy(parent)
    train(network, batches, recipe)
    grower.keep(name, network, (parent,), Kinship.FINETUNED)


def _tunes(grower: _Grower) -> None:
    """Siblings on two kinds of data and twice on one, a chain, and a chain of their own from a sibling."""
    _tune(grower, "tuned-1", "base", grower.data(1), grower.recipe(1))
    _tune(grower, "tuned-2", "base", grower.data(2), grower.recipe(2))
    _tune(grower, "tuned-2-again", "base", grower.data(2), grower.recipe(3))
    _tune(grower, "tuned-1-on", "tuned-1", grower.data(1), grower.recipe(4))
    _tune(grower, "tuned-1-further", "tuned-1-on", grower.data(3), grower.recipe(5))
    _tune(grower, "tuned-2-back", "tuned-2", grower.data(0), grower.recipe(6))
    _tune(grower, "strange-tuned", "scratch-2", grower.data(1), grower.recipe(7))


def _heads(grower: _Grower) -> None:
    is_text = grower.plan.shape.kind == "transformer"
    for name, parent, labels, scope in (
        ("task-1", "base", 3, ""),
        ("task-2", "base", 3, ""),
        ("task-frozen", "base", 5, "head"),
        ("task-of-tuned", "tuned-2", 5, ""),
    ):
        torch.manual_seed(grower.plan.seed + len(grower.models))
        network = grower.copy(parent)
        network.replace_head(labels, pools=is_text)
        offset = 10 + len(grower.models)
        train(network, grower.data(offset, labels), grower.recipe(offset, trains=scope))
        grower.keep(name, network, (parent,), Kinship.HEAD_REPLACED)
    _tune(grower, "task-1-on", "task-1", grower.data(40, 3), grower.recipe(40))


def _casts(grower: _Grower) -> None:
    for name, parent, dtype in (
        ("base-half", "base", np.dtype(np.float16)),
        ("tuned-2-brain", "tuned-2", np.dtype(ml_dtypes.bfloat16)),
    ):
        whole = tensors_of(grower.networks[parent])
        cast = {
            key: value.astype(dtype) if value.dtype.kind == "f" else value for key, value in whole.items()
        }
        grower.keep_tensors(name, cast, (parent,), Kinship.CAST)
    # A fine-tune of a cast, kept in the narrow type.
    network = grower.copy("base")
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.half().float())
    train(network, grower.data(21), grower.recipe(21))
    narrow = {k: v.astype(np.float16) if v.dtype.kind == "f" else v for k, v in tensors_of(network).items()}
    grower.keep_tensors("half-tuned", narrow, ("base-half",), Kinship.FINETUNED)


def _prune(network: Network, sparsity: float) -> None:
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1 and not name.startswith("head"):
                count = int(sparsity * weight.numel())
                limit = weight.abs().flatten().kthvalue(max(1, count)).values
                weight[weight.abs() <= limit] = 0


def _prunes(grower: _Grower) -> None:
    sparse = grower.plan.sparsity
    for name, parent, share, recovers in (
        ("pruned", "base", sparse, False),
        ("pruned-more", "pruned", (1 + sparse) / 2, True),
        ("tuned-2-pruned", "tuned-2", 0.3, True),
    ):
        network = grower.copy(parent)
        _prune(network, share)
        if recovers:
            train(network, grower.data(30), grower.recipe(30, keeps_zeros=True))
        grower.keep(name, network, (parent,), Kinship.PRUNED)
    network = grower.copy("pruned")
    train(network, grower.data(31), grower.recipe(31, keeps_zeros=True))
    grower.keep("pruned-tuned", network, ("pruned",), Kinship.FINETUNED)


def _merges(grower: _Grower) -> None:
    for name, shares in (
        ("merged", {"tuned-1": 0.5, "tuned-2": 0.5}),
        ("merged-three", {"tuned-1-further": 0.5, "tuned-2": 0.2, "tuned-2-again": 0.3}),
    ):
        network = grower.copy("base")
        members = [(share, grower.networks[member].state_dict()) for member, share in shares.items()]
        state = network.state_dict()
        for key, value in state.items():
            if value.is_floating_point():
                value.copy_(sum(share * member[key] for share, member in members))
        grower.keep(name, network, tuple(shares), Kinship.MERGED)
    _tune(grower, "merged-tuned", "merged", grower.data(33), grower.recipe(33))


def _adapters(grower: _Grower) -> None:
    for name, parent, offset in (("adapted", "base", 50), ("tuned-2-adapted", "tuned-2", 51)):
        network = grower.copy(parent)
        _train_low_rank(network, grower.data(offset), grower.recipe(offset), grower.plan.rank)
        grower.keep(name, network, (parent,), Kinship.ADAPTED)
    base = grower.networks["base"]
    grower.keep_tensors("base-again", tensors_of(base), ("base",), Kinship.DUPLICATE)


def _train_low_rank(network: Network, batches: Batches, recipe: Recipe, rank: int) -> None:
    """Train products of thin matrices beside the weights, and add them in the end."""
    torch.manual_seed(recipe.seed)
    for weight in network.parameters():
        weight.requires_grad_(False)
    chosen = list(_linear_layers(network))
    for layer in chosen:
        parametrize.register_parametrization(layer, "weight", _LowRank(layer.weight.shape, rank))
    network.requires_grad_(False)
    for layer in chosen:
        layer.parametrizations.weight[0].requires_grad_(True)
    _train_some(network, batches, recipe)
    for layer in chosen:
        parametrize.remove_parametrizations(layer, "weight")
    network.requires_grad_(True)


def _train_some(network: Network, batches: Batches, recipe: Recipe) -> None:
    network.eval()  # Running means belong to the base.
    moved = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(moved, min(3 * recipe.rate, _FASTEST_ADAPTER))
    generator = torch.Generator().manual_seed(recipe.seed)
    for _ in range(recipe.steps):
        inputs, answers = batches(generator)
        loss = torch.nn.functional.cross_entropy(network(inputs).flatten(0, -2), answers.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _linear_layers(network: Network) -> Iterator[torch.nn.Linear]:
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Linear) and name != "head" and min(layer.weight.shape) >= 16:
            yield layer


class _LowRank(torch.nn.Module):
    def __init__(self, shape: torch.Size, rank: int) -> None:
        super().__init__()
        self.into = torch.nn.Parameter(torch.randn(rank, shape[1]) / shape[1] ** 0.5)
        self.output = torch.nn.Parameter(torch.zeros(shape[0], rank))

    @override
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.output @ self.into
