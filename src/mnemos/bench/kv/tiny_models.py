"""Llamas of about 0.1 M parameters, trained once to answer from their context.

They learn two things together, as questions alone stall for thousands of steps: to copy a text, which teaches the
model to look up what followed a token, and to answer the questions of `tasks`, at varied lengths so that the answers
do not depend on a distance. The loss stays on a plateau until looking up is learned, all at once and after 200 to
1,000 steps, depending on seed and shape: so the training goes on until then, and for a fixed number of steps after.
Weights of the layers are trained by Muon (arXiv 2502.16982), the rest by AdamW; with AdamW for all the plateau is
about twice as long.

A trained model is kept (`checkpoints`), keyed by its recipe and seed, and not trained again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from mnemos.bench.kv import checkpoints, tasks
from mnemos.bench.kv.checkpoints import Trained
from mnemos.bench.kv.threads import one_thread
from mnemos.bench.kv.vocabulary import BOS, EOS, PAD, SIZE
from mnemos.errors import InvalidInput, MnemosError

REVISION = 2  # of the training data and the optimiser's settings: raise it when a change makes another model
COPY = (9, 41)  # shortest and longest text to be copied, BOS included
EARLY = 72  # longest context until looking up is learned: short ones cost less
READING = 0.1  # weight of a token of a topic's text, against 1 of an answer: subjects are learned, not memorised
WARM_UP = 100  # steps
FOUND, RECENT = (
    0.7,
    10,
)  # looking up is learned when the mean loss of RECENT steps is below FOUND; the plateau is above 3


@dataclass(frozen=True)
class TinyModel:
    """A model and how it is trained. Contexts have `shortest` to `longest` tokens and up to `pairs` pairs."""

    layers: int = 2
    hidden: int = 64
    heads: int = 2
    kv_heads: int = 1
    width: int = 32  # of a head
    mlp: int = 128
    shortest: int = 20
    longest: int = 72
    pairs: int = 8
    most: int = 2000  # steps by which it must have learned to look up
    finish: int = 300  # steps after that
    rows: int = 64  # sequences of a step
    rate: float = 3e-3  # AdamW's
    muon: float = 0.02


TINY_MODELS: dict[str, TinyModel] = {
    "recall": TinyModel(),
    "heads": TinyModel(layers=3, heads=4, kv_heads=2, finish=400),
    "mha": TinyModel(kv_heads=2),
    "long": TinyModel(longest=264, pairs=16, finish=400),
}


def train_tiny_model(
    kind: str = "recall", seed: int = 0, *, cache: Path | None = None, progress: Callable[[int], None] | None = None
) -> Trained:
    """Return the small model of this kind and seed: read from the cache, else trained on one thread and stored there.

    `progress` is called with 1 after each step. A damaged folder is replaced, with a warning. Raises
    InvalidInput for a kind that is not in TINY_MODELS.
    """
    if kind not in TINY_MODELS:
        raise InvalidInput(f"there is no small model {kind!r}: choose from {', '.join(TINY_MODELS)}.")
    recipe = TINY_MODELS[kind]
    path = folder(kind, seed, cache)
    if (found := checkpoints.find(path, untrained)) is not None:
        return found
    started, cpu = time.monotonic(), time.process_time()
    model = build(recipe, seed)
    losses = fit(model, recipe, seed, progress)
    record = {
        "kind": kind, "seed": seed, "recipe": asdict(recipe), "parameters": sum(p.numel() for p in model.parameters()),
        "steps": len(losses), "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1), "loss": round(losses[-1], 5), "torch": str(torch.__version__),
    }  # fmt: skip
    checkpoints.save(model, record, path, model.config.save_pretrained)  # from_pretrained reads this folder too
    return checkpoints.load(path, untrained)


def folder(kind: str, seed: int, cache: Path | None = None) -> Path:
    """Return the folder of the model of this kind, recipe and seed, which may not exist yet."""
    return checkpoints.folder(f"{kind}-{seed}", [REVISION, SIZE, seed, asdict(TINY_MODELS[kind])], cache)


def untrained(path: Path) -> Any:
    """Return the LlamaForCausalLM that the configuration in a folder describes."""
    return LlamaForCausalLM(LlamaConfig.from_pretrained(path, local_files_only=True))


def build(recipe: TinyModel, seed: int) -> Any:
    """Return an untrained LlamaForCausalLM; the random state of the process is left alone."""
    config = LlamaConfig(
        vocab_size=SIZE,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.mlp,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        head_dim=recipe.width,
        max_position_embeddings=8192,  # a formality: RoPE has no table to run out of
        tie_word_embeddings=False,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def fit(model: Any, recipe: TinyModel, seed: int, progress: Callable[[int], None] | None = None) -> list[float]:
    """Train the model in place by the recipe and return the loss of every step.

    Raises MnemosError when looking up was not learned in `recipe.most` steps, and where torch has no Muon.
    """
    if not hasattr(torch.optim, "Muon"):
        raise MnemosError(f"training a small model needs torch 2.9 or newer, not {torch.__version__}.")
    rng, lengths = tasks.generator(seed), random.Random(seed)
    layers = [p for name, p in model.named_parameters() if p.ndim == 2 and ".layers." in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and ".layers." in name)]
    muon = torch.optim.Muon(layers, lr=recipe.muon, weight_decay=0.0)
    adam = torch.optim.AdamW(others, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.01)
    losses: list[float] = []
    found = None  # the step at which looking up was learned
    model.train()
    with one_thread():
        while found is None or len(losses) < found + recipe.finish:
            step = len(losses)
            share = min(1.0, (step + 1) / WARM_UP) if found is None else 1 - (step - found) / recipe.finish
            muon.param_groups[0]["lr"], adam.param_groups[0]["lr"] = recipe.muon * share, recipe.rate * share
            longest = min(recipe.longest, EARLY) if found is None else recipe.longest
            loss = loss_of(model, batch(recipe, longest, lengths, rng))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            muon.step()
            adam.step()
            model.zero_grad(set_to_none=True)
            losses.append(loss.item())
            if found is None and fmean(losses[-RECENT:]) < FOUND:
                found = len(losses)
            if found is None and len(losses) == recipe.most:
                raise MnemosError(f"the model had not learned to look up after {recipe.most} steps: try another seed.")
            if progress:
                progress(1)
    return losses


def batch(
    recipe: TinyModel, longest: int, lengths: random.Random, rng: torch.Generator
) -> list[tuple[tasks.Task, float]]:
    """Return the tasks of one step, and what a token of their contexts weighs in the loss."""
    n = recipe.rows // 16
    length = lengths.randint(recipe.shortest, longest)
    longer = max(length, 32)  # the least for four segments or records

    def pairs(width: int, most: int) -> int:  # as many as leave some filler
        return min(most, (length if most > 4 else longer) // width - 1)

    return [
        (tasks.copying(5 * n, lengths.randint(*COPY), rng), 0.0),
        (tasks.repeated(2 * n, min(length, 72), 2, rng), 0.0),
        (tasks.key_value(3 * n, length, pairs(3, recipe.pairs), rng), 0.0),
        (tasks.key_value(max(1, n // 2), length, 4, rng).known(), 0.0),
        (tasks.records(2 * n, longer, pairs(6, 4), rng), 0.0),
        (tasks.topics(2 * n, longer, pairs(8, 4), rng), READING),
        (tasks.passkey(n, length, None, rng), 0.0),
    ]


def loss_of(model: Any, parts: list[tuple[tasks.Task, float]]) -> Tensor:
    """Return the weighted mean cross-entropy of the next token; shorter sequences are padded at their end."""
    rows, weights = [], []
    for task, reading in parts:
        turns, marks = task.turns()
        rows.append(torch.cat([task.context, turns], 1))
        weights.append(torch.cat([torch.full(task.context.shape, reading), marks.float()], 1))
    width = max(ids.shape[1] for ids in rows)
    ids = torch.cat([functional.pad(part, (0, width - part.shape[1]), value=PAD) for part in rows])
    weight = torch.cat([functional.pad(part, (0, width - part.shape[1])) for part in weights])[:, 1:]
    hidden = model.model(ids, use_cache=False).last_hidden_state[:, :-1]
    counted = weight > 0
    losses = functional.cross_entropy(model.lm_head(hidden[counted]), ids[:, 1:][counted], reduction="none")
    return (losses * weight[counted]).sum() / weight.sum()


def with_outliers(model: Any, scale: float, channel: int = 0) -> Any:
    """Return a copy whose keys have outlier channels and whose logits are the same but for rounding.

    The rows of `k_proj` that make the RoPE pair (channel, channel + D/2) of every head are multiplied by `scale`, the
    same rows of `q_proj` divided by it: rotation mixes the two channels of a pair only with each other, so that every
    product of a query and a key stays. Large models have such channels (KIVI, arXiv 2402.02750, figure 2).
    """
    config = model.config
    half = config.head_dim // 2
    if not 0 <= channel < half:
        raise InvalidInput(f"channel is {channel}: heads of {config.head_dim} have RoPE pairs 0 to {half - 1}.")
    if scale <= 0:
        raise InvalidInput(f"scale is {scale}: give a positive number, such as 10.")
    copy = LlamaForCausalLM(config)
    copy.load_state_dict(model.state_dict())
    for layer in copy.model.layers:
        for projection, factor in ((layer.self_attn.k_proj, scale), (layer.self_attn.q_proj, 1 / scale)):
            heads = projection.weight.data.view(-1, config.head_dim, config.hidden_size)
            heads[:, [channel, channel + half]] *= factor
    return copy.to(model.device).eval().requires_grad_(False)
