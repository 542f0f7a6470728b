"""The two families: a small one for the demonstration, and the one the measurements are made with."""

from __future__ import annotations

from examples.minilm.recipe import (
    Adapter,
    Average,
    Base,
    Cast,
    Finetune,
    Member,
    MergeAdapter,
    Prune,
    Training,
)

__all__ = ["DEMO", "FULL"]

_BASE = Member(name="minilm", recipe=Base())


def _brief(label_set: int, *, steps: int, learning_rate: float, seed: int) -> Training:
    """Few steps at more than the usual rate: about a minute for all, and still far better than guessing."""
    return Training(
        label_set=label_set, steps=steps, learning_rate=learning_rate, seed=seed, tokens=24, held_out=128
    )


DEMO: tuple[Member, ...] = (
    _BASE,
    Member(
        name="topic-network",
        parents=(("minilm@1", "finetuned"),),
        recipe=Finetune(training=_brief(1, steps=40, learning_rate=5e-5, seed=1)),
    ),
    Member(
        name="topic-network",
        version=2,
        parents=(("topic-network@1", "finetuned"),),
        previous="topic-network@1",
        recipe=Finetune(training=_brief(1, steps=24, learning_rate=2e-5, seed=2)),
    ),
    Member(
        name="topic-runtime",
        parents=(("minilm@1", "finetuned"),),
        recipe=Finetune(training=_brief(2, steps=40, learning_rate=5e-5, seed=3)),
    ),
    Member(
        name="topic-values-head",
        parents=(("minilm@1", "finetuned"),),
        recipe=Finetune(training=_brief(3, steps=40, learning_rate=5e-3, seed=4), scope="head"),
    ),
    Member(
        name="topic-tools-lora",
        parents=(("minilm@1", "adapted"),),
        recipe=Adapter(training=_brief(4, steps=40, learning_rate=2e-3, seed=5), targets="query-value"),
    ),
    Member(
        name="topic-tools",
        parents=(("minilm@1", "adapted"), ("topic-tools-lora@1", "merged")),
        recipe=MergeAdapter(),
    ),
    Member(name="topic-network-pruned", parents=(("topic-network@2", "pruned"),), recipe=Prune()),
    Member(
        name="topic-network-recovered",
        parents=(("topic-network-pruned@1", "finetuned"),),
        recipe=Finetune(training=_brief(1, steps=24, learning_rate=5e-5, seed=6), scope="unpruned"),
    ),
    Member(
        name="topic-soup",
        parents=(("topic-network@2", "merged"), ("topic-runtime@1", "merged")),
        recipe=Average(),
    ),
    Member(name="minilm-bf16", parents=(("minilm@1", "cast"),), recipe=Cast("bfloat16")),
    Member(
        name="topic-network-bf16",
        parents=(("topic-network@2", "cast"),),
        recipe=Cast("bfloat16"),
        same_dtype="minilm-bf16@1",
    ),
    Member(name="topic-runtime-fp16", parents=(("topic-runtime@1", "cast"),), recipe=Cast("float16")),
)
"""Thirteen members with every relation that training on two cores can show; parents come first."""


def _finetune(name: str, parent: str, training: Training) -> Member:
    return Member(name=name, parents=((parent, "finetuned"),), recipe=Finetune(training=training))


def _head(name: str, label_set: int) -> Member:
    training = Training(label_set=label_set, steps=150, learning_rate=1e-3, seed=20 + label_set)
    return Member(
        name=name, parents=(("minilm@1", "finetuned"),), recipe=Finetune(training=training, scope="head")
    )


def _lora(name: str, recipe: Adapter) -> tuple[Member, Member]:
    adapter = f"{name}-adapter"
    return (
        Member(name=adapter, parents=(("minilm@1", "adapted"),), recipe=recipe),
        Member(
            name=name, parents=(("minilm@1", "adapted"), (f"{adapter}@1", "merged")), recipe=MergeAdapter()
        ),
    )


def _bf16(name: str) -> Member:
    return Member(
        name=f"{name}-bf16",
        parents=((f"{name}@1", "cast"),),
        recipe=Cast("bfloat16"),
        same_dtype="minilm-bf16@1",
    )


def _long(label_set: int, *, weight_decay: float = 0.0) -> Training:
    return Training(
        label_set=label_set, steps=300, learning_rate=2e-5, weight_decay=weight_decay, seed=10 + label_set
    )


def _short(label_set: int, *, learning_rate: float, seed: int) -> Training:
    return Training(label_set=label_set, steps=150, learning_rate=learning_rate, seed=seed)


def _lora_training(label_set: int) -> Training:
    return Training(label_set=label_set, steps=300, learning_rate=2e-4, seed=30 + label_set)


FULL: tuple[Member, ...] = (
    _BASE,
    _finetune("ft0", "minilm@1", _long(1)),
    _finetune("ft1", "minilm@1", _long(2, weight_decay=0.01)),
    _finetune("ft2", "minilm@1", _long(3)),
    _finetune("ft3", "minilm@1", _long(4, weight_decay=0.01)),
    _finetune("ft0v2", "ft0@1", _short(1, learning_rate=1e-5, seed=41)),
    _finetune("ft0v3", "ft0v2@1", _short(1, learning_rate=1e-5, seed=42)),
    _head("head0", 1),
    _head("head1", 4),
    *_lora("lora0", Adapter(training=_lora_training(2), targets="query-value")),
    *_lora("lora1", Adapter(training=_lora_training(3), targets="all-linear")),
    Member(name="pruned0", parents=(("ft0@1", "pruned"),), recipe=Prune()),
    Member(
        name="pruned1",
        parents=(("pruned0@1", "finetuned"),),
        recipe=Finetune(training=_short(1, learning_rate=2e-5, seed=43), scope="unpruned"),
    ),
    Member(name="soup01", parents=(("ft0@1", "merged"), ("ft1@1", "merged")), recipe=Average()),
    Member(name="minilm-bf16", parents=(("minilm@1", "cast"),), recipe=Cast("bfloat16")),
    *(_bf16(name) for name in ("ft0", "ft1", "ft2", "ft3")),
    Member(name="minilm-fp16", parents=(("minilm@1", "cast"),), recipe=Cast("float16")),
    Member(
        name="ft0-fp16",
        parents=(("ft0@1", "cast"),),
        recipe=Cast("float16"),
        same_dtype="minilm-fp16@1",
    ),
)
"""The 21 whole models that the measurements are made with, and the two adapters that two of them are made of."""
