"""Adapters beside a frozen decoder of letters: what they keep, and what they lose by keeping less, or by drawn layers.

The decoder (six layers of width 64) was trained on the plays with upper and lower case exchanged; adapters of rank 4 on every
linear layer learn the plays as they are in 100 steps. Bytes are what autograd keeps of a step, with parameters left out, and
gradients and states.
"""

from __future__ import annotations

import copy
import random
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.footprint.letters import Decoder, Letters, Shape, loss_of, loss_on_tests, train
from mnemos.bench.parts import Row, seeded
from mnemos.footprint import attached
from mnemos.footprint.activations.approximate import Approximate
from mnemos.footprint.activations.density import Density, product_of_nonzero
from mnemos.footprint.activations.in_memory import InMemory
from mnemos.footprint.activations.quantised import Quantised
from mnemos.footprint.states.layer_sampling import Layer, LayerSampling

SHAPE, BEFORE, STEPS, RATE, BATCH = Shape(width=64, layers=6, length=64), 300, 100, 5e-3, 16
JUDGED = 10  # steps between two judgements of layers


class Lora(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """A linear layer and a product of low rank beside it, which is added."""

    def __init__(self, inner: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.inner = inner
        down, up = nn.Linear(inner.in_features, rank, bias=False), nn.Linear(rank, inner.out_features, bias=False)
        nn.init.zeros_(up.weight)
        self.adapter = nn.Sequential(down, up)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer returns, and what was learned beside it."""
        y: Tensor = self.inner(x) + 2 * self.adapter(x)
        return y


@cache
def exchanged(data: Path, activation: type[nn.Module] = nn.GELU) -> tuple[Decoder, Letters]:
    """Return a decoder that was trained on the plays in the other case, and the plays."""
    letters = Letters(data)
    text = (data / "shakespeare" / "input.txt").read_text(encoding="utf-8")
    number = {letter: i for i, letter in enumerate(sorted(set(text)))}
    other = copy.copy(letters)
    other.trained = torch.tensor([number.get(letter.swapcase(), number[letter]) for letter in text])[
        : len(letters.trained)
    ]
    torch.manual_seed(0)
    shape = Shape(SHAPE.width, SHAPE.layers, SHAPE.heads, SHAPE.length, activation)
    model = Decoder(letters.count, shape)
    train(model, torch.optim.AdamW(model.parameters(), 3e-3), exchanged_text(letters), BEFORE, 0)
    return model, letters


def exchanged_text(letters: Letters) -> Letters:
    """Return the plays with upper and lower case exchanged."""
    number = {letter: i for i, letter in enumerate(letters.alphabet)}
    other, new = copy.copy(letters), torch.tensor([number.get(letter.swapcase(), i) for letter, i in number.items()])
    other.trained, other.tested = new[letters.trained], new[letters.tested]
    return other


def adapted(base: Decoder, seed: int, way: str = "LoRA") -> tuple[Decoder, list[Layer]]:
    """Return a copy whose adapters, or biases alone, are trained; and the adapters of each layer."""
    torch.manual_seed(seed)
    model = copy.deepcopy(base)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(way == "biases" and name.startswith("blocks") and name.endswith("bias"))
    layers: list[Layer] = []
    for block in model.blocks if way == "LoRA" else ():
        for owner, name in ((block, "qkv"), (block, "out"), (block.mlp, "0"), (block.mlp, "2")):
            setattr(owner, name, Lora(getattr(owner, name)))
        layers.append([module.adapter for module in block.modules() if isinstance(module, Lora)])
    return model, layers


def measure(options: Any) -> dict[str, Row]:
    """Return rows of LoRA and of biases, with what they keep as it is and in 4 bits."""
    base, letters = exchanged(options.data)
    ways: dict[str, tuple[str, tuple[Any, ...]]] = {
        "LoRA": ("LoRA", ()),
        "LoRA, 4 bits a number": ("LoRA", (Quantised(bits=4),)),
        "LoRA, derivatives of 4 bits": ("LoRA", (Approximate(bits=4),)),
        "biases": ("biases", ()),
        "biases, derivatives of 4 bits, the rest of 4": ("biases", (Approximate(bits=4), Quantised(bits=4))),
    }
    rows = {name: seeded(options.seeds, partial(once, base, letters, *way), ("kept MB",)) for name, way in ways.items()}
    rows = {"before": {"test loss": loss_on_tests(base, letters), "right %": right(base, letters)}} | rows
    for name, row in rows.items():
        if name != "before":
            row["kept, of LoRA's %"] = row["kept MB"] / rows["LoRA"]["kept MB"]
    return rows


def once(base: Decoder, letters: Letters, way: str, methods: tuple[Any, ...], seed: int) -> dict[str, float]:
    """Return what one training keeps and reaches, and how far its first gradient is from the exact one."""
    model, _ = adapted(base, seed, way)
    weights = [p for p in model.parameters() if p.requires_grad]
    rows = letters.batch(BATCH, SHAPE.length, 0)
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(loss_of(model, rows), weights)])
    savers = () if any(isinstance(m, Quantised) for m in methods) else (InMemory(),)
    with attached(model, *methods, *savers, least=0) as usage:
        got = torch.cat([g.flatten() for g in torch.autograd.grad(loss_of(model, rows), weights)])
        train(model, torch.optim.AdamW(weights, RATE, weight_decay=0.0), letters, STEPS, seed, BATCH)
    return {
        "kept MB": usage.peak_kept / 1e6,
        "cosine of the gradient": float(torch.cosine_similarity(exact, got, dim=0)),
        "test loss": loss_on_tests(model, letters),
        "right %": right(model, letters),
    }


@torch.no_grad()  # type: ignore[untyped-decorator]
def right(model: nn.Module, letters: Letters) -> float:
    """Return the share of letters that are the likeliest ones."""
    rows = letters.tests(128, SHAPE.length)
    return float((model(rows[:, :-1]).argmax(-1) == rows[:, 1:]).float().mean())


def layers(options: Any) -> dict[str, Row]:
    """Return rows of adapters of all layers and of two a step, on the plays, and on a decoder of which two layers are spoilt."""
    base, letters = exchanged(options.data)
    ways = {"all layers": (6, False), "two of six by their scores": (2, True), "two of six at random": (2, False)}
    found = {}
    for spoilt in (False, True):
        for name, way in ways.items():
            row = seeded(options.seeds, partial(sampled, base, letters, *way, spoilt), ("gradients kB",))
            found[f"{'two layers spoilt: ' if spoilt else ''}{name}"] = row
    return found


def sampled(base: Decoder, letters: Letters, count: int, judged: bool, spoilt: bool, seed: int) -> dict[str, float]:
    """Return what training some layers a step takes and reaches, and how often the spoilt layers had the highest scores."""
    wrong = sorted(random.Random(seed).sample(range(SHAPE.layers), 2)) if spoilt else []
    model, found = adapted(spoil(base, wrong, seed), seed)
    held = [p for layer in found for adapter in layer for p in adapter.parameters()]
    method = LayerSampling(count=count, explored=0.1 if judged else 1.0, seed=seed)
    optimiser = torch.optim.AdamW(held, RATE, weight_decay=0.0)
    text = exchanged_text(letters) if spoilt else letters
    most = 0
    for step in range(STEPS):
        rows = text.batch(BATCH, SHAPE.length, seed * 1_000_003 + step)
        if judged and step % JUDGED == JUDGED - 1:
            method.judge(found, partial(_value, model, rows))
        with method.chosen(found):
            optimiser.zero_grad()
            loss_of(model, rows).backward()
            optimiser.step()
            most = max(most, sum(p.grad.nbytes for p in held if p.grad is not None))
    row = {"gradients kB": most / 1e3, "test loss": loss_on_tests(model, text), "right %": right(model, text)}
    if judged and spoilt:
        top = sorted(range(len(found)), key=lambda place: -method.scores[place])[:2]
        row["spoilt layers on top %"] = len(set(top) & set(wrong)) / 2
    return row


def _value(model: nn.Module, rows: Tensor) -> float:
    return float(loss_of(model, rows))


@torch.no_grad()  # type: ignore[untyped-decorator]
def spoil(base: Decoder, wrong: list[int], seed: int) -> Decoder:
    """Return a copy with a product of rank 4 added to the feed-forward layers of some blocks, as an adapter could take away."""
    model, generator = copy.deepcopy(base), torch.Generator().manual_seed(seed)
    for place in wrong:
        weight = model.blocks[place].mlp[2].weight
        noise = torch.randn(weight.shape[0], 4, generator=generator) @ torch.randn(
            4, weight.shape[1], generator=generator
        )
        weight += noise * 2 * weight.norm() / noise.norm()
    return model


def density(options: Any) -> dict[str, Row]:
    """Return rows of adapters with and without the density loss, of a ReLU and a GELU decoder."""
    found = {}
    for name, activation, dead in (("ReLU", nn.ReLU, 0.0), ("GELU", nn.GELU, 0.1)):
        base, letters = exchanged(options.data, activation)
        for weight in (0.0, 1.0):
            label = f"{name}: {f'density loss, weight {weight:g}' if weight else 'plain'}"
            found[label] = seeded(options.seeds, partial(sparse, base, letters, weight, dead))
    return found


def sparse(base: Decoder, letters: Letters, weight: float, dead: float, seed: int) -> dict[str, float]:
    """Return the density and what is right after training, and how far the product that skips zeros is from the whole."""
    model, found = adapted(base, seed)
    held = [p for layer in found for adapter in layer for p in adapter.parameters()]
    method = Density(weight=weight, dead=dead, layers=r"blocks\.\d+\.mlp\.1")
    optimiser = torch.optim.AdamW(held, RATE, weight_decay=0.0)
    with method.watch(model):
        for step in range(STEPS):
            optimiser.zero_grad()
            loss = loss_of(model, letters.batch(BATCH, SHAPE.length, seed * 1_000_003 + step))
            (loss + weight * method.loss() if weight else loss).backward()
            optimiser.step()
        row = {
            "test loss": loss_on_tests(model, letters, 32),
            "right %": right(model, letters),
            "density %": method.share(),
        }
        hidden: list[Tensor] = []
        handle = model.blocks[-1].mlp[2].register_forward_pre_hook(lambda module, args: hidden.append(args[0]))
        with torch.no_grad():
            model(letters.tests(1, SHAPE.length)[:, :-1])
        handle.remove()
    layer, tokens = model.blocks[-1].mlp[2].inner, hidden[0].flatten(0, 1)
    kept = torch.where(tokens.abs() > dead, tokens, 0.0)
    apart = (product_of_nonzero(kept, layer.weight, layer.bias) - layer(kept)).abs().max()
    return row | {"skipped product apart": float(apart.detach())}
