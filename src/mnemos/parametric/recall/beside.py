"""Weights beside the feed-forward blocks of a frozen model: what they add is summed to what a block gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Learned

BLOCKS = ("mlp", "feed_forward", "ffn")  # what transformers calls the feed-forward block of a layer


def feed_forwards(model: Any) -> list[nn.Module]:
    """Return the feed-forward block of each layer. Raises InvalidInput for a model that names them otherwise."""
    found = [module for name, module in model.named_modules() if name.rpartition(".")[2] in BLOCKS]
    if not found:
        raise InvalidInput(
            f"{type(model).__name__} has no block called {', '.join(BLOCKS)}: it cannot have a memory beside it."
        )
    return found


def width_of(model: Any) -> int:
    """Return the width of a model's hidden states."""
    return int(model.get_input_embeddings().weight.shape[1])


def layers_at(model: Any, depths: Sequence[float]) -> list[int]:
    """Return the layers at shares of a model's depth: 0 is the first, 1 the last. Raises InvalidInput outside of that."""
    if not depths or not all(0 <= depth <= 1 for depth in depths):
        raise InvalidInput(f"depths are {tuple(depths)}: give shares of the model's depth, from 0 to 1.")
    last = len(feed_forwards(model)) - 1
    return sorted({round(depth * last) for depth in depths})


class Beside(Learned):
    """Weights that add to the output of feed-forward blocks; a subclass says what they add."""

    def __init__(self, layers: Sequence[int], width: int) -> None:
        super().__init__()
        self.layers, self.width = tuple(layers), width
        self._attached = False

    def added(self, at: int, hidden: Tensor) -> Tensor:
        """Return what the memory at `self.layers[at]` adds for the block's input (B, T, D)."""
        raise NotImplementedError

    @contextmanager
    def attach(self, model: Any) -> Iterator[None]:
        """Let the model answer with these weights inside the context; see `Learned.attach`."""
        if self._attached:
            raise InvalidInput("this memory is attached already: detach it first, or load it a second time.")
        blocks = feed_forwards(model)
        if width_of(model) != self.width or max(self.layers) >= len(blocks):
            raise InvalidInput(
                f"the memory is for layers {self.layers} of width {self.width}; this model has {len(blocks)} layers of width "
                f"{width_of(model)}: make a memory for this model."
            )
        with ExitStack() as stack:
            for handle in self._hooks(model, blocks):
                stack.callback(handle.remove)
            self._attached = True
            stack.callback(setattr, self, "_attached", False)
            yield

    def _hooks(self, model: Any, blocks: Sequence[nn.Module]) -> Iterator[Any]:
        for at, layer in enumerate(self.layers):

            def add(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, at: int = at) -> Tensor:
                return output + self.added(at, inputs[0]).to(output.dtype)

            yield blocks[layer].register_forward_hook(add)


def check(tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Raise InvalidInput unless tensors have these names and shapes; -1 is any size."""
    for name in sorted(set(tensors) ^ set(wanted)):
        found = "no" if name in wanted else "a"
        raise InvalidInput(f"the stored weights have {found} tensor {name!r}: they are not of this carrier.")
    for name, shape in wanted.items():
        given = tuple(tensors[name].shape)
        if len(given) != len(shape) or any(w not in (-1, g) for w, g in zip(shape, given, strict=True)):
            raise InvalidInput(
                f"tensor {name!r} is {given}, expected {shape}: it was made with other knobs or another model."
            )
