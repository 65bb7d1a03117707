"""Slots over segments, replay of one at a time, and chunks that are looked into: parts of `mnemos bench slot-readers`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.parts import Row, seeded
from mnemos.neural.slots.chunk_memory import HierarchicalChunks
from mnemos.neural.slots.hmt import HierarchicalSegments
from mnemos.neural.slots.lm2 import LargeMemory
from mnemos.neural.slots.memformer import Memformer, replay

WIDTH, PAIRS, LENGTH, VOCABULARY = 48, 4, 12, 40
Texts = list[tuple[Tensor, Tensor]]  # segments of tokens (B, L) and targets (B, L)


class Text(nn.Module):  # type: ignore[misc]
    """Tokens to logits through a layer that reads segments."""

    def __init__(self, core: nn.Module) -> None:
        super().__init__()
        self.embed, self.core = nn.Embedding(VOCABULARY, WIDTH), core
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY))

    def step(self, segment: tuple[Tensor, Tensor], slots: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of a segment of tokens and targets, and the slots after it."""
        logits, slots = self.logits(segment[0], slots)
        loss = F.cross_entropy(logits.flatten(0, 1), segment[1].flatten(), ignore_index=-100, reduction="sum")
        return loss / len(logits), slots

    def logits(self, tokens: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, L, vocabulary) and the slots after a segment."""
        x, slots = self.core(self.embed(tokens), slots)
        return self.out(x), slots


def texts(count: int, fillers: int, draw: torch.Generator) -> Texts:
    """Return segments: one with 4 pairs of a key below 8 and a value of 8 to 15, some of filler, one that asks for all keys."""
    keys = torch.rand(count, 8, generator=draw).argsort(1)[:, :PAIRS]
    values = 8 + torch.randint(8, (count, PAIRS), generator=draw)
    none = torch.full((count, LENGTH), -100)

    def filler() -> Tensor:
        return torch.randint(16, VOCABULARY, (count, LENGTH), generator=draw)

    first, last, targets = filler(), filler(), none.clone()
    first[:, : 2 * PAIRS] = torch.stack([keys, values], 2).flatten(1)
    order = torch.rand(count, PAIRS, generator=draw).argsort(1)
    last[:, -PAIRS:], targets[:, -PAIRS:] = keys.gather(1, order), values.gather(1, order)
    return [(first, none), *((filler(), none) for _ in range(fillers)), (last, targets)]


def whole(step: Any, text: Texts, state: Tensor) -> Tensor:
    """Add the gradients of the losses of all segments by back-propagation through the whole text; return their sum."""
    total = torch.zeros(())
    for segment in text:
        loss, state = step(segment, state)
        total = total + loss
    total.backward()
    return total.detach()


def trained(model: Text, draw: Callable[[int, torch.Generator], Texts], steps: int, seed: int) -> None:
    """Train on texts with a rate that was fixed beforehand."""
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        optimiser.zero_grad()
        text = draw(step, rng(step + 10**6 * seed))
        whole(model.step, text, model.core.init_state(len(text[0][0])))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def unforgetting(slots: int) -> Memformer:
    """Return a Memformer whose slots do not fade."""
    core = Memformer(WIDTH, slots, 2, length=LENGTH)
    core.bias.data.zero_()
    core.bias.requires_grad_(False)
    return core


def segments(options: Any) -> dict[str, Row]:
    """Return values recalled across segments of filler, by what is carried from segment to segment."""

    def run(make: Callable[[], nn.Module], seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = Text(make())
        trained(model, lambda step, draw: texts(48, step % 3, draw), 1200, seed)
        found = {}
        with torch.no_grad():
            for fillers in (0, 2, 4):
                state = model.core.init_state(400)
                asked = texts(400, fillers, rng(88 + seed))
                for tokens, _ in asked:
                    logits, state = model.logits(tokens, state)
                right = logits.argmax(-1)[:, -PAIRS:] == asked[-1][1][:, -PAIRS:]
                found[f"{fillers} segments between %"] = float(right.double().mean())
        size = sum(p.numel() for p in model.core.parameters())
        return found | {"state": model.core.init_state(1).numel(), "parameters": size}

    rows: dict[str, Callable[[], nn.Module]] = {
        "8 slots": lambda: Memformer(WIDTH, 8, 2, length=LENGTH),
        "8 slots, no forgetting": lambda: unforgetting(8),
        "LM2, 8 slots": lambda: LargeMemory(WIDTH, 8, 2, length=LENGTH),
        "one memory token": lambda: HierarchicalSegments(WIDTH, 1, 0, 2, LENGTH, retrieve=False),
        "no slots": lambda: Memformer(WIDTH, 0, 2, length=LENGTH),
    }
    return {name: seeded(options.seeds, partial(run, make), ("state", "parameters")) for name, make in rows.items()}


TOPICS, VISITS, FIRST = 3, 6, 3  # topics of a text, its segments, and tokens before what is to be predicted


def visits(count: int, draw: torch.Generator) -> tuple[Texts, Tensor]:
    """Return 6 segments of 6 tokens, each of one of 3 topics, and the topics (B, 6); a text draws 2 words for each topic.

    A segment is the mark of its topic, below 3, filler, and the two words of its topic in this text, of 8 to 23, which are the
    targets: they can be known only from an earlier segment of the topic.
    """
    words = 8 + torch.rand(count, TOPICS, 16, generator=draw).argsort(2)[..., :2]
    topics = torch.cat([torch.rand(count, TOPICS, generator=draw).argsort(1) for _ in range(VISITS // TOPICS)], 1)
    row, found = torch.arange(count), []
    for topic in topics.T:
        fill = torch.randint(24, VOCABULARY, (count, FIRST), generator=draw)
        tokens = torch.cat([topic[:, None], fill, words[row, topic]], 1)
        targets = torch.full_like(tokens, -100)
        targets[:, FIRST:-1] = tokens[:, FIRST + 1 :]
        found.append((tokens, targets))
    return found, topics


def topics(options: Any) -> dict[str, Row]:
    """Return the loss on words of a topic that a text comes back to, by what is carried, and where retrieval looks."""

    def run(make: Callable[[], nn.Module], seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = Text(make())
        trained(model, lambda step, draw: visits(32, draw)[0], 800, seed)
        losses, right, looked = [], [], []
        with torch.no_grad():
            text, order = visits(400, rng(77 + seed))
            state = model.core.init_state(400)
            for n, (tokens, targets) in enumerate(text):
                if n >= TOPICS and isinstance(model.core, HierarchicalSegments) and model.core.retrieve:
                    weights = model.core.weights(model.embed(tokens), state[:, :VISITS])
                    best = weights.argmax(1) - VISITS + n
                    looked.append(order.gather(1, best.clamp_min(0)[:, None])[:, 0] == order[:, n])
                logits, state = model.logits(tokens, state)
                if n >= TOPICS:
                    asked = slice(FIRST, -1)
                    losses.append(F.cross_entropy(logits[:, asked].flatten(0, 1), targets[:, asked].flatten()))
                    right.append((logits.argmax(-1) == targets)[:, asked].double().mean())
        found = {"loss": float(torch.stack(losses).mean()), "right %": float(torch.stack(right).mean())}
        if looked:
            found["looks at the topic %"] = float(torch.cat(looked).double().mean())
        return found | {"state": model.core.init_state(1).numel()}

    rows: dict[str, Callable[[], nn.Module]] = {
        "retrieved memories": lambda: HierarchicalSegments(WIDTH, VISITS, 2, 2, LENGTH),
        "newest memory": lambda: HierarchicalSegments(WIDTH, 1, 2, 2, LENGTH, retrieve=False),
        "8 slots": lambda: Memformer(WIDTH, 8, 2, length=LENGTH),
        "no memory": lambda: Memformer(WIDTH, 0, 2, length=LENGTH),
    }
    return {name: seeded(options.seeds, partial(run, make), ("state",)) for name, make in rows.items()}


def saved(run: Callable[[], Any]) -> float:
    """Return the most kilobytes that autograd saved at once."""
    held, most = [0], [0]

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor, self.bytes = tensor, tensor.numel() * tensor.element_size()
            held[0] += self.bytes
            most[0] = max(most[0], held[0])

        def __del__(self) -> None:
            held[0] -= self.bytes

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        run()
    return most[0] / 1024


def replays(options: Any) -> dict[str, Row]:
    """Return the kilobytes saved by replay and by back-propagation through the text, and how far their gradients are apart."""

    def run(count: int, seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = Text(Memformer(WIDTH, 8, 2, length=LENGTH))
        text = texts(8, count - 2, rng(seed))

        found, gradients = {}, []
        for name, act in (("replay, KB", replay), ("whole text, KB", whole)):
            model.zero_grad()
            found[name] = saved(partial(act, model.step, text, model.core.init_state(8)))
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        found["largest difference of gradients"] = float((gradients[0] - gradients[1]).abs().max())
        return found

    return {f"{n} segments": seeded(options.seeds, partial(run, n)) for n in (2, 4, 8, 16)}


MOVES, DANCE = 8, 4


class Dancer(nn.Module):  # type: ignore[misc]
    """Says the moves of the dance that a question names, from a long past."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, inputs = how, MOVES + 8 + 1
        self.enter, self.place = nn.Linear(inputs, 32), nn.Parameter(torch.randn(DANCE, 32) * 0.3)
        self.read = HierarchicalChunks(32, DANCE, k={"chunks": 2, "full attention": 10**6}.get(how, 1))
        self.cell, self.out = nn.LSTM(inputs, 64, batch_first=True), nn.Linear(64 if how == "LSTM" else 32, MOVES)

    def forward(self, past: Tensor, asked: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, 4, moves) and the weights of chunks."""
        if self.how == "LSTM":
            steps = asked[:, None].expand(-1, DANCE, -1)
            return self.out(self.cell(torch.cat([past, steps], 1))[0][:, -DANCE:]), None
        states = self.enter(past) + self.place.repeat(past.shape[1] // DANCE, 1)
        queries = self.enter(asked)[:, None] + self.place
        read, weights = self.read(queries, states + (self.enter(past) * 0))
        return self.out(read), weights


def ballet(options: Any) -> dict[str, Row]:
    """Return moves of a dance repeated after distractors, as many as in training and 4 × as many, and the entries attended to."""

    def drawn(count: int, others: int, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dances = 2 + others
        dancer = torch.stack(
            [torch.randperm(8, generator=draw)[:2] for _ in range(count)]
        )  # two dancers are named, others are not
        moves = torch.randint(MOVES, (count, dances, DANCE), generator=draw)
        past = torch.zeros(count, dances, DANCE, MOVES + 9)
        past[..., :MOVES] = F.one_hot(moves, MOVES)
        at = torch.rand(count, dances, generator=draw).argsort(1)[:, :2]  # chunks of the two
        row = torch.arange(count)
        for i in range(2):
            past[row, at[:, i], :, MOVES + dancer[:, i]] = 1
        which = torch.randint(2, (count,), generator=draw)
        asked = F.pad(F.one_hot(dancer[row, which], 8).float(), (MOVES, 1))
        asked[:, -1] = 1
        return past.flatten(1, 2), asked, moves[row, at[row, which]], at[row, which]

    def run(how: str, seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = Dancer(how)
        model.read.key.requires_grad_()
        steps, optimiser = 800, torch.optim.Adam(model.parameters(), 4e-3)
        for step in range(steps):
            past, asked, moves, _ = drawn(48, 6, rng(step + 10**6 * seed))
            loss = F.cross_entropy(model(past, asked)[0].flatten(0, 1), moves.flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        found: dict[str, float] = {}
        with torch.no_grad():
            for others in (6, 24):
                past, asked, moves, at = drawn(400, others, rng(66 + seed))
                logits, weights = model(past, asked)
                found[f"{others} distractors %"] = float((logits.argmax(-1) == moves).double().mean())
                if weights is not None:
                    found[f"best chunk is right, {others} %"] = float(
                        (weights.argmax(-1) == at[:, None]).double().mean()
                    )
        chunks = 26
        found["entries attended to, of 104"] = {
            "LSTM": 0,
            "chunks": chunks + 2 * DANCE,
            "full attention": chunks * DANCE,
        }[how]
        return found

    return {how: seeded(options.seeds, partial(run, how)) for how in ("chunks", "full attention", "LSTM")}
