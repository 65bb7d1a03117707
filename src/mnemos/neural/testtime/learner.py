"""A layer whose memory learns while it reads, chunk by chunk, by a rule."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.linear.features import size, taylor
from mnemos.neural.linear.matrix import MatrixMemory
from mnemos.neural.testtime.chunked import NAMES, Told, aligned, chunk_step
from mnemos.neural.testtime.rule import Rule, Weights, answer, orthogonal


class Learner(MatrixMemory):
    """A layer whose memory learns by a `Rule`, chunk by chunk; subclasses say by which rule.

    theta = rate * sigmoid(W x) (1 - eta), alpha and eta sigmoids of the token, keys and queries of length 1 after SiLU. The
    chunked form takes all gradients of a chunk where it began, so the chunk is a part of what is computed: `naive` follows the
    same definition, and with a chunk of 1 it is token by token.
    """

    def __init__(
        self, width: int, rule: Rule, heads: int = 1, key: int | None = None, value: int | None = None, chunk: int = 16,
        inner: int | None = None, degree: int = 1, rate: float | None = None, learned: bool = False,
    ) -> None:  # fmt: skip
        if chunk < 1 or (rate is not None and rate <= 0) or degree not in (1, 2):
            raise InvalidInput(f"chunk is {chunk}, rate {rate}, degree {degree}: give at least 1, above 0, 1 or 2.")
        self.learning, self.degree, self.inner, self.learned = rule, degree, inner, learned
        self.rate = rate if rate is not None else {"matrix": 1.0, "mlp": 0.1}[rule.memory]  # as deep ones move more
        super().__init__(width, heads, key, value, chunk)
        self.cut: int = chunk

    def build(self) -> None:
        """Make the projections to the gates, and the memory at the beginning."""
        heads, rule = self.heads, self.learning
        self.to_gates = nn.Linear(self.width, 5 * heads)
        with torch.no_grad():
            start = {"theta": -1.0, "alpha": -5.0, "eta": -1.0, "gamma": 0.0, "limit": 1.0}
            self.to_gates.bias.copy_(torch.tensor([*start.values()]).repeat_interleave(heads))
        inner = self.inner or 2 * self.key
        shapes = (
            [(self.channels, self.value)] if rule.memory == "matrix" else [(self.channels, inner), (inner, self.value)]
        )
        begin = [torch.randn(heads, i, o) * i**-0.5 for i, o in shapes]
        if self.learned or rule.memory == "mlp":
            self.begin = nn.ParameterList(nn.Parameter(b) for b in begin)
        else:
            self.begin = [torch.zeros(1, i, o) for i, o in shapes]
        self.shapes = shapes

    @property
    def channels(self) -> int:
        """Return the channels of a key as the memory sees it."""
        return self.key if self.degree == 1 else size(self.key)

    def features(self, x: Tensor) -> Tensor:
        """Return SiLU at length 1; with a degree of 2 also all products of two channels, at length 1 again."""
        x = F.normalize(F.silu(x), dim=-1)
        return x if self.degree == 1 else taylor(x) * 2.5**-0.5

    # -- the state

    def init_state(self, batch: int) -> State:
        """Return nothing learned, no momentum, and where the chunk began."""
        weights = [self.zeros(batch, self.heads, i, o) for i, o in self.shapes]
        before = self.learning.window - 1
        window = [self.zeros(batch, self.heads, before, n) for n in (self.channels, self.value, 1, 1)]
        return self.state(weights, [torch.zeros_like(w) for w in weights], weights, self.start(batch), window)

    def start(self, batch: int) -> Tensor:
        """Return the position in the chunk of sequences that have not begun."""
        return torch.zeros(batch, 1, dtype=torch.int64, device=self.out.weight.device)

    def state(self, weights: Weights, momenta: Weights, anchor: Weights, place: Tensor, window: list[Tensor]) -> State:
        """Return the parts of a state that this rule needs."""
        found: State = {}
        for n, (weight, momentum, began) in enumerate(zip(weights, momenta, anchor, strict=True)):
            found[f"memory{n}"] = weight
            if self.learning.optimiser != "gradient":
                found[f"momentum{n}"] = momentum
            if self.cut > 1:
                found[f"anchor{n}"] = began
        if self.cut > 1:
            found["place"] = place
        if self.learning.window > 1:
            found |= dict(zip(("k", "v", "gamma", "limit"), window, strict=True))
        return found

    def started(self, like: Tensor) -> Weights:
        """Return the weights at the beginning, in the precision of a state."""
        return [b.to(like) for b in self.begin]

    def opened(self, state: State) -> tuple[Weights, Weights, Weights, Tensor]:
        """Return weights, momenta, the weights where the chunk began, and the position in it."""
        count, batch = len(self.shapes), len(state["memory0"])
        weights = [state[f"memory{n}"] for n in range(count)]
        momenta = [state.get(f"momentum{n}", torch.zeros_like(w)) for n, w in enumerate(weights)]
        anchor = [state.get(f"anchor{n}", w) for n, w in enumerate(weights)]
        return weights, momenta, anchor, state["place"] if "place" in state else self.start(batch)

    # -- the forms

    def told(self, x: Tensor, state: State, mask: Tensor | None) -> Told:
        """Return what tokens say, after the tokens of the window that the state holds."""
        q, k = (self.features(self.split(to(x))) for to in (self.to_q, self.to_k))
        gates = self.to_gates(x).unflatten(2, (5, self.heads)).permute(2, 0, 3, 1)[..., None]  # (5, B, H, T, 1)
        theta, alpha, eta, gamma, limit = gates.unbind()
        real = torch.ones_like(theta) if mask is None else mask[:, None, :, None].to(theta.dtype).expand_as(theta)
        keep = F.logsigmoid(-alpha) if self.learning.forget else torch.zeros_like(alpha)
        told = Told(
            q, k, self.split(self.to_v(x)), self.pace(theta, eta) * real, gamma.sigmoid() * real, F.softplus(limit),
            keep * real, F.logsigmoid(eta) * real, real,
        )  # fmt: skip
        before, found = self.learning.window - 1, {}
        for name in NAMES:
            new = getattr(told, name).to(state["memory0"].dtype)
            if before:
                old = state.get(name)
                new = F.pad(new, (0, 0, before, 0)) if old is None else torch.cat([old, new], 2)
            found[name] = new
        return Told(**found)

    def pace(self, theta: Tensor, eta: Tensor) -> Tensor:
        """Return theta: at most the rate, less as momentum lasts and as windows are longer: steps are as long in all."""
        rule = self.learning
        if rule.optimiser == "muon":
            return self.rate * theta.sigmoid()  # its steps have a length of their own
        shorter = (-eta).sigmoid() if rule.optimiser == "momentum" else 1.0
        return self.rate / rule.window * theta.sigmoid() * shorter

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Learn and read chunk by chunk."""
        (weights, momenta, anchor, place), told = self.opened(state), self.told(x, state, mask)
        before, T, C = self.learning.window - 1, x.shape[1], self.cut if x.shape[1] > 1 else 1
        seen = torch.full((len(x), 1), T, device=x.device) if mask is None else mask.sum(1, keepdim=True)
        shift = place if C > 1 else torch.zeros_like(place)
        count = -(-(T + C - 1) // C)
        begin = self.started(weights[0])
        moved, out = aligned(told, shift, before + count * C), []
        for n in range(count):
            if n:  # a chunk that begins here, in the sequences that reach it
                reached = _wide(n * C < shift + seen)
                anchor = [torch.where(reached, w, a) for w, a in zip(weights, anchor, strict=True)]
            part = Told(*(getattr(moved, name)[:, :, n * C : (n + 1) * C + before] for name in NAMES))
            y, weights, momenta = chunk_step(self.learning, part, before, begin, anchor, weights, momenta)
            out.append(y)
        back = (shift + torch.arange(T, device=x.device))[:, None, :, None]
        reads = torch.cat(out, 2)
        reads = reads.gather(2, back.expand(-1, self.heads, -1, self.value))
        place = (place + seen) % self.cut
        anchor = [torch.where(_wide(place == 0), w, a) for w, a in zip(weights, anchor, strict=True)]
        return self.answer(reads, x), self.state(weights, momenta, anchor, place, self.kept(told, seen))

    def kept(self, told: Told, read: Tensor) -> list[Tensor]:
        """Return the last tokens that were read, as the window's next ones will see them."""
        places = (read + torch.arange(self.learning.window - 1, device=read.device))[:, None, :, None]
        parts = (told.k, told.v, told.gamma, told.limit)
        return [t.gather(2, places.expand(-1, self.heads, -1, t.shape[3])) for t in parts]

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take the gradient of the loss itself, token by token."""
        (weights, momenta, anchor, place), told = self.opened(state), self.told(x, state, None)
        rule, c, out = self.learning, self.learning.window, []

        begin = self.started(weights[0])

        def slopes(i: int) -> Weights:
            keep = told.log_keep[:, :, i, :, None].exp()
            held = [keep * w if rule.faded else w for w in rule.held(anchor, begin)]
            with torch.enable_grad():
                held = [w if w.requires_grad else w.clone().requires_grad_() for w in held]
                read = answer(held, told.k[:, :, i, None])[:, :, 0]
                loss = rule.penalty(read, told.v[:, :, i], told.limit[:, :, i]).sum()
                return list(torch.autograd.grad(loss, held, create_graph=True))

        for t in range(c - 1, c - 1 + x.shape[1]):
            total = [torch.zeros_like(w) for w in weights]
            for i in range(t - c + 1, t + 1):
                part = torch.ones_like(told.gamma[:, :, i]) if i == t else told.gamma[:, :, i]
                total = [g + part[..., None] * s for g, s in zip(total, slopes(i), strict=True)]
            theta, eta, keep = (p[:, :, t, :, None] for p in (told.theta, told.log_eta.exp(), told.log_keep.exp()))
            if rule.optimiser == "muon":
                momenta = [eta * m - g for m, g in zip(momenta, total, strict=True)]
                weights = [keep * w + theta * orthogonal(m) for w, m in zip(weights, momenta, strict=True)]
            else:
                eta = 0 * eta if rule.optimiser == "gradient" else eta
                momenta = [eta * m - theta * g for m, g in zip(momenta, total, strict=True)]
                weights = [keep * w + m for w, m in zip(weights, momenta, strict=True)]
            out.append(answer(rule.held(weights, begin), told.q[:, :, t, None]))
            place = (place + 1) % self.cut
            anchor = [torch.where(_wide(place == 0), w, a) for w, a in zip(weights, anchor, strict=True)]
        window = self.kept(told, torch.full((len(x), 1), x.shape[1], device=x.device))
        return self.answer(torch.cat(out, 2), x), self.state(weights, momenta, anchor, place, window)


def _wide(flags: Tensor) -> Tensor:
    return flags[:, :, None, None]
