"""Layers of real architectures: encoder, decoder, encoder-decoder, convolutional, and with shared layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import transformers

from mgit.frameworks.torch import trace_layers
from mgit_core.layers.graph import LayerGraph, LayerGraphSource
from mgit_core.layers.reach import reachable

if TYPE_CHECKING:
    import torch

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
}


def _bert() -> torch.nn.Module:
    return transformers.BertForMaskedLM(transformers.BertConfig(num_hidden_layers=2, **SMALL))


def _albert() -> torch.nn.Module:
    return transformers.AlbertModel(transformers.AlbertConfig(num_hidden_layers=3, embedding_size=8, **SMALL))


def _gpt2() -> torch.nn.Module:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50)
    )


def _t5() -> torch.nn.Module:
    config = transformers.T5Config(d_model=16, d_ff=32, num_layers=2, num_heads=2, d_kv=8, vocab_size=50)
    config.decoder_start_token_id = 0
    return transformers.T5ForConditionalGeneration(config)


def _resnet() -> torch.nn.Module:
    config = transformers.ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic"
    )
    return transformers.ResNetModel(config)


def _vit() -> torch.nn.Module:
    return transformers.ViTModel(
        transformers.ViTConfig(num_hidden_layers=1, image_size=16, patch_size=8, **SMALL)
    )


# Of each: how it is made, and what some layers take from.
MODELS: dict[str, tuple[Any, dict[str, set[str]]]] = {
    "bert": (
        _bert,
        {
            "bert.embeddings.LayerNorm": {
                "bert.embeddings.word_embeddings",
                "bert.embeddings.token_type_embeddings",
                "bert.embeddings.position_embeddings",
            },
            "bert.encoder.layer.1.attention.output.dense": {
                f"bert.encoder.layer.1.attention.self.{each}" for each in ("query", "key", "value")
            },
            "bert.encoder.layer.0.output.LayerNorm": {
                "bert.encoder.layer.0.output.dense",
                "bert.encoder.layer.0.attention.output.LayerNorm",
            },
            "cls.predictions.decoder": {"cls.predictions.transform.LayerNorm"},
        },
    ),
    "gpt2": (
        _gpt2,
        {
            "transformer.h.0:add": {"transformer:add", "transformer.h.0.attn.c_proj"},
            "transformer.h.1.ln_1": {"transformer.h.0:add_2"},
            "transformer.ln_f": {"transformer.h.1:add", "transformer.h.1.mlp.c_proj"},
            "lm_head": {"transformer.ln_f"},
        },
    ),
    "t5": (
        _t5,
        {
            "encoder.block.0.layer.0.layer_norm": {"encoder.embed_tokens"},
            "encoder.block.0.layer.0:add": {
                "encoder.embed_tokens",
                "encoder.block.0.layer.0.SelfAttention.o",
            },
            "decoder.block.0.layer.1.EncDecAttention.k": {"encoder.final_layer_norm"},
            "decoder.block.0.layer.1.EncDecAttention.q": {"decoder.block.0.layer.1.layer_norm"},
            "lm_head": {"decoder.final_layer_norm"},
        },
    ),
    "resnet": (
        _resnet,
        {
            "encoder.stages.0.layers.0:add": {
                "embedder.embedder.normalization",
                "encoder.stages.0.layers.0.layer.1.normalization",
            },
            "encoder.stages.1.layers.0.shortcut.convolution": {"encoder.stages.0.layers.0:add"},
        },
    ),
    "vit": (
        _vit,
        {
            "embeddings": {"embeddings.patch_embeddings.projection"},
            "layers.0:add": {"embeddings", "layers.0.attention.o_proj"},
            "pooler.dense": {"layernorm"},
        },
    ),
}


def _sources(graph: LayerGraph) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {layer.path: set() for layer in graph.layers}
    for giver, taker in graph.edges:
        found[graph.layers[taker].path].add(graph.layers[giver].path)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_a_real_architecture_is_traced_by_its_own_inputs(name: str) -> None:
    make, wanted = MODELS[name]
    model = make()
    graph = trace_layers(model)
    assert (graph.source, graph.note) == (LayerGraphSource.EXPORT, "")
    assert graph.owners().keys() == model.state_dict().keys()
    found = _sources(graph)
    assert {path: found[path] for path in wanted} == wanted


def test_the_decoder_hangs_on_the_encoder_and_not_the_other_way() -> None:
    graph = trace_layers(_t5())
    places = {layer.path: at for at, layer in enumerate(graph.layers)}
    from_encoder = reachable(graph, [places["encoder.block.0.layer.1.DenseReluDense.wo"]])
    assert places["decoder.block.1.layer.1.EncDecAttention.v"] in from_encoder
    assert places["decoder.block.0.layer.0.SelfAttention.q"] not in from_encoder
    from_decoder = reachable(graph, [places["decoder.embed_tokens"]])
    assert not any(graph.layers[at].path.startswith("encoder.") for at in from_decoder)


def test_layers_that_are_shared_run_three_times() -> None:
    graph = trace_layers(_albert())
    shared = "encoder.albert_layer_groups.0.albert_layers.0.ffn"
    assert [layer.path for layer in graph.layers if shared in (layer.path, layer.repeats)] == [
        shared,
        f"{shared}#2",
        f"{shared}#3",
    ]
    query = f"{shared.rpartition('.')[0]}.attention.query"
    places = {layer.path: at for at, layer in enumerate(graph.layers)}
    assert places[query] in reachable(graph, [places[shared]])
