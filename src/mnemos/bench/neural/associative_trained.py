"""Associative layers that are trained, for seconds: parts of `mnemos bench associative`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.parts import Row, seeded
from mnemos.neural.associative.hopfield_layer import HopfieldLayer
from mnemos.neural.associative.larimar import Larimar
from mnemos.neural.associative.tensor_brain import TensorBrain
from mnemos.neural.model import LM
from mnemos.neural.training import UNASKED, Batch, Recipe, accuracy, train

WIDTH, CLASSES, BAG, QUERIES = 16, 4, 48, 8


def size(model: nn.Module) -> int:
    """Return the parameters of a model."""
    return sum(p.numel() for p in model.parameters())


class Bags(nn.Module):  # type: ignore[misc]
    """Instances, pooled, and a head that says the class of the bag."""

    def __init__(self, pool: str) -> None:
        super().__init__()
        inner, wide = 32, 24 if pool == "Hopfield" else 88
        self.enter = nn.Sequential(nn.Linear(WIDTH, wide), nn.GELU())
        self.meet = nn.Linear(wide, inner)
        self.pool = HopfieldLayer(inner, queries=1) if pool == "Hopfield" else None
        self.how, self.head = pool, nn.Linear(inner, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return logits (B, CLASSES)."""
        x = self.meet(self.enter(x))
        if self.pool is not None:
            return self.head(self.pool(x)[:, 0]), None
        return self.head(x.mean(1) if self.how == "mean" else x.amax(1)), None


def pooling(options: Any) -> dict[str, Row]:
    """Return bags of 48 instances whose class is right: that of the one that carries a mark."""

    def run(pool: str, seed: int) -> dict[str, float]:
        marks, classes = (
            torch.randn(WIDTH // 2, generator=rng(seed)),
            torch.randn(CLASSES, WIDTH // 2, generator=rng(seed + 1)),
        )

        def drawn(step: int, count: int = 64) -> Batch:
            draw = rng(1_000_003 * seed + step)
            kind = torch.randint(CLASSES, (count, BAG), generator=draw)
            place = torch.randint(BAG, (count,), generator=draw)
            mark = torch.randn(count, BAG, WIDTH // 2, generator=draw)
            mark[torch.arange(count), place] = marks + 0.5 * torch.randn(count, WIDTH // 2, generator=draw)
            payload = classes[kind] + 0.3 * torch.randn(count, BAG, WIDTH // 2, generator=draw)
            return Batch(torch.cat([mark, payload], -1), kind[torch.arange(count), place])

        torch.manual_seed(seed)
        model = Bags(pool)
        train(model, drawn, Recipe(steps=400, rate=5e-3, decay=0.01))
        return {"right %": accuracy(model, drawn(10**9, 1024)), "parameters": size(model)}

    return {pool: seeded(options.seeds, lambda seed, p=pool: run(p, seed)) for pool in ("Hopfield", "max", "mean")}  # type: ignore[misc]


def triples(seed: int) -> tuple[Tensor, Tensor]:
    """Return triples (N, 4) with instants of a world of typed entities, and triples of rare subjects that do not occur.

    Half of the entities are subjects of one or two known triples only, and objects as often as the others.
    """
    draw = rng(seed)
    kinds = torch.arange(24) % 4  # of entities
    maps = torch.stack([torch.randperm(4, generator=draw) for _ in range(6)])  # a predicate leads from a type to a type
    every = torch.tensor(
        [(s, p, o) for s in range(24) for p in range(6) for o in range(24) if kinds[o] == maps[p, kinds[s]]]
    )
    every = every[torch.randperm(len(every), generator=draw)]
    often, seldom = every[every[:, 0] < 12][:240], every[every[:, 0] >= 12]
    known, held = torch.cat([often, seldom[:20]]), seldom[20:120]
    chance = 1 / torch.arange(1, len(known) + 1).float() ** 0.5
    picked = known[chance.expand(120, -1).multinomial(3, generator=draw)].flatten(0, 1)
    return torch.cat([picked, torch.arange(120).repeat_interleave(3)[:, None]], 1), held


def ranks(x: Tensor) -> Tensor:
    """Return the rank of each number; equal ones share theirs."""
    return ((x[:, None] > x).sum(1) + (x[:, None] >= x).sum(1)).double() / 2


def brain(options: Any) -> dict[str, Row]:
    """Return triples regenerated from their instants, agreement with frequencies without, and what is said of unseen triples."""

    def run(shared: bool, seed: int) -> dict[str, float]:
        seen, held = triples(seed)
        torch.manual_seed(seed)
        model = TensorBrain(24, 6, 120, width=32 if shared else 29, shared=shared)
        optimiser = torch.optim.AdamW(model.parameters(), 0.01, weight_decay=0.01)
        for step in range(600):
            optimiser.zero_grad()
            model.loss(seen, torch.rand(len(seen), generator=rng(step)) < 0.4).backward()
            optimiser.step()
        right = 0
        for t in range(120):
            wanted = {tuple(x) for x in seen[seen[:, 3] == t, :3].tolist()}
            right += len(wanted & {tuple(x) for x in model.episode(t, 3).tolist()})
        asked = seen[:, :2].unique(dim=0)
        said = model.objects(asked[:, 0], asked[:, 1])
        counts = torch.stack([torch.bincount(seen[(seen[:, :2] == a).all(1), 2], minlength=24).float() for a in asked])
        several = (counts > 0).sum(1) > 1
        often = (counts / counts.sum(1, keepdim=True))[several]
        both = (said[several][often > 0], often[often > 0])
        correlation = float(torch.corrcoef(torch.stack([ranks(t) for t in both]))[0, 1])
        unseen = model.objects(held[:, 0], held[:, 1])
        place = (unseen > unseen.gather(1, held[:, 2:])).sum(1).double()
        return {
            "triples of an instant %": right / len(seen),
            "rank correlation with frequency": correlation,
            "unseen triples among the first 6 %": float((place < 6).double().mean()),
            "parameters": size(model),
        }

    return {
        "one embedding an index": seeded(options.seeds, lambda seed: run(True, seed)),
        "an embedding for each place": seeded(options.seeds, lambda seed: run(False, seed)),
    }


class Latents(nn.Module):  # type: ignore[misc]
    """An encoder of keys and values to latents, Larimar's memory between, and a decoder of what is read."""

    def __init__(self, vocabulary: int, width: int = 48) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.embed = nn.Embedding(vocabulary, width)
        self.enter = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.out = nn.Linear(width, vocabulary)

    def memory(self, keys: Tensor, values: Tensor) -> Larimar:
        """Return a memory into which pairs of tokens (N) are written in one shot."""
        memory = Larimar(48, 48, ridge=1e-2)
        memory.write(self.enter(self.embed(keys)), self.embed(values))
        return memory

    def forward(self, tokens: Tensor) -> tuple[Tensor, None]:
        """Return logits (B, 1 + 2 pairs, vocabulary) that count at the last 8 tokens, for keys and values in turns and 8 keys."""
        found = torch.zeros(*tokens.shape, self.vocabulary)
        for row, text in enumerate(tokens):
            kept, asked = text[:-QUERIES], text[-QUERIES:]
            read = self.memory(kept[::2], kept[1::2]).read(self.enter(self.embed(asked)))
            found[row, -QUERIES:] = self.out(read)
        return found, None


def pairs(vocabulary: int, count: int, number: int, draw: torch.Generator) -> Batch:
    """Return texts of distinct keys, each followed by its value, and 8 of the keys again, whose values are the targets."""
    half = vocabulary // 2
    keys = torch.rand(count, half, generator=draw).argsort(1)[:, :number]
    values = half + torch.randint(half, (count, number), generator=draw)
    asked = torch.rand(count, number, generator=draw).argsort(1)[:, :QUERIES]
    text = torch.cat([torch.stack([keys, values], 2).flatten(1), keys.gather(1, asked)], 1)
    targets = torch.full_like(text, UNASKED)
    targets[:, -QUERIES:] = values.gather(1, asked)
    return Batch(text, targets)


def larimar(options: Any) -> dict[str, Row]:
    """Return values recalled after training on 8 pairs, for up to 10 times as many, and after the asked one was erased."""
    vocabulary, makers = (
        256,
        {"Larimar": lambda: Latents(256), "transformer": lambda: LM(256, 48, ["attention"] * 2, kernel=3)},
    )

    def run(make: Callable[[], nn.Module], seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model, steps = make(), 200 if make is makers["Larimar"] else 800
        train(
            model, lambda step: pairs(vocabulary, 32, 8, rng(1_000_003 * seed + step)), Recipe(steps=steps, rate=5e-3)
        )
        found: dict[str, float] = {}
        for number in (8, 24, 48, 80):
            found[f"{number} pairs %"] = accuracy(model, pairs(vocabulary, 128, number, rng(99 + seed)))
        if isinstance(model, Latents):
            found["erased %"] = erased(model, vocabulary, seed)
        return found | {"parameters": size(model)}

    return {name: seeded(options.seeds, lambda seed, m=make: run(m, seed)) for name, make in makers.items()}  # type: ignore[misc]


@torch.no_grad()  # type: ignore[untyped-decorator]
def erased(model: Latents, vocabulary: int, seed: int) -> float:
    """Return how often the value of a pair is still said after the pair was taken out."""
    right = 0
    for text, target in zip(*pairs(vocabulary, 64, 24, rng(seed)), strict=True):
        keys, values = text[:-QUERIES:2], text[1:-QUERIES:2]
        memory, at = model.memory(keys, values), (keys == text[-1]).nonzero()[0]
        memory.erase(model.enter(model.embed(keys[at])), model.embed(values[at]))
        read = memory.read(model.enter(model.embed(text[-1:])))
        right += int(model.out(read[0]).argmax() == target[-1])
    return right / 64
