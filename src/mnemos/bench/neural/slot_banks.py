"""Banks of a bounded size on streams: parts of `mnemos bench slot-readers` that train little or nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.parts import Row, seeded
from mnemos.neural.slots.consolidating import UsagePrototypes
from mnemos.neural.slots.dual_coding import DualCoding
from mnemos.neural.slots.memoria import Memoria
from mnemos.neural.slots.merging import GatedFusion, MergedNeighbours


def prototypes(options: Any) -> dict[str, Row]:
    """Return the error of reads of 1,000 noisy sights of 40 places, some visited more often, by what 64 entries keep."""

    def run(how: dict[str, Any], seed: int) -> dict[str, float]:
        places, values = (torch.randn(40, 16, generator=rng(seed + i)) for i in range(2))
        often = 1 / torch.arange(1, 41).float()
        visits = often.expand(1, -1).multinomial(1000, replacement=True, generator=rng(seed + 2))[0]
        bank = UsagePrototypes(16, 16, size=64, working=32, prototypes=8, recent=4, temperature=4.0, seed=seed, **how)
        error: list[float] = []
        for step, place in enumerate(visits.tolist()):
            draw = rng(seed * 10_000 + step)
            key = places[place] + 0.3 * torch.randn(16, generator=draw)
            seen = values[place] + 1.0 * torch.randn(16, generator=draw)
            if step > 200 and place in visits[:step]:
                error.append(float((bank.read(key[None])[0] - values[place]).square().mean()))
            elif len(bank):
                bank.read(key[None])
            bank.write(key[None], seen[None])
        later = len(error) // 2
        return {
            "error": sum(error[:later]) / later,
            "error, second half": sum(error[later:]) / (len(error) - later),
            "held": len(bank),
        }

    ways: dict[str, dict[str, Any]] = {
        "used, averaged": {},
        "used, not averaged": {"average": False},
        "newest, averaged": {"by": "newest"},
        "newest, not averaged": {"by": "newest", "average": False},
        "random, not averaged": {"by": "random", "average": False},
    }
    return {name: seeded(options.seeds, partial(run, how)) for name, how in ways.items()}


WAIT, KINDS = 60, 8  # moments before the question, buttons


def moments(options: Any) -> dict[str, Row]:
    """Return buttons remembered that were pressed k moments ago among near-equal frames, by what a bank of 8 entries keeps."""

    def episode(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        draw, looks = rng(seed), torch.randn(KINDS, 16, generator=rng(5))
        button, at = torch.randint(KINDS, (count,), generator=draw), torch.randint(WAIT - 10, (count,), generator=draw)
        frames = torch.randn(count, 1, 16, generator=draw) + 0.1 * torch.randn(count, WAIT, 16, generator=draw)
        frames[torch.arange(count), at] += looks[button]
        return frames, button, at

    held_by: dict[tuple[str, int], Tensor] = {}

    def banked(frames: Tensor, merge: bool) -> Tensor:
        """Return what is held of each episode, (B, 8, 16)."""
        held = []
        for frame in frames:
            bank = MergedNeighbours(16, 16, 8, merge)
            bank.write(frame, frame)
            held.append(bank.values)
        return torch.stack(held)

    def run(bank: str, gated: bool, seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        frames, button, at = episode(500, seed)
        last = frames[:, -1]
        if (bank, seed) not in held_by:
            held_by[bank, seed] = last[:, None] if bank == "none" else banked(frames, bank == "merged")
        held = held_by[bank, seed]
        ask, fusion = nn.Linear(16, 16), GatedFusion(16, gated)
        head = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, KINDS))
        optimiser = torch.optim.Adam([*ask.parameters(), *fusion.parameters(), *head.parameters()], 5e-3)

        def answer(rows: Tensor) -> Tensor:
            apart = held[rows] - last[rows, None]
            weights = (apart.square().sum(-1) + torch.einsum("bd,bnd->bn", ask(last[rows]), held[rows]) / 4).softmax(-1)
            logits: Tensor = head(fusion(last[rows], torch.einsum("bn,bnd->bd", weights, apart)))
            return logits

        for step in range(300):
            chosen = torch.randint(350, (64,), generator=rng(step))
            loss = F.cross_entropy(answer(chosen), button[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            right = answer(torch.arange(350, 500)).argmax(1) == button[350:]
        early = at[350:] < 25
        return {
            "right %": float(right.double().mean()),
            "pressed 35 moments ago or more %": float(right[early].double().mean()),
        }

    rows = [("merged", True), ("merged", False), ("oldest dropped", True), ("none", True)]
    return {
        f"{bank}, {'gated' if gated else 'added'}": seeded(options.seeds, partial(run, bank, gated))
        for bank, gated in rows
    }


class Heard(nn.Module):  # type: ignore[misc]
    """Names that of two things is meant by a word, from moments in which each word was heard with one thing."""

    def __init__(self, how: str, language: int, vision: int) -> None:
        super().__init__()
        self.how = how
        self.memory = DualCoding(language, vision, 32, k=8, crossed=how == "dual coding")
        self.cell = nn.LSTM(language + vision, 64, batch_first=True)
        self.out = nn.Linear(64 if how == "LSTM" else vision, vision)

    def forward(self, word: Tensor, language: Tensor, vision: Tensor) -> Tensor:
        """Return what is expected to be seen, (B, V)."""
        if self.how == "LSTM":
            moments = torch.cat([language, vision], -1)
            asked = F.pad(word[:, None], (0, vision.shape[-1]))
            expected: Tensor = self.out(self.cell(torch.cat([moments, asked], 1))[0][:, -1])
            return expected
        read: Tensor = self.memory(word[:, None], language, vision)[:, 0]
        return self.out(read) + read


def binding(options: Any) -> dict[str, Row]:
    """Return new words understood after one hearing, with as many things as in training and with more, beside baselines."""

    def drawn(count: int, number: int, draw: torch.Generator) -> tuple[Tensor, ...]:
        words, things = torch.randn(count, number, 24, generator=draw), torch.randn(count, number, 24, generator=draw)
        asked = torch.randint(number, (count,), generator=draw)
        return words[torch.arange(count), asked], words, things, asked

    def run(how: str, seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = Heard(how, 24, 24)
        optimiser = torch.optim.Adam(model.parameters(), 3e-3)
        for step in range(600):
            word, words, things, asked = drawn(64, 5, rng(step + 10**6 * seed))
            scores = torch.einsum("bd,bnd->bn", model(word, words, things), things)
            loss = F.cross_entropy(scores, asked)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        found = {}
        with torch.no_grad():
            for number in (5, 10, 20):
                word, words, things, asked = drawn(500, number, rng(77 + seed))
                said = torch.einsum("bd,bnd->bn", model(word, words, things), things).argmax(1)
                found[f"{number} things %"] = float((said == asked).double().mean())
        return found | {"parameters": size(model, how)}

    return {how: seeded(options.seeds, partial(run, how)) for how in ("dual coding", "fused key", "LSTM")}


def size(model: Heard, how: str) -> int:
    """Return the parameters that a model uses."""
    used = model.cell if how == "LSTM" else model.memory
    return sum(p.numel() for part in (used, model.out) for p in part.parameters())


def serial(options: Any) -> dict[str, Row]:
    """Return items of a list of 60 that Memoria still holds, by their place, and recalls that are followed by a neighbour's."""

    def run(seed: int) -> dict[str, float]:
        held = torch.zeros(60)
        near: list[float] = []
        far: list[float] = []
        for trial in range(30):
            bank = Memoria(16, 1, size=40, short=10, life=30.0, reward=12.0)
            items = torch.randn(60, 16, generator=rng(seed * 1000 + trial)) * 2
            for i, item in enumerate(items):
                if i:  # rehearsal: a random earlier item that is still held is thought of
                    earlier = int(torch.randint(i, (1,), generator=rng(seed * 10**6 + trial * 100 + i)))
                    bank.read(items[earlier : earlier + 1])
                bank.write(item[None], torch.full((1, 1), float(i)))
            held += torch.tensor([float(i in bank.engrams) for i in range(60)])
            for i, one in bank.engrams.items():
                for j in bank.engrams:
                    if j != i:
                        (near if abs(i - j) == 1 else far).append(one.together.get(j, 0) / one.fired)
        curve = (held / 30).tolist()
        return {
            "first 6 held %": sum(curve[:6]) / 6,
            "middle held %": sum(curve[20:40]) / 20,
            "last 6 held %": sum(curve[-6:]) / 6,
            "edge to a neighbour in time": sum(near) / max(len(near), 1),
            "edge to others": sum(far) / max(len(far), 1),
        }

    return {"Memoria": seeded(options.seeds, run)}
