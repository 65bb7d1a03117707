"""HCAM on the ballet: dances to recall among distractions (arXiv 2105.14039).

A chunk is a dancer and `STEPS` moves. A query names a dancer and a step; the answer is the move. Models are
trained among 4 distractions and asked among 4 and 16.

B queries, N chunks of c states of width E.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mnemos.activation.recall.hcam import HCAM, Past
from mnemos.bench.kv.trained_layers import train_layer

DANCERS, MOVES, STEPS, WIDTH = 8, 8, 4, 32
DANCES, TRAINED, MORE = 4, 4, 16  # dances; distractions of the training, and four times as many
TEST_SEED = 53_000


class Ballet:
    """Draws dances; the dancers, moves and steps are always the same random vectors."""

    def __init__(self, seed: int = 1) -> None:
        fixed = torch.Generator().manual_seed(0)
        self.dancer, self.move, self.step = (
            torch.randn(n, WIDTH, generator=fixed) for n in (DANCERS, MOVES, STEPS + 1)
        )
        self.random = torch.Generator().manual_seed(seed)

    def draw(self, batch: int, distractions: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return chunks (B, N, c, E), queries (B, E), the moves asked for (B,), and their chunks (B,)."""
        total = DANCES + distractions
        order = torch.rand(batch, total, generator=self.random).argsort(1)
        who = torch.rand(batch, DANCERS, generator=self.random).argsort(1)[:, :DANCES]
        moves = torch.randint(MOVES, (batch, total, STEPS), generator=self.random)
        chunks = torch.cat((torch.zeros(batch, total, 1, WIDTH), self.move[moves]), 2) + self.step
        noise = torch.randn(batch, distractions, STEPS + 1, WIDTH, generator=self.random)
        chunks[:, :DANCES, 0] += self.dancer[who]
        chunks[:, DANCES:] = noise
        asked = torch.randint(DANCES, (batch,), generator=self.random)
        step = torch.randint(STEPS, (batch,), generator=self.random)
        rows = torch.arange(batch)
        query = self.dancer[who[rows, asked]] + self.step[step + 1]
        place = order.argsort(1)[rows, asked]
        return chunks.gather(1, order[:, :, None, None].expand_as(chunks)), query, moves[rows, asked, step], place


class WithMemory(nn.Module):  # type: ignore[misc]
    """Answers from the two best chunks, or with `whole` from all of the past as one chunk: full attention."""

    def __init__(self, whole: bool = False) -> None:
        super().__init__()
        self.whole, self.memory = whole, HCAM(WIDTH, heads=2, top=1 if whole else 2)
        self.answer = nn.Linear(WIDTH, MOVES)

    def forward(self, chunks: Tensor, query: Tensor) -> Tensor:
        """Return the logits of the moves, (B, MOVES)."""
        states = chunks.flatten(1, 2)
        past = Past.of(states, states.shape[1] if self.whole else STEPS + 1)
        logits: Tensor = self.answer(self.memory(query, past))
        return logits


class WithLSTM(nn.Module):  # type: ignore[misc]
    """Reads everything, then the query, and answers from its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.answer = nn.LSTM(WIDTH, 64, batch_first=True), nn.Linear(64, MOVES)

    def forward(self, chunks: Tensor, query: Tensor) -> Tensor:
        """Return the logits of the moves, (B, MOVES)."""
        read = self.lstm(torch.cat((chunks.flatten(1, 2), query[:, None]), 1))[0][:, -1]
        logits: Tensor = self.answer(read)
        return logits


MODELS = {
    "hcam": WithMemory, "attention to all of the past": lambda: WithMemory(whole=True), "lstm": WithLSTM,
}  # fmt: skip


def train(name: str) -> Any:
    """Return a model, trained among 4 distractions."""
    ballet = Ballet()

    def loss(model: nn.Module) -> Tensor:
        chunks, query, move, _ = ballet.draw(64, TRAINED)
        return cross_entropy(model(chunks, query), move)

    return train_layer(f"ballet-{name.split()[0]}", MODELS[name], loss, steps=350, rate=3e-3)


def score(model: nn.Module, contexts: int, distractions: int) -> dict[str, float]:
    """Return the share answered and, of HCAM, how often the chunk asked for is the first that it reads."""
    chunks, query, move, place = Ballet(TEST_SEED + distractions).draw(contexts, distractions)
    found = {"accuracy": round(float((model(chunks, query).argmax(1) == move).float().mean()), 4)}
    if isinstance(model, WithMemory) and not model.whole:
        found["hit_rate"] = round(float((model.memory.chosen[:, 0] == place).float().mean()), 4)
    return found


def measure(contexts: int) -> dict[str, Any]:
    """Return the answers of all models, by the number of distractions."""
    rows: dict[str, Any] = {}
    for name in MODELS:
        model = train(name)
        scores = {str(count): score(model, contexts, count) for count in (TRAINED, MORE)}
        rows[name] = scores | {"states": attended(name)}
    return rows


def attended(name: str) -> int | None:
    """Return the states that a query attends to among 16 distractions; None of a recurrent network."""
    every = (DANCES + MORE) * (STEPS + 1)
    return {"hcam": 2 * (STEPS + 1), "lstm": None}.get(name, every)
