"""MemGen: latent memory that a weaver makes and a trigger asks for, put into what a frozen language model reads.

B texts   T tokens   D channels   K latents   V vocabulary   r rank
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mnemos.errors import InvalidInput
from mnemos.neural.model import LM, Stack
from mnemos.registry import Paper, register


class Adapted(nn.Module):  # type: ignore[misc]
    """A stack that stays as it is, read with low-rank changes W + B A of its matrices (LoRA, arXiv 2106.09685)."""

    def __init__(self, stack: Stack, rank: int) -> None:
        super().__init__()
        self.held = [stack]  # in a list, so that its weights are no weights of this module
        matrices = [p for p in stack.parameters() if p.dim() == 2]
        self.down = nn.ParameterList(torch.randn(rank, p.shape[1]) * p.shape[1] ** -0.5 for p in matrices)
        self.up = nn.ParameterList(torch.zeros(p.shape[0], rank) for p in matrices)

    def forward(self, *inputs: Any) -> Any:
        """Return what the stack returns with the changed weights."""
        weights = {name: p.detach() for name, p in self.held[0].named_parameters()}
        names = [name for name, p in weights.items() if p.dim() == 2]
        for name, down, up in zip(names, self.down, self.up, strict=True):
            weights[name] = weights[name] + up @ down
        return functional_call(self.held[0], weights, inputs)


@register(
    "woven-memory",
    papers=(
        Paper("MemGen: Weaving Generative Latent Memory for Self-Evolving Agents", "2509.24704", "bingreeky/MemGen"),
    ),
    task="slot-readers",
)
class WovenMemory(nn.Module):  # type: ignore[misc]
    """Puts K latent vectors into a frozen model's input at a delimiter, where a trigger asks for them (arXiv 2509.24704).

    The weaver is a low-rank copy of the model's stack: it reads the hidden states up to the delimiter and K learned queries,
    and what it makes of the queries is projected and read by the model like tokens. The trigger is another copy with a head
    on the delimiter; `loss` trains it by REINFORCE with a price a call. The model is never written to: without a call its
    outputs are bit for bit its own. A call costs a pass over T + K tokens. Departures: the weaver learns by answers alone,
    not by GRPO; the mean reward of the batch is the baseline of REINFORCE.
    """

    def __init__(
        self,
        model: LM,  # frozen: none of its weights is a weight of this memory
        latents: int = 4,  # K
        rank: int = 4,  # r, of both copies
        price: float = 0.1,  # of a call, in rewards of a right answer
    ) -> None:
        super().__init__()
        if latents < 1 or rank < 1 or price < 0:
            raise InvalidInput(f"latents is {latents}, rank {rank}, price {price}: give at least 1, 1 and 0.")
        self.held, self.price, width = [model], price, model.config.width
        self.weaver, self.trigger = Adapted(model.stack, rank), Adapted(model.stack, rank)
        self.queries, self.project = nn.Parameter(torch.randn(latents, width) * 0.5), nn.Linear(width, width)
        self.head = nn.Linear(width, 1)

    def forward(self, tokens: Tensor, use: Tensor | None = None) -> Tensor:
        """Return logits (B, V) of what follows tokens (B, T), which end at a delimiter.

        `use` (B) says of each text whether latents are woven in; the trigger decides without it.
        """
        model = self.held[0]
        use = self.asks(tokens) > 0 if use is None else use
        with torch.no_grad():
            hidden, state = model.stack(model.embed(tokens))
        if not bool(use.any()):
            return model.head(model.norm(hidden[:, -1]))
        woven, _ = model.stack(self.woven(hidden), state, use[:, None].expand(-1, len(self.queries)))
        last = torch.where(use[:, None], woven[:, -1], hidden[:, -1])
        logits: Tensor = model.head(model.norm(last))
        return logits

    def woven(self, hidden: Tensor) -> Tensor:
        """Return latents (B, K, D) for hidden states (B, T, D)."""
        asked = torch.cat([hidden, self.queries.expand(len(hidden), -1, -1)], 1)
        latents: Tensor = self.project(self.weaver(asked)[0][:, -len(self.queries) :])
        return latents

    def asks(self, tokens: Tensor) -> Tensor:
        """Return the log-odds (B) that the trigger asks for latents after tokens (B, T)."""
        with torch.no_grad():
            x = self.held[0].embed(tokens)
        odds: Tensor = self.head(self.trigger(x)[0][:, -1])[:, 0]
        return odds

    def loss(self, tokens: Tensor, answers: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the loss of the trigger: calls are drawn, and those with a better reward than the mean become likelier."""
        odds = self.asks(tokens)
        use = torch.rand(odds.shape, generator=generator) < odds.detach().sigmoid()
        with torch.no_grad():
            reward = (self(tokens, use).argmax(-1) == answers).float() - self.price * use
        logp = nn.functional.logsigmoid(torch.where(use, odds, -odds))
        return -((reward - reward.mean()) * logp).mean()
