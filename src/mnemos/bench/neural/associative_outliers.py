"""Language models alike but for the empty slot of attention, and what eight bits do: a part of `mnemos bench associative`.

The text is that of Python's own help (`pydoc_data.topics`), which is wherever Python is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pydoc_data.topics import topics
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.parts import Row, seeded
from mnemos.neural.model import LM
from mnemos.neural.training import Batch, Recipe, cross_entropy, train

LENGTH, BATCH, STEPS = 96, 16, 300


def outliers(options: Any) -> dict[str, Row]:
    """Return kurtosis and the largest activation of the blocks, and the loss in nats a byte in float32 and with 8 bits."""
    data = torch.tensor(list("\n".join(topics.values()).encode()))
    learned, tested = data[: int(len(data) * 0.9)], data[int(len(data) * 0.9) :]

    def run(layer: str, seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = LM(256, 64, [(layer, {"heads": 4})] * 2, kernel=0, expand=2)
        train(model, lambda step: drawn(learned, BATCH, 1_000_003 * seed + step), Recipe(steps=STEPS, rate=3e-3))
        test = drawn(tested, 64, 7)
        seen: list[Tensor] = []
        hooks = [
            block["mixer"].out.register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach()))
            for block in model.stack.layers
        ]
        full = loss(model, test)
        for hook in hooks:
            hook.remove()
        with eight_bits(model):
            less = loss(model, test)
        return {
            "kurtosis": sum(kurtosis(x) for x in seen) / len(seen),
            "largest": max(float(x.abs().max()) for x in seen),
            "loss": full,
            "loss with 8 bits more": less - full,
        }

    layers = ("attention", "outlier-efficient-hopfield")
    return {layer: seeded(options.seeds, lambda seed, n=layer: run(n, seed)) for layer in layers}  # type: ignore[misc]


def drawn(data: Tensor, count: int, seed: int) -> Batch:
    """Return pieces of a text and the bytes that follow."""
    begin = torch.randint(len(data) - LENGTH - 1, (count, 1), generator=torch.Generator().manual_seed(seed))
    text = data[begin + torch.arange(LENGTH + 1)]
    return Batch(text[:, :-1], text[:, 1:])


@torch.no_grad()  # type: ignore[untyped-decorator]
def loss(model: LM, batch: Batch) -> float:
    """Return the mean loss of a batch."""
    return float(cross_entropy(model(batch.inputs)[0], batch.targets))


def kurtosis(x: Tensor) -> float:
    """Return the fourth standardised moment of the channels of tokens."""
    z = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)
    return float(z.pow(4).mean())


@contextmanager
def eight_bits(model: nn.Module) -> Iterator[None]:
    """Round the weights and the inputs of linear layers to 8 bits of their largest number while the block runs."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    kept = [m.weight.data for m in layers]
    hooks = [m.register_forward_pre_hook(lambda _module, inputs: (rounded(inputs[0]),)) for m in layers]
    for m in layers:
        m.weight.data = rounded(m.weight.data)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for m, weight in zip(layers, kept, strict=True):
            m.weight.data = weight


def rounded(x: Tensor) -> Tensor:
    """Return a tensor in 255 steps of its largest number."""
    step = x.abs().max() / 127
    return (x / step).round() * step
