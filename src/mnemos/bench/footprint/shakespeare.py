"""Language models of a few million parameters that read Shakespeare letter by letter, with feed-forward layers of ReLU.

A model is a Llama of transformers whose feed-forward layers are two linear maps with ReLU between them. Weights of the layers are
trained by Muon (arXiv 2502.16982), the rest by AdamW. A trained model is kept, keyed by its recipe and seed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from mnemos.bench.footprint.letters import Letters
from mnemos.bench.kv import checkpoints

REVISION = 1  # raise it when a change makes another model
ROWS, LENGTH, WARM_UP = 16, 128, 30
RATE, MUON = 3e-3, 0.02


@dataclass(frozen=True)
class Recipe:
    """The shape of a model and how it is trained."""

    layers: int = 4
    width: int = 192
    inner: int = 768  # of the feed-forward layers
    heads: int = 4
    steps: int = 250
    exits: tuple[int, ...] = ()  # layers after which a loss is taken too, by the same norm and head
    thin: float = 0.0  # weight of the mean activation of the feed-forward layers in the loss (ProSparse, 2402.13516)


LARGE = Recipe(thin=0.2)
DRAFT = Recipe(layers=1, width=96, inner=384, heads=2, steps=300)
EXITS = Recipe(layers=6, width=128, inner=384, steps=350, exits=(2, 4))


def trained(recipe: Recipe, text: Letters, seed: int = 0, cache: Path | None = None) -> Any:
    """Return the model of a recipe and seed: read from the cache, else trained and stored there."""
    name = f"shakespeare-{recipe.layers}x{recipe.width}-{seed}"
    path = checkpoints.folder(name, [REVISION, text.count, seed, asdict(recipe)], cache)
    found = checkpoints.find(path, lambda _: untrained(recipe, text.count, seed))
    if found is not None:
        return found.model
    model = untrained(recipe, text.count, seed)
    losses = fit(model, recipe, text, seed)
    checkpoints.save(model, {"recipe": asdict(recipe), "seed": seed, "loss": losses[-1]}, path)
    return model.eval().requires_grad_(False)


def untrained(recipe: Recipe, vocabulary: int, seed: int) -> Any:
    """Return a model before its training; the random state of the process is left alone."""
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=recipe.width, intermediate_size=recipe.inner, num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads, num_key_value_heads=recipe.heads, max_position_embeddings=4096,
        tie_word_embeddings=False, bos_token_id=None, eos_token_id=None, attn_implementation="sdpa",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        for layer in model.model.layers:
            up, down = nn.Linear(recipe.width, recipe.inner), nn.Linear(recipe.inner, recipe.width, bias=False)
            layer.mlp = nn.Sequential(up, nn.ReLU(), down)
    return model


def fit(model: Any, recipe: Recipe, text: Letters, seed: int) -> list[float]:
    """Train a model in place; return the loss of each step."""
    layers = [p for name, p in model.named_parameters() if p.ndim == 2 and ".layers." in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and ".layers." in name)]
    muon = torch.optim.Muon(layers, lr=MUON, weight_decay=0.0)
    adam = torch.optim.AdamW(others, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    active: list[Tensor] = []
    hooks = [
        layer.mlp[1].register_forward_hook(lambda m, i, out: active.append(out.mean())) for layer in model.model.layers
    ]
    losses = []
    for step in range(recipe.steps):
        share = min(1.0, (step + 1) / WARM_UP, 2.5 * (recipe.steps - step) / recipe.steps)
        muon.param_groups[0]["lr"], adam.param_groups[0]["lr"] = MUON * share, RATE * share
        loss = loss_of(model, text.batch(ROWS, LENGTH, seed * 1_000_003 + step), recipe.exits)
        (loss + recipe.thin * torch.stack(active).sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step()
        adam.step()
        model.zero_grad(set_to_none=True)
        active.clear()
        losses.append(loss.item())
    for hook in hooks:
        hook.remove()
    return losses


def loss_of(model: Any, ids: Tensor, exits: tuple[int, ...] = ()) -> Tensor:
    """Return the mean cross-entropy of the next token, after the last layer and after some others, the later the more."""
    states = model.model(ids[:, :-1], use_cache=False, output_hidden_states=bool(exits))
    last = len(model.model.layers)
    found = [(1.0, states.last_hidden_state)]
    found += [(exit / last, model.model.norm(states.hidden_states[exit])) for exit in exits]
    losses = [weight * F.cross_entropy(model.lm_head(h).flatten(0, 1), ids[:, 1:].flatten()) for weight, h in found]
    return torch.stack(losses).sum() / sum(weight for weight, _ in found)
