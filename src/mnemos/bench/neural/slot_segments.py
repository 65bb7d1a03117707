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
from mnemos.neural.slots.memformer import Memformer, replay

WIDTH, PAIRS, LENGTH, VOCABULARY = 48, 4, 12, 40


class Text(nn.Module):  # type: ignore[misc]
    """Tokens to logits through a Memformer, segment by segment."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.embed, self.core = nn.Embedding(VOCABULARY, WIDTH), Memformer(WIDTH, slots, 2, length=LENGTH)
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


def texts(count: int, fillers: int, draw: torch.Generator) -> list[tuple[Tensor, Tensor]]:
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


def segments(options: Any) -> dict[str, Row]:
    """Return values recalled across segments of filler, trained by replay, with slots, without forgetting, and without."""

    def run(slots: int, biased: bool, seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = Text(slots)
        if not biased:
            model.core.bias.data.zero_()
            model.core.bias.requires_grad_(False)
        steps, optimiser = (
            1200,
            torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 4e-3, weight_decay=0.01),
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for step in range(steps):
            draw = rng(step + 10**6 * seed)
            optimiser.zero_grad()
            replay(model.step, texts(48, step % 3, draw), model.core.init_state(48))
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        found = {}
        with torch.no_grad():
            for fillers in (0, 2, 4):
                state = model.core.init_state(400)
                asked = texts(400, fillers, rng(88 + seed))
                for tokens, _ in asked:
                    logits, state = model.logits(tokens, state)
                right = logits.argmax(-1)[:, -PAIRS:] == asked[-1][1][:, -PAIRS:]
                found[f"{fillers} segments between %"] = float(right.double().mean())
        return found | {"state": slots * WIDTH}

    rows = {"8 slots": (8, True), "8 slots, no forgetting": (8, False), "no slots": (0, True)}
    return {name: seeded(options.seeds, partial(run, *r), ("state",)) for name, r in rows.items()}


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
        model, text = Text(8), texts(8, count - 2, rng(seed))

        def whole() -> None:
            state, total = model.core.init_state(8), torch.zeros(())
            for segment in text:
                loss, state = model.step(segment, state)
                total = total + loss
            total.backward()

        found, gradients = {}, []
        for name, act in (
            ("replay, KB", lambda: replay(model.step, text, model.core.init_state(8))),
            ("whole text, KB", whole),
        ):
            model.zero_grad()
            found[name] = saved(act)
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
