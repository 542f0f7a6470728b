"""Training of the family's members: an encoder, the mean of its outputs, and a linear head.

Everything runs on two threads of the processor with fixed seeds, so the same machine and versions give the
same bits. The caller's seeds, threads and settings are put back afterwards.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from examples.minilm.optimizing import (
    OnStep,
    deterministic,
    each_batch,
    optimize,
    read_tokenizer,
    tensors_of,
)
from examples.minilm.recipe import Adapter, Finetune, Judge, Training
from examples.minilm.text import LabeledText
from examples.minilm.weights import HEAD, Model, Tensors, cast, is_encoder_matrix
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import BertConfig, BertModel

__all__ = ["TopicClassifier", "Trained", "accuracy", "finetune", "merge_adapter", "train_adapter"]

_EVALUATION_BATCH = 64
_LORA_TARGETS = {
    "query-value": r"encoder\.layer\.\d+\.attention\.self\.(query|value)",
    "all-linear": r"encoder\.layer\.\d+\..*(query|key|value|dense)",
}


class TopicClassifier(BertModel):
    """The encoder with a linear head over the mean of its outputs.

    A subclass and not a wrapper, so that the encoder's tensors keep the names that they have in the base.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Scores, one row a text and one column a label."""
        scores: torch.Tensor = self.classifier(self.pooled(input_ids, attention_mask))
        return scores

    def pooled(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The mean of the encoder's outputs over the tokens of each text, one row a text."""
        hidden = super().forward(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean: torch.Tensor = (hidden * mask).sum(1) / mask.sum(1)
        return mean


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model and the mean losses over the first and the last tenth of its steps."""

    model: Model
    first_loss: float
    last_loss: float


def finetune(model: Model, recipe: Finetune, text: LabeledText, on_step: OnStep) -> Trained:
    """The model trained as the recipe says; tensors that training does not reach keep their bits."""
    with deterministic(recipe.training.seed):
        network = _network(model, text)
        if recipe.scope == "head":
            network.requires_grad_(requires_grad=False)
            network.classifier.requires_grad_(requires_grad=True)
        masks = _masks(network) if recipe.scope == "unpruned" else {}
        losses = _train(network, recipe.training, text, on_step, masks)
    return _trained(_whole(model, network), losses)


def train_adapter(model: Model, recipe: Adapter, text: LabeledText, on_step: OnStep, folder: Path) -> Trained:
    """A LoRA adapter and its head, written to ``folder`` in PEFT's form, and the model with both merged in."""
    lora = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,
        target_modules=_LORA_TARGETS[recipe.targets],
        modules_to_save=[HEAD],
    )
    with deterministic(recipe.training.seed):
        plain = _network(model, text)
        # What PEFT writes down as the adapter's base; the configuration names the base's own base.
        plain.name_or_path = "minilm"
        with _quiet_peft():
            network = get_peft_model(plain, lora)
        losses = _train(network, recipe.training, text, on_step, {})
        # The embeddings are not trained; PEFT would otherwise ask a server whether they have been resized.
        network.save_pretrained(str(folder), save_embedding_layers=False)
        # PEFT's model card is an empty form, and names the base's base as the adapter's.
        (folder / "README.md").unlink()
        merged = _whole(model, network.merge_and_unload())
    return _trained(merged, losses)


def merge_adapter(model: Model, folder: Path, text: LabeledText) -> Model:
    """The model with the adapter of ``folder``, made for the labels of ``text``, merged in by PEFT itself."""
    with deterministic(0):
        with _quiet_peft():
            network = PeftModel.from_pretrained(_network(model, text), str(folder))
        return _whole(model, network.merge_and_unload())


def accuracy(model: Model, judge: Judge) -> tuple[float, float]:
    """Share of the held-out texts whose topic the model finds, and share of their most frequent topic.

    Both from 0 to 1, on the same texts; computed in 32 bits.
    """
    every = -(-len(judge.text.held_out) // judge.training.held_out)
    rows = sorted(judge.text.held_out[::every], key=lambda row: len(row.text))
    encoder = read_tokenizer(judge.training.tokens)
    right = 0
    with deterministic(0), torch.inference_mode():
        network = _network(cast(model, "float32"), judge.text)
        network.train(mode=False)
        for start in range(0, len(rows), _EVALUATION_BATCH):
            ids, mask, labels = tensors_of(encoder, rows[start : start + _EVALUATION_BATCH])
            right += int((network(ids, mask).argmax(1) == labels).sum())
    most = max(Counter(row.label for row in rows).values())
    return right / len(rows), most / len(rows)


def _network(model: Model, text: LabeledText) -> TopicClassifier:
    """The model as a network for the labels of ``text``; a head that does not fit is replaced by a new one."""
    names = dict(enumerate(text.label_names))
    config = BertConfig.from_dict(model.config, id2label=names, label2id={v: k for k, v in names.items()})
    config.architectures = [TopicClassifier.__name__]
    network = TopicClassifier(config)
    weights = {name: model.weights[name] for name, _ in network.named_parameters() if name in model.weights}
    if model.config.get("id2label") != {str(label): name for label, name in names.items()}:
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(f"{HEAD}.")}
        weights |= {
            name: tensor for name, tensor in network.state_dict().items() if name.startswith(f"{HEAD}.")
        }
    network.load_state_dict(weights)
    return network


def _whole(source: Model, network: TopicClassifier) -> Model:
    """The network as a model; what it has no parameter for, such as the position numbers, is the source's."""
    weights = source.weights | {name: tensor.detach() for name, tensor in network.named_parameters()}
    config: dict[str, object] = network.config.to_diff_dict()
    config["id2label"] = {str(label): name for label, name in network.config.id2label.items()}
    return Model(weights, config)


def _train(
    network: nn.Module, training: Training, text: LabeledText, on_step: OnStep, masks: Tensors
) -> list[float]:
    encoder = read_tokenizer(training.tokens)

    def losses() -> Iterator[torch.Tensor]:
        for rows in each_batch(text.train, training):
            ids, mask, labels = tensors_of(encoder, rows)
            yield nn.functional.cross_entropy(network(ids, mask), labels)

    return optimize(network, training, losses(), on_step, masks)


def _trained(model: Model, losses: list[float]) -> Trained:
    tenth = max(1, len(losses) // 10)
    return Trained(model, sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth)


def _masks(network: nn.Module) -> Tensors:
    return {
        name: (tensor.detach() != 0).to(tensor.dtype)
        for name, tensor in network.named_parameters()
        if is_encoder_matrix(name, tensor)
    }


@contextmanager
def _quiet_peft() -> Iterator[None]:
    """Lets pass the one warning that PEFT causes by asking transformers under a name on its way out."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning
        )
        yield
