"""Tiny decoders that know the facts of a made-up world by heart, trained from statements in a minute."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mnemos.bench.parametric.facts import Fact, World, make_tokenizer, vocabulary

Family = Literal["llama", "gpt2"]
WIDTH, NEURONS, LAYERS, HEADS = 64, 256, 3, 4
BATCH, PER_TEXT, RATE = 32, 3, 3e-3  # texts a step, statements a text


def new_model(family: Family, seed: int, layers: int = LAYERS) -> Any:
    """Return a decoder with random weights, which the seed makes the same."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    words = len(vocabulary())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if family == "gpt2":
            dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
            config: Any = GPT2Config(
                vocab_size=words, n_embd=WIDTH, n_inner=NEURONS, n_layer=layers, n_head=HEADS, n_positions=128,
                bos_token_id=1, eos_token_id=1, **dropout,
            )  # fmt: skip
            return GPT2LMHeadModel(config).eval()
        config = LlamaConfig(
            vocab_size=words, hidden_size=WIDTH, intermediate_size=NEURONS, num_hidden_layers=layers, num_attention_heads=HEADS,
            num_key_value_heads=HEADS, max_position_embeddings=128, bos_token_id=1, eos_token_id=1, pad_token_id=0,
        )  # fmt: skip
        return LlamaForCausalLM(config).eval()


def texts(facts: Sequence[Fact], count: int, rng: random.Random, held: dict[Fact, int] | None = None) -> list[str]:
    """Return texts of statements; of a fact that is in `held`, the template of that number is never written."""
    held = held or {}
    lines = []
    for _ in range(count):
        drawn = rng.choices(facts, k=PER_TEXT)
        lines.append(" ".join(f.statement(rng.choice([t for t in range(3) if t != held.get(f)])) for f in drawn))
    return lines


def train(model: Any, facts: Sequence[Fact], steps: int, seed: int, held: dict[Fact, int] | None = None) -> float:
    """Train a model on statements of facts and return its last loss; the seed makes the same texts."""
    import torch
    from torch.nn import functional

    from mnemos.parametric.answers import opened, padded

    tokenizer, rng = make_tokenizer(), random.Random(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    model.train()
    for _ in range(steps):
        coded = [(opened(tokenizer, text), 1) for text in texts(facts, BATCH, rng, held)]
        tokens, labels = padded(coded)
        logits = model(input_ids=tokens).logits[:, :-1]
        loss = functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    optimiser.zero_grad(set_to_none=True)
    model.eval()
    return float(loss.detach())


def trained(
    world: World,
    facts: Sequence[Fact],
    family: Family,
    steps: int,
    seed: int,
    cache: Path | None = None,
    name: str = "",
) -> Any:
    """Return a model that knows these facts; read from `cache` where it was trained before."""
    from safetensors.torch import load_model, save_model

    model = new_model(family, seed)
    path = None if cache is None else cache / f"{name}-{family}-{len(facts)}-{steps}-{world.seed}-{seed}.safetensors"
    if path is not None and path.exists():
        load_model(model, str(path))
        return model
    train(model, facts, steps, seed)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model(model, str(path))
    return model
