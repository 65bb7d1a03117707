"""The weights of a model are written by a small network that reads which task it is."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step
from mnemos.parametric.consolidate.made import Maker, MakesWeights, Weights
from mnemos.registry import Paper, register

Kind = Literal["chunks", "sequence"]


class Chunks(nn.Module):  # type: ignore[misc]
    """Writes each chunk apart from the others, from the task's embedding e (E,) and the chunk's own: -> (chunks, size)."""

    def __init__(self, chunks: int, size: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(chunks, embedding))
        self.layers = nn.Sequential(
            nn.Linear(2 * embedding, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, size)
        )

    def forward(self, e: Tensor) -> Tensor:
        """Return all chunks."""
        made: Tensor = self.layers(torch.cat([e.expand(len(self.places), -1), self.places], 1))
        return made


class Sequence(nn.Module):  # type: ignore[misc]
    """Writes one chunk after the other by an LSTM, so that a chunk depends on those before: e (E,) -> (chunks, size)."""

    def __init__(self, chunks: int, size: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(chunks, embedding))
        self.lstm = nn.LSTM(2 * embedding, hidden)
        self.layers = nn.Linear(hidden, size)

    def forward(self, e: Tensor) -> Tensor:
        """Return all chunks."""
        read = torch.cat([e.expand(len(self.places), -1), self.places], 1)
        made: Tensor = self.layers(self.lstm(read)[0])
        return made


class Generated(Maker):
    """Makes all weights of a model, biases too, from an embedding of the task."""

    def __init__(self, inner: nn.Module, knobs: Hypernetwork, generator: torch.Generator) -> None:
        super().__init__(inner)
        weights = dict(inner.named_parameters())
        self.shapes = {name: weights[name].shape for name in self.names}
        # what the network writes is near 1, so each weight is given the size that its layer begins with
        self.sizes = {name: float(w.detach().std()) if w.dim() > 1 else 0.1 for name, w in weights.items()}
        self.count = sum(shape.numel() for shape in self.shapes.values())
        chunks, self.embedding = -(-self.count // knobs.chunk), knobs.embedding
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            self.network = knobs.writer()(chunks, knobs.chunk, knobs.embedding, knobs.hidden)
            last = self.network.layers[-1] if isinstance(self.network, Chunks) else self.network.layers
            nn.init.normal_(last.weight, std=knobs.hidden**-0.5 * (1.0 if knobs.kind == "chunks" else 3.0))
        self.before = copy.deepcopy(self.network)  # as it was when the task began
        self.embeddings = nn.ParameterDict()

    def makes(self, name: str, weight: Tensor) -> bool:
        """Make all."""
        return True

    def grow(self, task: int, weights: Weights, generator: torch.Generator) -> None:
        """Draw an embedding."""
        self.embeddings[str(task)] = torch.randn(self.embedding, generator=generator)

    def trained(self, task: int) -> Iterator[nn.Parameter]:
        """Yield the network and the task's embedding: those of other tasks stay."""
        yield from self.network.parameters()
        yield self.embeddings[str(task)]

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return the weights that the network writes for a task."""
        return self.cut(self.network(self.embeddings[str(task)]).flatten())

    def cut(self, flat: Tensor) -> dict[str, Tensor]:
        """Return weights by name of all numbers (count or more,) that were written."""
        made, at = {}, 0
        for name, shape in self.shapes.items():
            made[name] = self.sizes[name] * flat[at : at + shape.numel()].view(shape)
            at += shape.numel()
        return made

    def remember(self) -> None:
        """Keep the network as it is now."""
        self.before.load_state_dict(self.network.state_dict())


@register(
    "hypernetwork",
    papers=(
        Paper("Continual learning with hypernetworks", "1906.00695"),
        Paper("Continual Learning with Dependency Preserving Hypernetworks", "2209.07712"),
    ),
    task="tasks in sequence",
    baselines=("plain", "anchor"),
)
@dataclass
class Hypernetwork(MakesWeights):
    """Writes the model's weights from an embedding of the task, and holds the writing of earlier tasks' weights as it was.

    Adds strength / (t - 1) * sum over earlier tasks of ||h(e, before) - h(e, now + lookahead * step)||^2 to the loss: what is
    kept is the writer, so that a task costs one embedding. `chunks` writes every piece of the weights apart from the others,
    `sequence` by an LSTM, each after those before. A step costs one writing for each of `rehearsed` earlier tasks.
    """

    strength: float = 0.01  # weight of the term (beta)
    kind: Kind = "chunks"  # how the weights are written
    chunk: int = 1000  # weights that are written at once
    embedding: int = 8  # numbers of a task's embedding, and of a chunk's
    hidden: int = 24  # units of the network's layers
    lookahead: float = 0.0  # rate of the tentative step at which the term is taken; 0: where the network is now
    rehearsed: int = 8  # earlier tasks whose writing is compared in a step, drawn anew

    def __post_init__(self) -> None:
        if min(self.chunk, self.embedding, self.hidden) < 1:
            raise InvalidInput("chunk, embedding and hidden are sizes: give at least 1.")

    def writer(self) -> type[Chunks | Sequence]:
        """Return what writes."""
        return Chunks if self.kind == "chunks" else Sequence

    def maker(self, inner: nn.Module, generator: torch.Generator) -> Generated:
        """Return the network that writes."""
        return Generated(inner, self, generator)

    @property
    def generated(self) -> Generated:
        """Return the maker."""
        assert self.model is not None
        assert isinstance(self.model.maker, Generated)
        return self.model.maker

    def before_task(self, learning: Learning) -> None:
        """Make room, and keep the network as it is."""
        super().before_task(learning)
        self.generated.remember()

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Add the gradient of what holds the writing of earlier tasks."""
        held, old = self.generated, [t for t in self.generated.tasks if t != learning.task]
        if not old or not self.strength:
            return
        some = torch.randperm(len(old), generator=learning.generator)[: self.rehearsed].tolist()
        there = {}
        for name, p in held.network.named_parameters():
            ahead = p.detach() - self.lookahead * p.grad if self.lookahead and p.grad is not None else p.detach()
            there[name] = ahead.requires_grad_(True)
        far = torch.stack([self.apart(there, old[place]) for place in some]).mean()
        changes = torch.autograd.grad(self.strength * far, list(there.values()))
        for p, change in zip(held.network.parameters(), changes, strict=True):
            p.grad = change if p.grad is None else p.grad + change

    def apart(self, network: Weights, task: int) -> Tensor:
        """Return how far what a network writes for an earlier task is from what was written before."""
        e = self.generated.embeddings[str(task)].detach()
        with torch.no_grad():
            wanted = self.generated.before(e)
        return (functional_call(self.generated.network, network, (e,)) - wanted).square().sum()
