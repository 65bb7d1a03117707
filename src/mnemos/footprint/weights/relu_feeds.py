"""Feed-forward layers of ReLU: where a model has them, and what they are given.

D width of the model, n neurons of a layer, N tokens. A neuron is a row of the first map (and of the gate, where there is one)
and a column of the second. It is active where the row that ReLU is taken of gives more than 0; elsewhere it adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

GATED, PLAIN = {"gate_proj", "up_proj", "down_proj", "act_fn"}, {"up_proj", "down_proj", "act_fn"}


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed-forward layer: `down(relu(first(x)))`, or `down(relu(first(x)) * value(x))`."""

    module: nn.Module
    first: nn.Linear  # whose output ReLU is taken of
    value: nn.Linear | None
    down: nn.Linear

    @property
    def nbytes(self) -> int:
        """Bytes of its weights."""
        return sum(p.nbytes for p in self.module.parameters())


def find(model: nn.Module) -> dict[str, Feed]:
    """Return the feed-forward layers of ReLU by the names of their modules.

    They are `nn.Sequential(Linear, ReLU, Linear)`, and those of transformers whose modules are named `up_proj`, `down_proj`,
    `act_fn` and maybe `gate_proj` (Llama and its kin with `hidden_act="relu"`).
    """
    feeds = {name: _feed(module) for name, module in model.named_modules()}
    return {name: feed for name, feed in feeds.items() if feed is not None}


def recorded(model: nn.Module, run: Callable[[], object], most: int = 4096) -> dict[str, Tensor]:
    """Return what each layer is given (N, D) while a model runs, up to `most` tokens: what predictors learn from."""
    found: dict[str, list[Tensor]] = {name: [] for name in find(model)}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def before(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            room = most - sum(len(x) for x in found[name])
            found[name].append(given[0].detach().flatten(0, -2)[:room].clone())

        return before

    hooks = [feed.module.register_forward_pre_hook(keep(name)) for name, feed in find(model).items()]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(inputs) for name, inputs in found.items()}


def _feed(module: nn.Module) -> Feed | None:
    if isinstance(module, nn.Sequential):
        kinds = [type(child) for child in module]
        return Feed(module, module[0], None, module[2]) if kinds == [nn.Linear, nn.ReLU, nn.Linear] else None
    children = dict(module.named_children())
    if children.keys() not in (GATED, PLAIN) or not isinstance(children["act_fn"], nn.ReLU):
        return None
    gate, up, down = children.get("gate_proj"), children["up_proj"], children["down_proj"]
    if not all(isinstance(linear, nn.Linear) for linear in (up, down, gate or up)):
        return None
    return Feed(module, up, None, down) if gate is None else Feed(module, gate, up, down)
