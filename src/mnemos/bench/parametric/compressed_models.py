"""What `mnemos bench weight-compression` measures of decoders and of carriers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.parametric.fact_models import PASSAGES, PEOPLE, Knowledge, general, passages, trained
from mnemos.bench.parametric.facts import make_tokenizer, make_world
from mnemos.bench.parametric.unlearning_runs import PREFIX, SUFFIX, loss
from mnemos.parametric.answers import answered
from mnemos.parametric.base import Compressed, Compressor, Example
from mnemos.parametric.compress.bipolar import BipolarInt
from mnemos.parametric.compress.bitstack import BitStack
from mnemos.parametric.compress.carriers import rounded, widened
from mnemos.parametric.compress.rounding import RoundToNearest
from mnemos.parametric.compress.stack import (
    ModelStack,
    activation_norms,
    linear_names,
    matrices,
    set_matrices,
    stacked,
)
from mnemos.parametric.encode.adapter import Adapter
from mnemos.parametric.forget.extraction import extract
from mnemos.parametric.tokens import prompt_ids
from mnemos.parametric.training import train

TOKENIZER = make_tokenizer()
BITS = (2, 3, 4)
RANK = 2  # of BitStack's factors: of a matrix 64 wide the paper's 16 would take more than the signs


def measure(steps: int, seed: int, cache: Path | None) -> dict[str, Any]:
    """Return what a tiny model and an adapter beside it still know in fewer bytes."""
    world = make_world(PEOPLE, values=16, seed=seed)
    texts = passages(PASSAGES, seed)
    model = trained(Knowledge(world.facts, texts), "llama", steps, seed, cache)
    rng = random.Random(f"compress {seed}")
    held = [Example("", general(rng)) for _ in range(200)]
    asked = [fact.example(t) for fact in world.facts for t in range(3)]
    names = linear_names(model)
    originals = matrices(model, names)
    numbers = sum(t.numel() for t in originals.values())

    def figures(nbytes: float) -> dict[str, float]:
        return {
            "bits": 8 * nbytes / numbers,
            "facts": fmean(answered(model, TOKENIZER, asked)),
            "recited": extract(model, TOKENIZER, texts, PREFIX, SUFFIX).mean,
            "general": loss(model, held),
        }

    calibration = [f.statement(rng.randrange(3)) for f in rng.choices(world.facts, k=64)] + [
        general(rng) for _ in range(32)
    ]
    coded = [torch.tensor([prompt_ids(TOKENIZER, text)]) for text in calibration]
    few = [Example("", text) for text in calibration]
    norms = activation_norms(model, names, coded)
    found = {"not compressed": figures(4 * numbers)}
    budgets: dict[int, int] = {}
    rounding: Mapping[str, Compressor]
    for bits in BITS:
        rounding = {"round-to-nearest": RoundToNearest(bits), "bipolar-int": BipolarInt(bits)}
        for name, method in rounding.items():
            nbytes = set_compressed(model, originals, method)
            budgets.setdefault(bits, nbytes)
            found[f"{name} {bits}"] = figures(nbytes)
            set_matrices(model, originals)
    knobs = BitStack(blocks=6, rank=RANK)
    ways: dict[str, Callable[[], ModelStack]] = {
        "bitstack": lambda: stacked(model, lambda: loss(model, few), norms, names, knobs),
        "bitstack, not scaled": lambda: stacked(model, lambda: loss(model, few), None, names, knobs),
        "bitstack, not sorted": lambda: unsorted(stacked(model, None, norms, names, knobs)),
    }
    for name, make in ways.items():
        stack = make()
        for bits in BITS:
            found[f"{name} as rounding to {bits}"] = figures(stack.load_into(model, budgets[bits]))
            set_matrices(model, originals)
    return {"small": found, "carriers": _carriers(seed, steps, cache)}


def set_compressed(model: Any, originals: Mapping[str, Tensor], knobs: Compressor) -> int:
    """Set matrices to what a compressor makes of them; returns the bytes."""
    small: dict[str, Compressed] = {name: knobs.compress(weight) for name, weight in originals.items()}
    set_matrices(model, {name: one.decompress() for name, one in small.items()})
    return sum(one.nbytes for one in small.values())


def unsorted(stack: ModelStack) -> ModelStack:
    """Return a stack whose blocks are in the order of the model, level by level."""
    most = max(len(one.blocks) for one in stack.stacks.values())
    return ModelStack(
        stack.stacks, [n for level in range(most) for n, one in stack.stacks.items() if level < len(one.blocks)]
    )


def _carriers(seed: int, steps: int, cache: Path | None) -> dict[str, Any]:
    """Return what an adapter with the facts of some people answers in fewer bits."""
    world = make_world(PEOPLE, values=16, seed=seed)
    people = random.Random(f"forget {seed}").sample(sorted({f.subject for f in world.facts}), 2)
    kept = tuple(f for f in world.facts if f.subject not in people)
    model = trained(Knowledge(kept, passages(PASSAGES, seed)), "llama", steps, seed, cache)
    own = [f.example(t) for f in world.facts if f.subject in people for t in range(3)]
    others = [f.example(t) for f in kept for t in range(3)]
    rng = random.Random(f"carriers {seed}")
    learned = Adapter().create(model, own, TOKENIZER, seed)
    train(model, TOKENIZER, learned, own, texts=[general(rng) for _ in range(100)])
    found = {}
    for bits in (32, 8, 4, 3, 2):
        tensors = learned.tensors() if bits == 32 else rounded(learned.tensors(), bits)
        again = Adapter().load(model, widened(tensors))
        with again.attach(model):
            found[str(bits)] = {
                "nbytes": sum(t.numel() * t.element_size() for t in tensors.values()),
                "recall": fmean(answered(model, TOKENIZER, own)),
                "others": fmean(answered(model, TOKENIZER, others)),
            }
    return found


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def perplexity(model: Any, windows: Tensor) -> float:
    """Return the perplexity of windows of tokens (n, T)."""
    losses: Sequence[float] = [
        float(torch.nn.functional.cross_entropy(model(input_ids=window[None]).logits[0, :-1].float(), window[1:]))
        for window in windows
    ]
    return math.exp(fmean(losses))
