"""A vector for a text, by which it is found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn.functional import normalize

Embed = Callable[[Tensor], Tensor]  # ids (T,) -> a vector (width,)


def text_vector(model: Any, ids: Tensor, embed: Embed | None = None) -> Tensor:
    """Return the unit vector of a text (T,) by `embed`, or the mean of the model's token embeddings, (width,)."""
    vector = model.get_input_embeddings()(ids).float().mean(0) if embed is None else embed(ids)
    return normalize(vector.float(), dim=0)
