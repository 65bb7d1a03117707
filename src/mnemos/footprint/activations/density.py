"""Training so that few numbers of a feed-forward layer are not zero, and a product that reads the weights of those alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "density",
    papers=(
        Paper("From PEFT to DEFT: Parameter Efficient Finetuning for Reducing Activation Density in Transformers", "2402.01911",
              "IBM/DEFT"),
    ),
)  # fmt: skip
@dataclass
class Density:
    """Adds a smooth count of what is not zero after the activations of a model to its loss, of any adapter that is trained.

    A number counts by tanh(sharpness * (|h| - dead)), and not at all within the dead zone: 0 for ReLU, a little for GELU and
    SiLU, whose numbers are never quite 0. `watch` a model, add `weight * loss()` to each step's loss; `share()` is the count
    itself.
    """

    weight: float = 0.1  # of the count in the loss; for the caller
    sharpness: float = 20.0  # how soon a number counts in full
    dead: float = 0.0  # numbers that are not larger count as zero
    layers: str = r"(.*\.)?(act|act_fn|activation|mlp\.1)"  # names of the activations, as a regular expression

    def __post_init__(self) -> None:
        self._seen: list[Tensor] = []

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Note what comes out of the activations inside the context. Raises InvalidInput where no name fits."""
        found = [module for name, module in model.named_modules() if re.fullmatch(self.layers, name)]
        if not found:
            raise InvalidInput(
                f"no module of this model is named like {self.layers}: give the names of its activations."
            )
        handles = [found[0].register_forward_pre_hook(self._forget)]
        handles += [module.register_forward_hook(self._note) for module in found]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._seen = []

    def loss(self) -> Tensor:
        """Return the smooth count of the last forward pass as a share, the mean over layers."""
        return torch.stack(
            [torch.tanh(self.sharpness * (h.abs() - self.dead).clamp(min=0)).mean() for h in self._seen]
        ).mean()

    def share(self) -> float:
        """Return the share of numbers beyond the dead zone in the last forward pass."""
        return float(torch.stack([(h.detach().abs() > self.dead).float().mean() for h in self._seen]).mean())

    def _forget(self, module: nn.Module, args: Any) -> None:
        self._seen = []

    def _note(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self._seen.append(output)


def product_of_nonzero(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return what a linear layer makes of tokens (N, inputs), reading the columns alone whose numbers are not zero."""
    rows = []
    for token in hidden:
        places = token.nonzero().flatten()
        rows.append(weight[:, places] @ token[places])
    said = torch.stack(rows)
    return said if bias is None else said + bias
