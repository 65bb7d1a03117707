"""The tensor brain: triples of subject, predicate and object, decoded from what an instant or a meaning activates.

E entities   P predicates   T instants   D channels of the representation layer q   a_k embedding of an index k
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "tensor-brain",
    papers=(Paper("The Tensor Brain: Semantic Decoding for Perception and Memory", "2001.11027"),),
    task="associative",
)
class TensorBrain(nn.Module):  # type: ignore[misc]
    """Keeps triples with their instants in embeddings of indices, and decodes subject, predicate and object one after the other.

    Each index k has an embedding a_k, used both to activate the representation q and to be read from it: p(k) = softmax_k(a_k q).
    q = a_t for the subject; then q is what the layer makes of the instant and the subject, then of both and the predicate, which
    working memory holds meanwhile (arXiv 2001.11027). Without an instant, q begins with the embedding of no instant: semantic
    memory, which `loss` teaches by leaving instants out. With `shared=False` an
    entity has one embedding as a subject and another as an object, and others to be read by.
    Costs O(D (E + P + D)) a triple. Departure: the sensory layer is left out.
    """

    def __init__(
        self,
        entities: int,  # E
        predicates: int,  # P
        instants: int,  # T
        width: int = 32,  # D
        shared: bool = True,  # one embedding for an index, wherever it stands
    ) -> None:
        super().__init__()
        if min(entities, predicates, instants, width) < 1:
            raise InvalidInput("entities, predicates, instants or width are below 1: give at least 1 of each.")
        self.entities, self.predicates, self.instants = entities, predicates, instants
        roles = {"subject": entities, "predicate": predicates, "object": entities, "instant": instants + 1}
        self.embed = nn.ModuleDict({role: nn.Embedding(n, width) for role, n in roles.items()})
        if shared:
            self.embed["object"] = self.embed["subject"]
            self.read_by = self.embed
        else:
            self.read_by = nn.ModuleDict(
                {role: nn.Embedding(n, width) for role, n in roles.items() if role != "instant"}
            )
        for table in {*self.embed.values(), *self.read_by.values()}:
            nn.init.normal_(table.weight, std=width**-0.25 / 2)
        self.mix = nn.ModuleDict({role: nn.Linear(n * width, width) for role, n in (("predicate", 2), ("object", 3))})
        self.out = nn.ModuleDict({role: nn.Linear(width, width) for role in ("subject", "predicate", "object")})

    def activate(self, role: str, *held: Tensor) -> Tensor:
        """Return logits over the indices of a role, for embeddings (B, D) that working memory holds."""
        q = held[0] if role == "subject" else torch.tanh(self.mix[role](torch.cat(held, -1)))
        q = q + self.out[role](torch.relu(q))
        logits: Tensor = q @ self.read_by[role].weight.T
        return logits

    def forward(self, instant: Tensor, subject: Tensor, predicate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits of subject, predicate and object, each given those before it; an instant T means none."""
        t, s, p = self.embed["instant"](instant), self.embed["subject"](subject), self.embed["predicate"](predicate)
        return self.activate("subject", t), self.activate("predicate", t, s), self.activate("object", t, s, p)

    def loss(self, triples: Tensor, without: Tensor) -> Tensor:
        """Return the mean loss in nats of triples (B, 4) of subject, predicate, object and instant; some without the instant."""
        subject, predicate, obj, instant = triples.unbind(-1)
        instant = torch.where(without, self.instants, instant)
        logits = self(instant, subject, predicate)
        parts = [nn.functional.cross_entropy(x, y) for x, y in zip(logits, (subject, predicate, obj), strict=True)]
        return torch.stack(parts).sum()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def episode(self, instant: int, count: int) -> Tensor:
        """Return the `count` likeliest triples (count, 3) of an instant, by a search over all subjects and predicates."""
        s = torch.arange(self.entities).repeat_interleave(self.predicates)
        p = torch.arange(self.predicates).repeat(self.entities)
        first, second, third = (x.log_softmax(-1) for x in self(torch.full_like(s, instant), s, p))
        scores = first.gather(1, s[:, None]) + second.gather(1, p[:, None]) + third  # (S P, E)
        best = scores.flatten().topk(count).indices
        pair = best // self.entities
        return torch.stack([s[pair], p[pair], best % self.entities], 1)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def objects(self, subject: Tensor, predicate: Tensor) -> Tensor:
        """Return p(o | s, p) over all instants, (B, E)."""
        instant = torch.full_like(subject, self.instants)
        return self(instant, subject, predicate)[2].softmax(-1)
