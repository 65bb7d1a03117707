"""Latents woven into a frozen model that is told new facts: a part of `mnemos bench slot-readers`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.neural.learning import fitted
from mnemos.bench.parts import Row, seeded
from mnemos.neural.model import LM
from mnemos.neural.slots.woven import Adapted, WovenMemory

KEYS, VALUES, KINDS = 24, 10, 3  # facts of each kind, what they may say, and kinds; the last kind is new
NEW = KEYS + VALUES + KINDS - 1
EQUALS = NEW + 1
LATENTS, RANK, WIDTH, RATE = 4, 4, 48, 1e-2
BATCH, BASE, WEAVE, TRIGGER = 64, 300, 400, 350  # steps of training
Read = Callable[[Tensor], Tensor]  # tokens (B, 3) to logits (B, V)


def drawn(count: int, facts: Tensor, draw: torch.Generator, news: bool) -> tuple[Tensor, Tensor]:
    """Return texts "key kind =" (B, 3) and answers (B) from facts (3, 24); a third is of the new kind where `news`."""
    key = torch.randint(KEYS, (count,), generator=draw)
    kind = torch.randint(KINDS - 1 + news, (count,), generator=draw)
    return torch.stack([key, KEYS + VALUES + kind, torch.full_like(key, EQUALS)], 1), KEYS + facts[kind, key]


def based(facts: Tensor, seed: int) -> LM:
    """Return a frozen model that knows the facts of two kinds."""
    torch.manual_seed(seed)
    model = LM(EQUALS + 1, WIDTH, ["attention", "attention"], kernel=0, expand=2, tied=False)

    def loss(draw: torch.Generator) -> Tensor:
        tokens, answers = drawn(BATCH, facts, draw, False)
        return F.cross_entropy(model(tokens)[0][:, -1], answers)

    fitted(model.parameters(), loss, BASE, seed, RATE)
    model.requires_grad_(False)
    return model


def woven(options: Any) -> dict[str, Row]:
    """Return answers of new and old kinds that are right, by what is added to a frozen model, and how often it is asked."""
    made: dict[int, dict[str, dict[str, float]]] = {}

    def run(name: str, seed: int) -> dict[str, float]:
        if seed not in made:
            made[seed] = measured(seed)
        return made[seed][name]

    rows = ("frozen", "woven always", "woven where asked", "woven at random", "adapter", "prefix")
    return {name: seeded(options.seeds, partial(run, name), ("parameters",)) for name in rows}


def measured(seed: int) -> dict[str, dict[str, float]]:
    """Return the figures of all rows for a seed."""
    facts = torch.randint(VALUES, (KINDS, KEYS), generator=rng(seed + 500))
    model = based(facts, seed)
    torch.manual_seed(seed)
    memory, adapter = WovenMemory(model, LATENTS, RANK), Adapted(model.stack, RANK)
    prefix = nn.Parameter(torch.randn(LATENTS, WIDTH) * 0.5)

    def plain(tokens: Tensor) -> Tensor:
        return model(tokens)[0][:, -1]

    def changed(tokens: Tensor) -> Tensor:
        return model.head(model.norm(adapter(model.embed(tokens))[0][:, -1]))

    def prefixed(tokens: Tensor) -> Tensor:
        x = torch.cat([prefix.expand(len(tokens), -1, -1), model.embed(tokens)], 1)
        return model.head(model.norm(model.stack(x)[0][:, -1]))

    def always(tokens: Tensor) -> Tensor:
        return memory(tokens, torch.ones(len(tokens), dtype=torch.bool))

    def answered(read: Read) -> Callable[[torch.Generator], Tensor]:
        def loss(draw: torch.Generator) -> Tensor:
            tokens, answers = drawn(BATCH, facts, draw, True)
            return F.cross_entropy(read(tokens), answers)

        return loss

    weaver = [*memory.weaver.parameters(), memory.queries, *memory.project.parameters()]
    for parameters, read in ((weaver, always), (adapter.parameters(), changed), ([prefix], prefixed)):
        fitted(parameters, answered(read), WEAVE, seed, RATE)
    trigger = [*memory.trigger.parameters(), *memory.head.parameters()]
    fitted(trigger, lambda draw: memory.loss(*drawn(BATCH, facts, draw, True), draw), TRIGGER, seed, RATE)
    with torch.no_grad():
        tokens, answers = drawn(3000, facts, rng(99 + seed), True)
        asked = memory.asks(tokens) > 0
        share = float(asked.double().mean())
        chance = torch.rand(len(tokens), generator=rng(98 + seed)) < share
        size = sum(p.numel() for p in weaver)
        reads: dict[str, tuple[Read, float, int]] = {
            "frozen": (plain, 0.0, 0),
            "woven always": (always, 1.0, size),
            "woven where asked": (memory, share, size + sum(p.numel() for p in trigger)),
            "woven at random": (lambda t: memory(t, chance), float(chance.double().mean()), size),
            "adapter": (changed, 0.0, sum(p.numel() for p in adapter.parameters())),
            "prefix": (prefixed, 1.0, prefix.numel()),
        }
        return {
            name: figures(reader(tokens), tokens[:, 1] == NEW, answers) | {"asked %": used, "parameters": count}
            for name, (reader, used, count) in reads.items()
        }


def figures(logits: Tensor, new: Tensor, answers: Tensor) -> dict[str, float]:
    """Return the shares of answers that are right, and the loss on the old ones."""
    right = (logits.argmax(-1) == answers).double()
    return {
        "new %": float(right[new].mean()), "old %": float(right[~new].mean()), "all %": float(right.mean()),
        "loss on old": float(F.cross_entropy(logits[~new], answers[~new])),
    }  # fmt: skip
