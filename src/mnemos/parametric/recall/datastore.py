"""kNN-LM (arXiv 1911.00172): next tokens by the nearest hidden states of a corpus."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

ROWS = 256  # queries compared with all keys at a time


@register(
    "knn-lm",
    papers=(
        Paper("Generalization through Memorization: Nearest Neighbor Language Models", "1911.00172", "urvashik/knnlm"),
    ),
    task="a private corpus",
)
class Datastore:
    """Datastore of hidden states with the tokens that followed them; the nearest ones say what may follow.

    Exact: one look-up compares all keys, and costs time and bytes in proportion to the corpus. `mlp-memory` is what it can be
    distilled into.
    """

    def __init__(
        self,
        keys: Tensor,  # (n, D), hidden states of a corpus
        tokens: Tensor,  # (n,), the token that followed each
        vocabulary: int,  # V
        k: int = 16,  # neighbours that take part
        temperature: float | None = None,  # of squared distances; None is the mean one to the nearest neighbour
    ) -> None:
        if len(keys) != len(tokens) or len(keys) <= k:
            raise InvalidInput(
                f"{len(keys)} keys, {len(tokens)} tokens and k of {k}: give a token for each of more than k keys."
            )
        self.keys, self.tokens, self.vocabulary, self.k = keys.float(), tokens, vocabulary, k
        if temperature is None:
            sample = keys[:: max(1, len(keys) // 512)].float()
            temperature = float(torch.cdist(sample, self.keys).square().topk(2, largest=False).values[:, 1].mean())
        self.temperature = max(temperature, 1e-6)

    def log_probabilities(self, hidden: Tensor, leave_out_nearest: bool = False) -> Tensor:
        """Return the logarithms of the next token's chances (m, V) for hidden states (m, D).

        A token that no neighbour has gets a chance of 1e-9. With `leave_out_nearest` the nearest key does not count: for
        hidden states that are keys themselves.
        """
        skip = int(leave_out_nearest)
        parts = []
        for part in hidden.float().split(ROWS):
            near = torch.cdist(part, self.keys).square().topk(self.k + skip, largest=False)
            weights = (-near.values[:, skip:] / self.temperature).softmax(-1)
            chances = torch.zeros(len(part), self.vocabulary)
            parts.append(chances.scatter_add_(1, self.tokens[near.indices[:, skip:]], weights))
        return torch.cat(parts).clamp_min(1e-9).log()

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored."""
        return {"keys": self.keys, "tokens": self.tokens, "temperature": torch.tensor(self.temperature)}

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], vocabulary: int, k: int = 16) -> Datastore:
        """Return the datastore that `tensors` describe."""
        return cls(tensors["keys"], tensors["tokens"], vocabulary, k, float(tensors["temperature"]))

    @property
    def nbytes(self) -> int:
        """Bytes of what has to be stored."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())
