"""Stories, chains of pairs, and vectors compared: parts of `mnemos bench slot-readers` on readers and the relational memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.parts import Row, seeded
from mnemos.neural.slots.memo import Memo
from mnemos.neural.slots.memory_network import MemoryNetwork
from mnemos.neural.slots.relational_memory import RelationalMemoryCore

PEOPLE, PLACES, THINGS, BOXES = 4, 6, 4, 4
WORDS = PEOPLE + PLACES + THINGS + BOXES + 3  # the last three: went, took, put
FACTS = 14
STORIES, STEPS = 6000, 2500  # of each kind, of which the last sixth is only asked; of training


def stories(count: int, support: int, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return facts (B, 14, W) as bags of words, questions, answers (B), and which facts support them (B, 14).

    People go to places, the last one counts; things are in boxes, and boxes are with people. Support 1 asks where a person
    is, 2 where a box is, 3 where a thing is.
    """
    facts, question = torch.zeros(count, FACTS, WORDS), torch.zeros(count, WORDS)
    holders = torch.stack([torch.randperm(PEOPLE, generator=draw) for _ in range(count)])  # of boxes
    boxes = torch.stack([torch.randperm(BOXES, generator=draw) for _ in range(count)])  # of things
    moves = FACTS - 8
    who = torch.cat(
        [
            torch.stack([torch.randperm(PEOPLE, generator=draw) for _ in range(count)]),
            torch.randint(PEOPLE, (count, moves - 4), generator=draw),
        ],
        1,
    )
    where = torch.randint(PLACES, (count, moves), generator=draw)
    order = torch.rand(count, FACTS, generator=draw).argsort(
        1
    )  # moves keep no order among others, but their own decides
    answers, marks = torch.zeros(count, dtype=torch.long), torch.zeros(count, FACTS, dtype=torch.bool)
    place_of = [PEOPLE + PLACES + THINGS, PEOPLE + PLACES, PEOPLE]  # first words of boxes, things, places
    for b in range(count):
        said = [(int(p), place_of[2] + int(w), WORDS - 3) for p, w in zip(who[b], where[b], strict=True)]
        said += [(int(holders[b, x]), place_of[0] + x, WORDS - 2) for x in range(BOXES)]
        said += [(place_of[1] + t, place_of[0] + int(boxes[b, t]), WORDS - 1) for t in range(THINGS)]
        at = {int(i): place for place, i in enumerate(order[b])}
        for i, words in enumerate(said):
            facts[b, at[i], list(words)] = 1
        asked = int(torch.randint(4, (1,), generator=draw))
        chain: list[int] = []
        if support == 3:
            chain, box = [moves + 4 + asked], int(boxes[b, asked])
        else:
            box = asked
        question[b, (asked, place_of[0] + asked, place_of[1] + asked)[support - 1]] = 1
        person = asked if support == 1 else int(holders[b, box])
        chain += [moves + box] if support > 1 else []
        last = max((i for i in range(moves) if int(who[b, i]) == person), key=lambda i: at[i])
        answers[b] = place_of[2] + int(where[b, last])
        marks[b, [at[i] for i in (*chain, last)]] = True
    return facts, question, answers, marks


def story(options: Any) -> dict[str, Row]:
    """Return answers that are right with one, two and three supporting facts, by hops, and looks that land on one."""
    pools: dict[tuple[int, int], Any] = {}
    known = STORIES * 5 // 6

    def run(hops: int, seed: int) -> dict[str, float]:
        found = {}
        for support in (1, 2, 3):
            if (support, seed) not in pools:
                pools[support, seed] = stories(STORIES, support, rng(seed))
            facts, question, answers, marks = pools[support, seed]
            torch.manual_seed(seed)
            net = MemoryNetwork(WORDS, 32, hops, places=FACTS)
            optimiser = torch.optim.Adam(net.parameters(), 1e-2)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
            for step in range(STEPS):
                net.linear = step < 300  # linear start
                chosen = torch.randint(known, (64,), generator=rng(step + seed * 10**6))
                loss = F.cross_entropy(net(facts[chosen], question[chosen])[0], answers[chosen])
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                schedule.step()
            net.linear = False
            with torch.no_grad():
                said, looks = net(facts[known:], question[known:])
            found[f"{support} supporting %"] = float((said.argmax(1) == answers[known:]).double().mean())
            landed = marks[known:][torch.arange(STORIES - known)[:, None], looks.argmax(-1)]
            found[f"looks on support, {support} %"] = float(landed.double().mean())
        return found

    return {f"{h} hop{'s' if h > 1 else ''}": seeded(options.seeds, partial(run, h)) for h in (1, 2, 3)}


ITEM, CHAINS = 16, 4


def chains(count: int, length: int, apart: int, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return facts (B, N, 2 d) of pairs along 4 chains of random items, cues (B, d), and choices (B, 2, d)."""
    items = F.normalize(torch.randn(count, CHAINS, length, ITEM, generator=draw), dim=-1) * ITEM**0.5
    pairs = torch.cat([items[:, :, :-1], items[:, :, 1:]], -1).flatten(1, 2)
    order = torch.rand(count, pairs.shape[1], generator=draw).argsort(1)
    pairs = pairs.gather(1, order[..., None].expand_as(pairs))
    row, own = torch.arange(count), torch.randint(CHAINS, (count,), generator=draw)
    lure = (own + torch.randint(1, CHAINS, (count,), generator=draw)) % CHAINS
    begin = torch.randint(length - apart, (count,), generator=draw)
    ends = torch.stack([items[row, own, begin + apart], items[row, lure, begin + apart]], 1)
    return pairs, items[row, own, begin], ends


class Last(nn.Module):  # type: ignore[misc]
    """An LSTM that reads the facts and then the cue: the baseline without a memory of facts."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTM(2 * ITEM, width, batch_first=True), nn.Linear(width, ITEM)

    def forward(self, facts: Tensor, cue: Tensor) -> tuple[Tensor, None]:
        """Return answers (B, d)."""
        read = self.cell(torch.cat([facts, F.pad(cue, (0, ITEM))[:, None]], 1))[0]
        return self.out(read[:, -1]), None


class Summed(nn.Module):  # type: ignore[misc]
    """A memory network whose facts are sums of their items, as those of bags of words are."""

    def __init__(self, hops: int) -> None:
        super().__init__()
        self.net = MemoryNetwork(ITEM, 64, hops, places=0)

    def forward(self, facts: Tensor, cue: Tensor) -> tuple[Tensor, Tensor]:
        """Return answers (B, d) and the weights of the facts."""
        answer: tuple[Tensor, Tensor] = self.net(facts[..., :ITEM] + facts[..., ITEM:], cue)
        return answer


def paired(options: Any) -> dict[str, Row]:
    """Return choices that are right for pairs that were shown and for items two and three steps apart, and the hops taken."""

    def run(make: Callable[[], nn.Module], seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = make()
        steps, optimiser = 1500, torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for step in range(steps):
            draw = rng(step + 10**6 * seed)
            facts, cue, ends = chains(64, 4, 1 + step % 3, draw)
            if isinstance(model, Memo):
                thought = model.thought(facts, cue)
                scores = torch.einsum("btd,bcd->btc", thought.answers, ends)
                losses = F.cross_entropy(
                    scores.flatten(0, 1), torch.zeros(64 * model.hops, dtype=torch.long), reduction="none"
                )
                loss = model.loss(thought, scores.argmax(-1) == 0, losses.view(64, -1), draw)
            else:
                loss = F.cross_entropy(
                    torch.einsum("bd,bcd->bc", model(facts, cue)[0], ends), torch.zeros(64, dtype=torch.long)
                )
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        found: dict[str, float] = tested(model, seed)
        return found

    makers = {
        "MEMO": lambda: Memo(2 * ITEM, 2, heads=4, hops=5),
        "memory network, 1 hop": lambda: Summed(1),
        "memory network, 3 hops": lambda: Summed(3),
        "LSTM": Last,
    }
    return {name: seeded(options.seeds, partial(run, make)) for name, make in makers.items()}


@torch.no_grad()  # type: ignore[untyped-decorator]
def tested(model: nn.Module, seed: int) -> dict[str, float]:
    """Return the figures of a trained model."""
    found = {}
    for apart in (1, 2, 3):
        facts, cue, ends = chains(512, 4, apart, rng(99 + seed))
        scores = torch.einsum("bd,bcd->bc", model(facts, cue)[0], ends)
        found[f"{apart} apart %"] = float((scores.argmax(1) == 0).double().mean())
        if isinstance(model, Memo):
            found[f"hops, {apart} apart"] = float(1 + model.stopped(model.thought(facts, cue).stops).double().mean())
    return found


class Compared(nn.Module):  # type: ignore[misc]
    """A recurrent network that reads vectors and says, after the last one, which of them is the n-th farthest from the m-th."""

    def __init__(self, how: str, vectors: int, channels: int) -> None:
        super().__init__()
        inputs = channels + 3 * vectors
        width = {"relational memory": 32, "LSTM": 58, "GRU": 68}[how]
        self.enter = nn.Linear(inputs, width)
        if how == "relational memory":
            self.core: nn.Module = RelationalMemoryCore(width, vectors, 4)
        else:
            self.core = (nn.LSTM if how == "LSTM" else nn.GRU)(width, width, batch_first=True)
        self.out = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, vectors))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, vectors)."""
        logits: Tensor = self.out(self.core(self.enter(x))[0][:, -1])
        return logits


def farthest(options: Any) -> dict[str, Row]:
    """Return how often the n-th farthest of 4 vectors from the m-th is named, at about equal parameters and steps."""
    vectors, channels = 4, 4

    def drawn(count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.rand(count, vectors, channels, generator=draw) * 2 - 1
        label = torch.stack([torch.randperm(vectors, generator=draw) for _ in range(count)])  # of each vector
        n, m = torch.randint(vectors, (2, count), generator=draw)
        row = torch.arange(count)
        at = (label == m[:, None]).int().argmax(1)
        far = (x - x[row, at][:, None]).norm(dim=-1).argsort(1, descending=True)
        question = torch.cat([F.one_hot(n, vectors), F.one_hot(m, vectors)], 1).float()[:, None].expand(-1, vectors, -1)
        return torch.cat([x, F.one_hot(label, vectors).float(), question], -1), label[row, far[row, n]]

    def run(how: str, seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = Compared(how, vectors, channels)
        steps, optimiser = 3000, torch.optim.Adam(model.parameters(), 2e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for step in range(steps):
            x, y = drawn(128, rng(step + 10**6 * seed))
            loss = F.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            x, y = drawn(2000, rng(99 + seed))
            right = float((model(x).argmax(1) == y).double().mean())
        return {"right %": right, "parameters": sum(p.numel() for p in model.parameters())}

    return {how: seeded(options.seeds, partial(run, how)) for how in ("relational memory", "LSTM", "GRU")}
