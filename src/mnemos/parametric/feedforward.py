"""The feed-forward blocks of a decoder: in which matrices facts are stored, and what their neurons are.

D width of the model, N neurons of a block. GPT-2 and its kin: up, activation, down. Llama and its kin: up times an
activated gate, down. Others are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mnemos.errors import InvalidInput

DOWN = ("down_proj", "c_proj", "fc2", "dense_4h_to_h", "fc_out", "w2")
UP = ("up_proj", "gate_proj", "c_fc", "fc1", "dense_h_to_4h", "fc_in", "w1", "w3")
GATE = ("act_fn", "act")


@dataclass(frozen=True, slots=True)
class Matrix:
    """One matrix of a model, seen as (out, in) whichever way its layer stores it."""

    name: str  # of its parameter
    module: nn.Module  # y = x W^T
    turned: bool  # stored as (in, out), as Conv1D of GPT-2 does

    @property
    def weight(self) -> Tensor:
        """A view of the weights, (out, in)."""
        stored: Tensor = self.module.weight.detach()
        return stored.T if self.turned else stored


@dataclass(frozen=True, slots=True)
class Block:
    """A feed-forward block."""

    layer: nn.Module  # the decoder layer that it is in
    ups: tuple[Matrix, ...]  # (N, D)
    down: Matrix  # (D, N): reads the neurons
    gate: nn.Module | None  # the activation, whose output says how much each neuron takes part

    @property
    def neurons(self) -> int:
        """The number of neurons."""
        return int(self.down.weight.shape[1])


def feed_forward_blocks(model: Any) -> list[Block]:
    """Return the feed-forward blocks of a model, lowest layer first. Raises InvalidInput where it finds none."""
    modules = dict(model.named_modules())
    found = []
    for name, module in modules.items():
        home, _, last = name.rpartition(".")
        siblings = dict(modules[home].named_children()) if last in DOWN else {}
        ups = [key for key in UP if key in siblings]
        if not ups:
            continue  # the output projection of GPT-2's attention has a name of DOWN, too
        gate = next((siblings[key] for key in GATE if key in siblings), None)
        matrices = tuple(_matrix(f"{home}.{key}", siblings[key]) for key in ups)
        found.append(Block(modules[home.rpartition(".")[0]], matrices, _matrix(name, module), gate))
    if not found:
        raise InvalidInput(
            f"{type(model).__name__} has no feed-forward blocks as GPT-2 or Llama have them: this method cannot change it."
        )
    return found


def _matrix(name: str, module: nn.Module) -> Matrix:
    return Matrix(f"{name}.weight", module, type(module).__name__ == "Conv1D")


def chosen_blocks(model: Any, layers: tuple[int, ...]) -> list[Block]:
    """Return the blocks of some layers, or of all where none is named; -1 is the last one. Raises InvalidInput."""
    blocks = feed_forward_blocks(model)
    if bad := [layer for layer in layers if not -len(blocks) <= layer < len(blocks)]:
        raise InvalidInput(f"layer {bad[0]} is not one of the {len(blocks)} layers of this model.")
    return [blocks[layer] for layer in layers] if layers else blocks


def middle(model: Any) -> int:
    """Return the layer in the middle of a model, the lower one of two; what it writes can still be read by others."""
    return (len(feed_forward_blocks(model)) - 1) // 2


@contextmanager
def inputs_of(module: nn.Module, read: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Call `read` with what a layer reads (B, T, in) in each call of the block; what it returns is read instead."""
    handle = module.register_forward_pre_hook(
        lambda _, args: None if (new := read(args[0])) is None else (new, *args[1:])
    )
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def outputs_of(module: nn.Module, read: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Call `read` with what a layer returns (B, T, out) in each call of the block; what it returns is used instead."""

    def hook(_: nn.Module, args: Any, output: Any) -> Any:
        first = output[0] if isinstance(output, tuple) else output
        new = read(first)
        if new is None:
            return None
        return (new, *output[1:]) if isinstance(output, tuple) else new

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
