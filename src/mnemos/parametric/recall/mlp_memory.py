"""MLP memory (arXiv 2508.01832): a datastore of hidden states distilled into an MLP of constant cost."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemos.errors import InvalidInput
from mnemos.parametric.recall.datastore import Datastore
from mnemos.registry import Paper, register

DEPTH = 0.7  # of the layer whose output is read, as a share of the model's layers (section 3 of the paper)


@register(
    "mlp-memory",
    papers=(
        Paper(
            "MLP Memory: Language Modeling with Retriever-pretrained External Memory",
            "2508.01832",
            "LUMIA-Group/MLPMemory",
        ),
    ),
    task="a private corpus",
    baselines=("knn-lm",),
)
class MLPMemory(nn.Module):  # type: ignore[misc]
    """MLP from hidden states to the next token, trained to say what the nearest neighbours of a datastore say.

    It reads the hidden state at some 70 % of the model's depth, beside the layers that are left, and is mixed with what
    the model says (`mixed`). Bytes and time do not depend on how much was distilled.
    """

    def __init__(
        self,
        width: int,  # D, of the hidden states
        vocabulary: int,  # V
        inner: int = 128,  # hidden units of a block
        blocks: int = 2,  # one after the other, each added to its input
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
            for _ in range(blocks)
        )
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """Return the logarithms of the next token's chances (m, V) for hidden states (m, D)."""
        x = self.norm(hidden)
        for block in self.blocks:
            x = x + block(x)
        logs: Tensor = self.head(self.last(x)).log_softmax(-1)
        return logs

    def distil(
        self,
        store: Datastore,
        share: float = 0.5,  # alpha: of the divergence from the neighbours; what is left is cross-entropy
        steps: int = 500,
        batch: int = 256,
        rate: float = 2e-3,
        seed: int = 0,
    ) -> float:
        """Train on the entries of a datastore and return the last loss; the neighbours of an entry are the others."""
        if not 0 <= share <= 1:
            raise InvalidInput(f"share is {share}: give 0 (cross-entropy alone) to 1 (neighbours alone).")
        made = torch.Generator().manual_seed(seed)
        wanted = store.log_probabilities(store.keys, leave_out_nearest=True).exp() if share else None
        optimizer = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=0.01)
        loss = torch.tensor(math.nan)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 20) * (1 - step / steps)
            rows = torch.randint(len(store.keys), (batch,), generator=made)
            said = self.log_probabilities(store.keys[rows])
            loss = (1 - share) * functional.nll_loss(said, store.tokens[rows])
            if wanted is not None:
                loss = loss + share * functional.kl_div(said, wanted[rows], reduction="batchmean")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored."""
        return {name: tensor.detach().contiguous() for name, tensor in self.state_dict().items()}

    @property
    def nbytes(self) -> int:
        """Bytes of what has to be stored."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())


def mixed(model: Tensor, memory: Tensor, share: float = 0.25) -> Tensor:
    """Return the logarithms of chances, of which the memory has a share: log (share * memory + (1 - share) * model)."""
    if not 0 <= share <= 1:
        raise InvalidInput(f"share is {share}: give a number from 0 to 1.")
    if share in (0.0, 1.0):
        return memory if share else model
    return torch.logaddexp(memory + math.log(share), model + math.log1p(-share))
