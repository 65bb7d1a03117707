"""The two models of `mnemos bench babi`."""

from __future__ import annotations

from torch import Tensor, nn

from mnemos.bench.neural.babi_stories import Encoded
from mnemos.neural.slots.memory_network import MemoryNetwork


class Hops(nn.Module):  # type: ignore[misc]
    """A memory network over sentences as bags of words."""

    def __init__(self, vocabulary: int, hops: int, places: int) -> None:
        super().__init__()
        self.net = MemoryNetwork(vocabulary, 32, hops, places)

    def begin(self, share: float) -> None:
        """Leave out the softmax in the first tenth of training (linear start)."""
        self.net.linear = share < 0.1

    def forward(self, asked: Encoded) -> Tensor:
        """Return logits (N, W)."""
        logits: Tensor = self.net(asked.facts, asked.questions, asked.real)[0]
        return logits


class Words(nn.Module):  # type: ignore[misc]
    """An LSTM over the words of the story and of the question after it."""

    def __init__(self, vocabulary: int, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width, padding_idx=0)
        self.cell, self.out = nn.LSTM(width, width, batch_first=True), nn.Linear(width, vocabulary)

    def begin(self, share: float) -> None:
        """Do nothing: it is trained in one way from beginning to end."""

    def forward(self, asked: Encoded) -> Tensor:
        """Return logits (N, W)."""
        begin = int((asked.tokens > 0).int().argmax(1).min())  # before it nobody says anything
        logits: Tensor = self.out(self.cell(self.embed(asked.tokens[:, begin:]))[0][:, -1])
        return logits
