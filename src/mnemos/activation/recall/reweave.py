"""Contextual Memory Reweaving: states of several layers, kept of what left the window, woven back in by a learned gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "reweave",
    papers=(
        Paper(
            "Contextual Memory Reweaving in Large Language Models Using Layered Latent State Reconstruction",
            "2502.02046",
        ),
    ),
)
class Reweave(nn.Module):  # type: ignore[misc]
    """Trains a reader of a frozen model's states of past segments, which adds what it finds to one layer's output.

    A buffer holds what the `layers` gave for the tokens of segments before. When the layer `into` has run, its state h
    asks all of them: r = sum of softmax(W_q h · W_k s) W_v s over layer and token, and h + sigmoid(g(h)) r goes on. The
    paper has no formula and no code that could be followed; this design is ours, and so are its figures.

    `forward` reads a segment and then puts its states into the buffer; `clear` begins another text. Raises InvalidInput
    for models that are not laid out as Llama is.
    """

    def __init__(
        self,
        model: Any,  # frozen, laid out as Llama is
        layers: tuple[int, ...],  # whose outputs are kept; -1 is the last
        into: int = 0,  # the layer to whose output the memory is added
        width: int = 32,  # of a query
        size: int = 4096,  # tokens whose states are kept
    ) -> None:
        super().__init__()
        parts = dict(getattr(model, "model", nn.Module()).named_children())
        count = len(parts.get("layers", ()))
        if not count or not layers or not all(-count <= i < count for i in (*layers, into)):
            raise InvalidInput(
                f"{type(model).__name__} has {count} layers laid out as Llama's: choose `layers` and `into` among them."
            )
        self.model = (model,)  # in a tuple: not a part of this module
        self.kept, self.into, self.size = sorted({i % count for i in layers}), into % count, size
        wide = model.config.hidden_size
        self.query, self.key = nn.Linear(wide, width, bias=False), nn.Linear(wide, width, bias=False)
        self.value = nn.Linear(wide, wide, bias=False)
        self.of_layer = nn.Parameter(torch.zeros(len(self.kept), width))  # tells the states of layers apart
        self.gate = nn.Linear(wide, 1)
        self.norm = nn.LayerNorm(wide, elementwise_affine=False)
        self.states: Tensor | None = None  # (B, n, len(kept), wide)

    def clear(self) -> None:
        """Forget what was read: another text begins."""
        self.states = None

    def forward(self, ids: Tensor, recall: bool = True) -> Tensor:
        """Return the logits (B, T, V) of a segment, and keep its states; without `recall` nothing is woven in."""
        model: Any = self.model[0]
        found: dict[int, Tensor] = {}
        with self._hooked(found, recall and self.states is not None):
            logits: Tensor = model(ids, use_cache=False).logits
        new = self.norm(torch.stack([found[i].detach() for i in self.kept], 2))
        self.states = new if self.states is None else torch.cat((self.states, new), 1)[:, -self.size :]
        return logits

    def recalled(self, state: Tensor) -> Tensor:
        """Return what states (B, T, wide) find in the buffer, through the gate, (B, T, wide); O(T n layers width)."""
        assert self.states is not None
        keys = (self.key(self.states) + self.of_layer).flatten(1, 2)
        logits = self.query(self.norm(state)) @ keys.transpose(1, 2) / keys.shape[2] ** 0.5
        woven = logits.softmax(-1) @ self.value(self.states).flatten(1, 2)
        return torch.sigmoid(self.gate(self.norm(state))) * woven

    @contextmanager
    def _hooked(self, found: dict[int, Tensor], recall: bool) -> Iterator[None]:
        """Note what layers give, and add to the output of `into`; afterwards the model is as before."""
        hooks = []
        for index, layer in enumerate(self.model[0].model.layers):

            def after(module: Any, args: Any, output: Any, index: int = index) -> Any:
                state = output[0] if isinstance(output, tuple) else output
                found[index] = state
                if not (recall and index == self.into):
                    return None
                woven = state + self.recalled(state)
                return (woven, *output[1:]) if isinstance(output, tuple) else woven

            if index in (*self.kept, self.into):
                hooks.append(layer.register_forward_hook(after))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
