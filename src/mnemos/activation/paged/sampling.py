"""The next token from logits: greedy, or drawn by temperature from a nucleus."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True)
class Sampler:
    """Picks tokens for one generation."""

    temperature: float = 0.0  # 0: the likeliest token
    top_p: float = 1.0  # share of the probability that the nucleus has (arXiv 1904.09751)
    seed: int | None = None  # of the draws; None: another one each time
    _generator: torch.Generator | None = field(default=None, repr=False)

    def pick(self, logits: Tensor) -> int:
        """Return a token from logits (V,)."""
        if self.temperature <= 0:
            return int(logits.argmax())
        if self._generator is None:
            self._generator = torch.Generator()
            self._generator.manual_seed(self.seed) if self.seed is not None else self._generator.seed()
        values, order = (logits.cpu().float() / self.temperature).softmax(-1).sort(descending=True)
        before = values.cumsum(-1) - values
        values = values.masked_fill(before >= self.top_p, 0.0)
        values[0] = values[0].clamp_min(torch.finfo(values.dtype).tiny)
        return int(order[torch.multinomial(values, 1, generator=self._generator)])
