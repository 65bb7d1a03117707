"""Facts that small models know by heart, with another block for a feed-forward one: a part of `mnemos bench slots`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from mnemos.bench.parametric.facts import World, make_world
from mnemos.bench.parametric.small_models import Block, Shape, Texts, make_model, recalled, statements, train
from mnemos.bench.parametric.spread import kept, over_seeds
from mnemos.parametric.recall.lookup import Values, usage
from mnemos.parametric.recall.memory_layers import MemoryLayer
from mnemos.parametric.recall.product_keys import ProductKeyMemory
from mnemos.parametric.recall.ultramem import UltraMemory

PEOPLE, STEPS, ROWS = 300, 300, 64
SHAPE = Shape(width=64, inner=128, layers=2)


class Gated(nn.Module):  # type: ignore[misc]
    """A feed-forward block with a gate, as the models have it."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up, self.gate = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = self.down(functional.silu(self.gate(hidden)) * self.up(hidden))
        return out


class Experts(nn.Module):  # type: ignore[misc]
    """A mixture of experts: of 8 feed-forward blocks half as wide, the two that a token's router scores highest."""

    def __init__(self, width: int, inner: int = 64, count: int = 8, active: int = 2) -> None:
        super().__init__()
        self.router = nn.Linear(width, count, bias=False)
        self.experts = nn.ModuleList(Gated(width, inner) for _ in range(count))
        self.active = active

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the weighted outputs of the chosen experts."""
        flat = hidden.flatten(0, -2)
        best, chosen = self.router(flat).topk(self.active, -1)
        weights = best.softmax(-1)
        out = torch.zeros_like(flat)
        for i, expert in enumerate(self.experts):
            rows, place = (chosen == i).nonzero(as_tuple=True)
            out = out.index_add(0, rows, expert(flat[rows]) * weights[rows, place, None])
        return out.reshape(hidden.shape)


class Both(nn.Module):  # type: ignore[misc]
    """A feed-forward block with a memory beside it."""

    def __init__(self, block: nn.Module, memory: nn.Module) -> None:
        super().__init__()
        self.block, self.memory = block, memory

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the sum of both."""
        out: Tensor = self.block(hidden) + self.memory(hidden)
        return out


def keys(norm: Any = "batch", n: int = 64) -> Block:
    """Return product keys."""
    return lambda width: ProductKeyMemory(width, n, 2, 8, 32, norm)


def layer(n: int = 64) -> Block:
    """Return a memory layer."""
    return lambda width: MemoryLayer(width, n, 2, 8, 32)


def shared() -> dict[int, Block]:
    """Return memory layers for both blocks that read one pool, as large as that of one layer."""
    pools: list[Values] = []

    def make(width: int) -> nn.Module:
        pools.append(pools[0] if pools else Values(64 * 64, width))
        return MemoryLayer(width, 64, 2, 8, 32, True, pools[0])

    return {0: make, 1: make}


def ultra(**knobs: Any) -> Block:
    """Return UltraMem beside a narrow feed-forward block, whose variance it starts with."""

    def make(width: int) -> nn.Module:
        block = Gated(width, 24)
        with torch.no_grad():
            std = float(block(torch.randn(256, width)).std())
        return Both(block, UltraMemory(width, 64, 2, 4, 16, 2, value_width=32, std=std, candidates=8, **knobs))

    return make


MODELS: dict[str, Callable[[], tuple[Shape, dict[int, Block]]]] = {
    "feed-forward": lambda: (SHAPE, {}),
    "deeper, as slow": lambda: (Shape(64, 128, 3), {}),
    "product keys": lambda: (SHAPE, {1: keys()}),
    "product keys, queries not normed": lambda: (SHAPE, {1: keys("none")}),
    "memory layer": lambda: (SHAPE, {1: layer()}),
}
VARIANTS: dict[str, Callable[[], tuple[Shape, dict[int, Block]]]] = {
    "8 experts, 2 read": lambda: (SHAPE, {1: Experts}),
    "memory layer, 16,384 slots": lambda: (SHAPE, {1: layer(128)}),
    "memory layers, one pool": lambda: (SHAPE, shared()),
    "ultramem": lambda: (SHAPE, {0: ultra(), 1: ultra()}),
    "ultramem, values for experts": lambda: (SHAPE, {0: ultra(experts=False), 1: ultra(experts=False)}),
}


def measure(options: Any) -> dict[str, dict[str, Any]]:
    """Train each model on each world and return what it knows by heart and costs."""
    return trained(options, MODELS)


def trained(options: Any, models: dict[str, Callable[[], tuple[Shape, dict[int, Block]]]]) -> dict[str, dict[str, Any]]:
    """Return the figures of models by name."""
    texts = Texts()
    rows = {}
    for name, recipe in models.items():
        found = [
            kept(options.cells, f"layers {name} {seed}", partial(one, recipe, texts, seed))
            for seed in range(options.seeds)
        ]
        rows[name] = over_seeds(found, ("MACs_a_token", "bytes_read_a_token", "parameters"))
    return rows


def one(recipe: Callable[[], tuple[Shape, dict[int, Block]]], texts: Texts, seed: int) -> dict[str, float]:
    """Train one model and return its figures."""
    world = make_world(PEOPLE, ("home", "work"), values=256, seed=seed)
    shape, blocks = recipe()
    model = make_model(shape, seed, blocks)
    seconds = train(model, statements(world, texts, ROWS, seed), STEPS)
    used, kl = evenness(model, world, texts)
    macs, read = cost(model)
    return {
        "known": float(recalled(model, world.facts, texts).double().mean()), "ms_a_step": 1000 * seconds,
        "MACs_a_token": macs, "bytes_read_a_token": read, "parameters": sum(p.numel() for p in model.parameters()),
        "used": used, "KL_from_even": kl,
    }  # fmt: skip


def evenness(model: Any, world: World, texts: Texts) -> tuple[float, float]:
    """Return the share of slots that 4,000 new statements read, and the divergence from even use; 0 without slots."""
    memories = [m for m in model.modules() if isinstance(m, ProductKeyMemory | UltraMemory)]
    if not memories:
        return 0.0, 0.0
    seen: list[Tensor] = []
    memory = memories[-1]
    handle = memory.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten(0, -2)))
    with torch.no_grad():
        for part in range(8):
            model(texts.batch(world.sentences(500, -1 - part)))
    handle.remove()
    found = [memory.look_up(hidden) for hidden in seen]
    slots, weights = (torch.cat([pair[i] for pair in found]) for i in (0, 1))
    measured = usage(slots, weights.abs(), memory.n**2)
    return measured.used, measured.kl


def cost(model: Any) -> tuple[int, int]:
    """Return the multiplications a token of all blocks, and the bytes of their weights that one token reads."""
    width = model.config.hidden_size
    macs, read = 0, 0
    for layer in model.model.layers:
        block, hidden = layer.mlp, torch.randn(64, width)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            block(hidden[None])
        macs += counter.get_total_flops() // 2 // 64
        slots = [m for m in block.modules() if isinstance(m, ProductKeyMemory | UltraMemory)]
        rows = sum(m.look_up(hidden[:1])[0].numel() for m in slots)
        for name, parameter in block.named_parameters():
            large = parameter.ndim == 2 and name.rpartition(".")[0].rpartition(".")[2] in ("values", "inputs")
            per_row = parameter[0].numel() if parameter.ndim else 1
            count = rows * per_row if large else parameter.numel()
            macs += rows * per_row if large else 0  # gathered rows are not counted as products of matrices
            read += 4 * (count // 4 if ".experts." in f".{name}" else count)
    return macs, read
