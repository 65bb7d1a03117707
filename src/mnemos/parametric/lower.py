"""The layers of a model below a memory: what they compute for a row is computed once, however often the row is trained on.

A memory that acts in the upper layers alone changes nothing below them. So a step of training costs the upper layers, and each
row the lower ones once: with a memory in the upper third, a third of the time.

B rows, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Learned
from mnemos.parametric.tokens import Batch, logits_of


@dataclass
class Lower:
    """The lowest layers of a model, and what they gave for each row so far; all in the memory of the process."""

    model: Any
    layers: int  # how many; 0: nothing is kept
    _known: dict[tuple[int, ...], Tensor] = field(default_factory=dict)  # (T, D) by the tokens of a row

    def checked(self, learned: Learned) -> Lower:
        """Return this; raise InvalidInput for a memory that is not wholly above the layers."""
        if not self.layers:
            return self
        with learned.attach(self.model):
            above = {id(p) for block in self._blocks()[self.layers :] for p in block.parameters()}
        if any(id(p) not in above for p in learned.parameters()):
            raise InvalidInput(
                f"this memory acts below layer {self.layers}: train it with above=0, or make it for layers above, such as an "
                f"Adapter with targets such as 'layers.{self.layers}.mlp.down_proj'."
            )
        return self

    def logits(self, batch: Batch) -> Tensor:
        """Return what `logits_of` does, with the lower layers computed for new rows alone."""
        if not self.layers:
            return logits_of(self.model, batch)
        rows = [tuple(ids[mask.bool()].tolist()) for ids, mask in zip(batch.ids, batch.mask, strict=True)]
        if new := [i for i, row in enumerate(rows) if row not in self._known]:
            few = Batch(*(getattr(batch, name)[new] for name in ("ids", "mask", "targets", "counted")))
            self._compute(few, [rows[i] for i in new])
        hidden = [self._known[row] for row in rows]
        given = torch.stack([nn.functional.pad(each, (0, 0, batch.ids.shape[1] - len(each), 0)) for each in hidden])
        with self._skipped(range(self.layers), given):
            return logits_of(self.model, batch)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _compute(self, batch: Batch, rows: list[tuple[int, ...]]) -> None:
        upper = range(self.layers, len(self._blocks()))
        with self._skipped(upper) as skips:
            logits_of(self.model, batch)
        for row, hidden in zip(rows, skips[0].seen, strict=True):
            self._known[row] = hidden[-len(row) :].clone()

    @contextmanager
    def _skipped(self, which: range, given: Tensor | None = None) -> Iterator[list[_Skip]]:
        """Leave layers out for a block; the last of them gives a tensor that is known, if there is one."""
        blocks = self._blocks()
        own, skips = [blocks[i] for i in which], [_Skip(given if i == which[-1] else None) for i in which]
        try:
            for i, skip in zip(which, skips, strict=True):
                blocks[i] = skip
            yield skips
        finally:
            for i, block in zip(which, own, strict=True):
                blocks[i] = block

    def _blocks(self) -> nn.ModuleList:
        """Return the layers of the model. Raises InvalidInput where there is no list of them, or too few."""
        n = self.model.config.num_hidden_layers
        found = [m for m in self.model.modules() if isinstance(m, nn.ModuleList) and len(m) == n]
        if len(found) != 1 or not self.layers < n:
            raise InvalidInput(
                f"{type(self.model).__name__} has {n} layers, and {len(found)} lists of them: {self.layers} lower ones cannot "
                "be left out of training; give above=0."
            )
        return found[0]


class _Skip(nn.Module):  # type: ignore[misc]
    """Stands for a layer, and returns what it is given, or a tensor that is known."""

    def __init__(self, given: Tensor | None) -> None:
        super().__init__()
        self.given, self.seen = given, torch.empty(0)

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        """Return the hidden states (B, T, D)."""
        self.seen = hidden
        return hidden if self.given is None else self.given
