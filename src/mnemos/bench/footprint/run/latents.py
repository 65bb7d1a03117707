"""Small models whose caches have keys and values of all heads, of fewer, or latents: loss against bytes a token."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from mnemos.bench.footprint.letters import Letters
from mnemos.bench.footprint.running import Options
from mnemos.bench.footprint.shakespeare import Recipe, fit, loss_of
from mnemos.bench.parts import Row, seeded
from mnemos.footprint.generate.base import read
from mnemos.footprint.plan.bytes_of import CacheBytes

RECIPE = Recipe(layers=2, width=64, inner=256, steps=200)
LATENT, ROTATED = 24, 8  # as many numbers a token as one head has keys and values
FORMS = {"MHA, 4 heads": 4, "GQA, 2 heads": 2, "MQA": 1, "MLA": 0}
TESTED = 32


def made(heads: int, vocabulary: int, seed: int) -> Any:
    """Return an untrained model with some heads of keys and values; with latents where there are none."""
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM, LlamaConfig, LlamaForCausalLM

    shape = {
        "vocab_size": vocabulary, "hidden_size": RECIPE.width, "intermediate_size": RECIPE.inner,
        "num_hidden_layers": RECIPE.layers, "num_attention_heads": 4, "max_position_embeddings": 512,
        "tie_word_embeddings": False, "bos_token_id": None, "eos_token_id": None, "num_key_value_heads": heads or 4,
    }  # fmt: skip
    latents = {
        "kv_lora_rank": LATENT, "q_lora_rank": None, "qk_rope_head_dim": ROTATED, "qk_nope_head_dim": 16, "v_head_dim": 16,
        "first_k_dense_replace": RECIPE.layers,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = (
            LlamaForCausalLM(LlamaConfig(**shape))
            if heads
            else DeepseekV3ForCausalLM(DeepseekV3Config(**shape, **latents))
        )
        for layer in model.model.layers:
            layer.mlp = nn.Sequential(
                nn.Linear(RECIPE.width, RECIPE.inner), nn.ReLU(), nn.Linear(RECIPE.inner, RECIPE.width)
            )
    return model


def measure(options: Options) -> dict[str, Row]:
    """Return the rows of the part."""
    text = Letters(options.data)

    def run(heads: int, seed: int) -> dict[str, float]:
        model = made(heads, text.count, seed)
        fit(model, RECIPE, text, seed)
        ids = text.tests(TESTED, 127)
        with torch.no_grad():
            loss = float(loss_of(model, ids))
            held = sum(t.nbytes for layer in read(model, ids[0]).layers for t in (layer.keys, layer.values))
        predicted = CacheBytes.of(model.config, bits=32).per_token
        return {
            "bytes a token": held / ids.shape[1],
            "predicted": predicted,
            "loss": loss,
            "weights": sum(p.numel() for p in model.parameters()),
        }

    rows = {
        name: seeded(options.seeds, partial(run, heads), ("bytes a token", "predicted", "weights"))
        for name, heads in FORMS.items()
    }
    least = rows["MHA, 4 heads"]["loss"]
    return {name: row | {"loss, more %": row["loss"] / least - 1} for name, row in rows.items()}
