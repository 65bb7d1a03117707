"""Product keys beside a Mamba that has read for a while, from the first step on, or never: a part of `mnemos bench slots`.

Half of the texts state facts of a made-up world, half are local text: a chain in which a token has four successors. All models
are trained in the same two stages, each with rates of its own that fall to nothing. After Hydra's order of activation
(arXiv 2508.15099): the backbone, then the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.parametric.facts import World, make_world, vocabulary
from mnemos.bench.parametric.slots_layers import Both, evenness
from mnemos.bench.parametric.small_models import Texts, loss_of, recalled, statements, train
from mnemos.bench.parametric.spread import CHOSEN_ON, kept, over_seeds
from mnemos.neural.model import LM, FeedForward
from mnemos.neural.pretrained import MixerForCausalLM
from mnemos.parametric.recall.product_keys import ProductKeyMemory

WIDTH, PEOPLE, ROWS = 48, 150, 32
FIRST, SECOND = 150, 300  # steps of the two stages
RATES = (0.003, 0.01, 0.03)  # of all but the values, of which the best is taken
LENGTH, SUCCESSORS = 12, 4  # of local text
Stage = tuple[int, bool]  # steps, and whether the memory is switched on before them


def staged(model: Any, memory: nn.Module, stages: Sequence[Stage], batches: Iterator[Tensor], rate: float) -> None:
    """Train in stages, at the beginning of one of which a memory may be put beside the last feed-forward block."""
    for steps, switched_on in stages:
        if switched_on:
            feeds = model.model.stack.feeds
            feeds[-1] = Both(feeds[-1], memory)
        train(model, batches, steps, rate)


def backbone(inner: int, seed: int) -> Any:
    """Return an untrained Mamba of two layers with feed-forward blocks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lm = LM(len(vocabulary()), WIDTH, [("mamba", {"states": 8, "expand": 1})] * 2, 0, 1)
        lm.stack.feeds[-1] = FeedForward(WIDTH, inner)
        return MixerForCausalLM.of(lm)


def memory_of(seed: int) -> nn.Module:
    """Return an untrained memory of 1,024 slots on normed tokens."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.RMSNorm(WIDTH), ProductKeyMemory(WIDTH, 32, 2, 8, 32))


def active(memory: nn.Module) -> int:
    """Return the numbers of a memory that a token meets: all but its values, and the rows that are read."""
    keys: ProductKeyMemory = memory[1]
    rest = sum(p.numel() for p in memory.parameters()) - keys.values.weight.numel()
    return int(rest + keys.heads * keys.k * WIDTH)


def local(rows: int, rng: torch.Generator, follow: Tensor) -> Tensor:
    """Return texts (rows, LENGTH + 1) in which each token is followed by one of its successors, the first one most often."""
    token, said = 4 + torch.randint(len(follow), (rows,), generator=rng), [torch.ones(rows, dtype=torch.long)]
    chance = torch.arange(SUCCESSORS, 0, -1.0)
    for _ in range(LENGTH):
        said.append(token)
        token = 4 + follow[token - 4, chance.multinomial(rows, True, generator=rng)]
    return torch.stack(said, 1)


def chain(seed: int) -> Tensor:
    """Return the successors of each token, none of them a mark."""
    tokens = len(vocabulary()) - 4
    return torch.randint(tokens, (tokens, SUCCESSORS), generator=torch.Generator().manual_seed(seed))


def mixed(world: World, texts: Texts, seed: int) -> Iterator[Tensor]:
    """Yield batches of statements and as many rows of local text."""
    follow = chain(seed)
    for step, facts in enumerate(statements(world, texts, ROWS, seed)):
        other = local(ROWS, torch.Generator().manual_seed(1_000_003 * seed + step), follow)
        length = max(facts.shape[1], other.shape[1])
        yield torch.cat([nn.functional.pad(part, (0, length - part.shape[1])) for part in (facts, other)])


STAGES: dict[str, tuple[Stage, Stage]] = {
    "backbone": ((FIRST, False), (SECOND, False)),
    "memory from the first step": ((FIRST, True), (SECOND, False)),
    "memory after the warm-up": ((FIRST, False), (SECOND, True)),
}


def measure(options: Any) -> dict[str, dict[str, Any]]:
    """Return what each model knows, with the best of three rates, and how many slots it reads."""
    texts, found = Texts(), {}
    for name, stages in STAGES.items():

        def at(rate: float, seed: int, name: str = name, stages: Sequence[Stage] = stages) -> dict[str, float]:
            return kept(options.cells, f"staged {name} {rate} {seed}", partial(one, stages, texts, rate, seed))

        rate = max(RATES, key=lambda r: at(r, CHOSEN_ON)["known"])
        found[name] = over_seeds([at(rate, seed) for seed in range(options.seeds)], ("active", "parameters"))
        found[name]["rate"] = rate
    return found


def one(stages: Sequence[Stage], texts: Texts, rate: float, seed: int) -> dict[str, float]:
    """Train one model and return its figures."""
    world = make_world(PEOPLE, ("home", "work"), values=256, seed=seed)
    memory = memory_of(seed)
    has = any(on for _, on in stages)
    extra = active(memory)
    model = backbone(WIDTH if has else WIDTH + extra // (3 * WIDTH), seed)  # the block is as much wider
    staged(model, memory, stages, mixed(world, texts, seed), rate)
    with torch.no_grad():
        asked = local(512, torch.Generator().manual_seed(10_000_019), chain(seed))
        loss = float(loss_of(model, asked))
    whole = sum(p.numel() for p in model.parameters())
    values = memory[1].values.weight.numel() if has else 0
    return {
        "known": float(recalled(model, world.facts, texts).double().mean()),
        "loss_on_local_text": loss,
        "used": evenness(model, world, texts)[0],
        "active": whole - values + (memory[1].heads * memory[1].k * WIDTH if has else 0),
        "parameters": whole,
    }  # fmt: skip
