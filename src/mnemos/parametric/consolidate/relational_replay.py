"""Rehearsal with learned weights: a small network says how much new and held samples count."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.func import functional_call

from mnemos.parametric.consolidate.base import Batch, Learning, Step
from mnemos.parametric.consolidate.replay import Replay
from mnemos.registry import Paper, register

STATISTICS = 4  # that the relation network reads: mean loss and confidence, of new and of held samples


@register(
    "relational-replay",
    papers=(
        Paper(
            "Relational Experience Replay: Continual Learning by Adaptively Tuning Task-wise Relationship", "2112.15402"
        ),
    ),
    task="classes in sequence",
    baselines=("replay",),
)
@dataclass
class RelationalReplay(Replay):
    """Weighs the two terms of `Replay` by a relation network, learned by what the weights do to the loss of a balanced draw.

    Every `every` steps: a step of `inner` down the weighted loss is tried, and the network follows the gradient of the loss that
    the tried weights have on held samples and the new batch alike: bi-level training with one inner step. Costs three more
    passes at such a step.
    """

    inner: float = 0.1  # rate of the step that is tried
    rate: float = 0.01  # of the relation network (Adam)
    every: int = 5  # steps between two of its updates
    hidden: int = 16  # its units
    network: list[Tensor] = field(init=False, repr=False, default_factory=list)  # its weights
    moments: list[Tensor] = field(init=False, repr=False, default_factory=list)  # of Adam, first and second
    turns: int = field(init=False, repr=False, default=0)  # its updates

    def weigh(self, statistics: Tensor) -> Tensor:
        """Return the weights (2,) of the new and the held samples, which sum to 1."""
        into, bias, out, level = self.network
        return (torch.tanh(statistics @ into + bias) @ out + level).softmax(-1)

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return what the held samples cost, weighted; there are none in the first step."""
        if not len(self.buffer):
            return None
        if not self.network:
            shape = (STATISTICS, self.hidden)
            into = 0.1 * torch.randn(shape, generator=learning.generator)
            self.network = [into, torch.zeros(self.hidden), torch.zeros(self.hidden, 2), torch.zeros(2)]
            self.moments = [torch.zeros_like(w) for w in self.network for _ in range(2)]
        number = step.add(self.draw(learning))
        statistics = torch.cat([_statistics(learning, step, n) for n in (0, number)])
        if learning.steps % self.every == 0:
            self.relate(learning, step, number, statistics)
        new, old = self.weigh(statistics).tolist()
        step.weight *= new
        return old * step.cost(number)

    def relate(self, learning: Learning, step: Step, number: int, statistics: Tensor) -> None:
        """Take a step of the relation network."""
        held = Batch(*self.buffer.draw(len(step.batch.y), learning.generator))
        network = [w.requires_grad_() for w in self.network]
        weights = self.weigh(statistics)
        downhill = slopes(
            learning, [step.cost(n) for n in (0, number)], weights.tolist(), [step.batch, held], self.inner
        )
        (weights * downhill).sum().backward()
        self.turns += 1
        with torch.no_grad():
            for place, w in enumerate(network):
                first, second = self.moments[2 * place : 2 * place + 2]
                gradient = w.grad if w.grad is not None else torch.zeros_like(w)
                first.lerp_(gradient, 0.1)
                second.lerp_(gradient.square(), 0.001)
                mean, square = first / (1 - 0.9**self.turns), second / (1 - 0.999**self.turns)
                w -= self.rate * mean / (square.sqrt() + 1e-8)
        self.network = [w.detach() for w in network]

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held, and the relation network."""
        own = {f"network.{i}": t for i, t in enumerate(self.network)} | {
            f"moments.{i}": t for i, t in enumerate(self.moments)
        }
        return super().tensors() | own | ({"turns": torch.tensor(self.turns)} if own else {})

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        rest = dict(tensors)
        self.turns = int(rest.pop("turns", torch.tensor(0)))
        for kind in ("network", "moments"):
            names = sorted((n for n in rest if n.startswith(kind)), key=lambda n: int(n.split(".")[1]))
            setattr(self, kind, [rest.pop(n).clone() for n in names])
        super().load(learning, rest)


def slopes(learning: Learning, terms: list[Tensor], weights: list[float], asked: list[Batch], inner: float) -> Tensor:
    """Return the derivatives (terms,) by each weight of the summed cost of batches after a step down the weighted terms.

    The step is tried, not made. d/dw_k = -inner * (gradient of the cost after the step) . (gradient of term k).
    """
    trained = learning.weights()
    values = list(trained.values())
    found = [torch.autograd.grad(t, values, retain_graph=True, materialize_grads=True) for t in terms]
    tried = {}
    for place, (name, w) in enumerate(trained.items()):
        down = torch.stack([c * g[place] for c, g in zip(weights, found, strict=True)]).sum(0)
        tried[name] = (w.detach() - inner * down).requires_grad_()
    cost = torch.stack([learning.cost(functional_call(learning.model, tried, (b.x,)), b) for b in asked]).sum()
    after = torch.autograd.grad(cost, list(tried.values()), materialize_grads=True)
    return torch.stack(
        [-inner * torch.stack([(a * g).sum() for a, g in zip(after, of, strict=True)]).sum() for of in found]
    )


def _statistics(learning: Learning, step: Step, number: int) -> Tensor:
    """Return the mean loss of a batch and the mean chance of its most likely class, without gradients."""
    logits = step.logits(number).detach()
    cost = learning.cost(logits, step.batches[number])
    return torch.stack([cost, logits.softmax(-1).amax(-1).mean()]).to(torch.float32)
