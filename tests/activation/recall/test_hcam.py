"""HCAM: a few chunks read in full are worth a past read whole, and distance does not wear it out."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from mnemos.activation.recall.hcam import HCAM, Past
from mnemos.errors import InvalidInput

DANCERS, MOVES, STEPS, WIDTH = 8, 8, 4, 32  # a chunk is a dancer and STEPS moves


class Ballet:
    """Dances between distractions: a query names one of the dancers seen and a step, the answer is the move."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.dancer, self.move, self.step = (torch.randn(n, WIDTH) for n in (DANCERS, MOVES, STEPS + 1))
        self.random = torch.Generator().manual_seed(1)

    def __call__(self, batch, dances, distractions):
        total = dances + distractions
        order = torch.rand(batch, total, generator=self.random).argsort(1)
        who = torch.rand(batch, DANCERS, generator=self.random).argsort(1)[:, :dances]
        moves = torch.randint(MOVES, (batch, total, STEPS), generator=self.random)
        chunks = torch.cat((torch.zeros(batch, total, 1, WIDTH), self.move[moves]), 2) + self.step
        noise = torch.randn(batch, distractions, STEPS + 1, WIDTH, generator=self.random)
        chunks[:, :dances, 0] += self.dancer[who]
        chunks[:, dances:] = noise
        asked = torch.randint(dances, (batch,), generator=self.random)
        step = torch.randint(STEPS, (batch,), generator=self.random)
        rows = torch.arange(batch)
        query = self.dancer[who[rows, asked]] + self.step[step + 1]
        place = order.argsort(1)[rows, asked]  # where the dance asked for comes to stand
        return chunks.gather(1, order[:, :, None, None].expand_as(chunks)), query, moves[rows, asked, step], place


class WithMemory(nn.Module):
    def __init__(self, whole: bool = False) -> None:
        super().__init__()
        self.whole, self.memory, self.tell = whole, HCAM(WIDTH, heads=2, top=1 if whole else 2), nn.Linear(WIDTH, MOVES)

    def forward(self, chunks, query):
        states = chunks.flatten(1, 2)
        return self.tell(self.memory(query, Past.of(states, states.shape[1] if self.whole else STEPS + 1)))


class WithLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.tell = nn.LSTM(WIDTH, 64, batch_first=True), nn.Linear(64, MOVES)

    def forward(self, chunks, query):
        return self.tell(self.lstm(torch.cat((chunks.flatten(1, 2), query[:, None]), 1))[0][:, -1])


def trained(model, ballet, steps=350):
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        chunks, query, move, _ = ballet(64, 4, 4)
        loss = nn.functional.cross_entropy(model(chunks, query), move)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


@torch.no_grad()
def right(model, chunks, query, move) -> float:
    return float((model(chunks, query).argmax(1) == move).float().mean())


def test_it_recalls_a_dance_among_four_times_the_distractions_where_an_lstm_does_not():
    torch.set_num_threads(1)
    ballet = Ballet()
    models = {"hcam": WithMemory(), "whole": WithMemory(whole=True), "lstm": WithLSTM()}
    for model in models.values():
        trained(model, ballet)
    chunks, query, move, place = ballet(400, 4, 16)
    score = {name: right(model, chunks, query, move) for name, model in models.items()}
    found = float((models["hcam"].memory.chosen[:, 0] == place).float().mean())
    assert score["hcam"] >= 0.85, (score, found)
    assert score["hcam"] >= score["whole"] - 0.02, (score, found)
    assert score["lstm"] < 0.5, (score, found)
    assert found >= 0.85


def test_the_output_is_the_best_chunks_attention_weighted_by_relevance():
    torch.manual_seed(2)
    memory, states = HCAM(8, heads=2, top=2), torch.randn(3, 20, 8)
    query = torch.randn(3, 8)
    found = memory(query, Past.of(states, 5))
    for row in range(3):
        asked = memory.norm(query[row])
        chunks = states[row].view(4, 5, 8)
        logits = torch.stack([memory.sums(c.mean(0)) @ memory.asks(asked) for c in chunks]) * 8**-0.5
        relevance, expected = logits.softmax(0), query[row]
        for i in relevance.topk(2).indices.tolist():
            expected = (
                expected + relevance[i] * memory.inside(asked[None, None], chunks[i][None], chunks[i][None])[0][0, 0]
            )
        assert torch.allclose(found[row], expected, atol=1e-5)


def test_no_gradient_flows_into_the_past_and_absent_chunks_are_not_chosen():
    states = torch.randn(2, 20, 8, requires_grad=True)
    memory = HCAM(8, heads=2, top=1)
    past = Past.of(states, 5)
    memory(torch.randn(2, 8), past).sum().backward()
    assert states.grad is None
    memory(torch.randn(2, 8), Past(past.chunks, torch.tensor([1, 1])))
    assert memory.chosen.tolist() == [[0], [0]]


def test_half_a_chunk_is_refused():
    with pytest.raises(InvalidInput, match="whole chunks"):
        Past.of(torch.randn(1, 7, 8), 5)
