"""Models of any sequence of mixers: a stack of blocks, and a language model around it.

    B sequences   T tokens   D channels   vocabulary tokens

A stack is a mixer itself: its state is that of all its layers, by name, so a model's memory of a text is stored, moved and
gone on with like a layer's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.convolution import GatedConvolution
from mnemos.registry import get

Layer = str | tuple[str, Mapping[str, Any]] | Mixer  # a name of the registry, with options if wanted, or a layer


class Stack(Mixer):
    """Layers above each other, each on the normed sum of those below: a short convolution, a mixer, a feed-forward layer."""

    def __init__(
        self,
        width: int,  # D
        mixers: Sequence[Layer],  # of the blocks, from the first to the last
        kernel: int = 3,  # of the gated convolution before each mixer; 0 leaves it out
        expand: float = 0,  # width of the feed-forward layer after each mixer, in D; 0 leaves it out
    ) -> None:
        super().__init__(width)
        if not mixers:
            raise InvalidInput("there are no mixers: name at least one, such as 'delta-net'.")
        self.layers, self.feeds = nn.ModuleList(), nn.ModuleList()
        for layer in mixers:
            if kernel:
                self.add(GatedConvolution(width, kernel), 0)
            self.add(mixer(layer, width), expand)

    def add(self, layer: Mixer, expand: float) -> None:
        """Put a layer on top."""
        self.layers.append(nn.ModuleDict({"norm": nn.RMSNorm(self.width), "mixer": layer}))
        self.feeds.append(FeedForward(self.width, int(expand * self.width)) if expand else nn.Identity())

    def init_state(self, batch: int) -> State:
        """Return the states of all layers, each name with the place of its layer before it."""
        return self.joined([layer["mixer"].init_state(batch) for layer in self.layers])

    def state_size(self, length: int = 0) -> int:
        """Return the sum over the layers."""
        return sum(layer["mixer"].state_size(length) for layer in self.layers)

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Go through the layers in their fast forms."""
        return self.through(x, state, lambda layer, x, state: layer.mix(x, state, mask))

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Go through the layers by their formulas."""
        return self.through(x, state, lambda layer, x, state: layer.naive(x, state))

    def through(
        self, x: Tensor, state: State, run: Callable[[Mixer, Tensor, State], tuple[Tensor, State]]
    ) -> tuple[Tensor, State]:
        """Go through the layers, each in the form that `run` calls."""
        states = []
        for place, (layer, feed) in enumerate(zip(self.layers, self.feeds, strict=True)):
            y, after = run(layer["mixer"], layer["norm"](x), self.of(state, place))
            x = x + y
            if not isinstance(feed, nn.Identity):
                x = x + feed(x)
            states.append(after)
        return x, self.joined(states)

    @staticmethod
    def joined(states: Sequence[State]) -> State:
        """Return one state for those of the layers."""
        return {f"{place}.{name}": tensor for place, state in enumerate(states) for name, tensor in state.items()}

    @staticmethod
    def of(state: State, place: int) -> State:
        """Return the state of one layer."""
        return {name.partition(".")[2]: t for name, t in state.items() if name.partition(".")[0] == str(place)}


class FeedForward(nn.Module):  # type: ignore[misc]
    """A gated feed-forward layer on normed tokens (SwiGLU, arXiv 2002.05202)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm, self.enter = nn.RMSNorm(width), nn.Linear(width, 2 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added to tokens (B, T, D)."""
        gate, value = self.enter(self.norm(x)).chunk(2, -1)
        added: Tensor = self.out(F.silu(gate) * value)
        return added


@dataclass(frozen=True, slots=True)
class Config:
    """What a language model is made of; stored beside its weights as JSON."""

    vocabulary: int
    width: int
    mixers: tuple[str | tuple[str, Mapping[str, Any]], ...]
    kernel: int
    expand: float
    tied: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


class LM(nn.Module):  # type: ignore[misc]
    """A language model: tokens to a stack of mixers to the logits of what may follow.

    `LM(256, mixers=["delta-net", ("attention", {"window": 16})])` is a hybrid of two layers.
    """

    def __init__(
        self,
        vocabulary: int,  # different tokens
        width: int = 64,  # D
        mixers: Sequence[Layer] = ("delta-net", "delta-net"),  # of the blocks, from the first to the last
        kernel: int = 3,  # of the gated convolution before each mixer; 0 leaves it out
        expand: float = 0,  # width of the feed-forward layer after each mixer, in D; 0 leaves it out
        tied: bool = True,  # whether the tokens that go in are those that come out
    ) -> None:
        super().__init__()
        made = tuple(type(m).__qualname__ if isinstance(m, Mixer) else m for m in mixers)
        self.config = Config(vocabulary, width, made, kernel, expand, tied)
        self.embed = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embed.weight, std=0.02 if tied else 1.0)
        self.stack, self.norm = Stack(width, mixers, kernel, expand), nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor, state: State | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """Return logits (B, T, vocabulary) of what follows each token of (B, T), and the state after the last one."""
        x, state = self.stack(self.embed(tokens), state, mask)
        return self.head(self.norm(x)), state

    def init_state(self, batch: int) -> State:
        """Return the state of sequences that have not begun."""
        return self.stack.init_state(batch)

    def state_size(self, length: int = 0) -> int:
        """Return the numbers that the state of one sequence holds after `length` tokens."""
        return self.stack.state_size(length)

    def save(self, folder: Path) -> None:
        """Write the configuration and the weights to a folder: JSON and safetensors, no pickle."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: p.detach().contiguous() for name, p in self.named_parameters()}  # tied ones once
        save_file(weights | dict(self.named_buffers()), folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(self.config.to_dict(), indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> LM:
        """Read what `save` wrote.

        Raises NotFound for layers that are not registered (those that were given as objects), and InvalidInput where the
        weights are not those of the configuration.
        """
        from safetensors.torch import load_file

        given = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        given["mixers"] = [m if isinstance(m, str) else tuple(m) for m in given["mixers"]]
        model = cls(**given)
        weights = load_file(folder / "model.safetensors")
        expected = dict(model.named_parameters()) | dict(model.named_buffers())
        if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in expected.items()}:
            raise InvalidInput(f"the weights in {folder} are not those of its config.json: save the model again.")
        model.load_state_dict(weights, strict=False)  # a tied head is not written twice
        return model

    def generate(
        self, tokens: Tensor, count: int, state: State | None = None, temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, State]:  # fmt: skip
        """Return `count` tokens (B, count) that follow (B, T), and the state after them; costs one step a token.

        `state` is what the model has read before. A temperature of 0 takes the likeliest token.
        """
        if count < 1 or temperature < 0:
            raise InvalidInput(f"count is {count}, temperature {temperature}: give at least 1 token, and at least 0.")
        said = []
        with torch.no_grad():
            logits, state = self(tokens, state)
            for _ in range(count):
                if temperature:
                    chances = (logits[:, -1] / temperature).softmax(-1)
                    token = chances.multinomial(1, generator=generator)
                else:
                    token = logits[:, -1:].argmax(-1)
                said.append(token)
                logits, state = self(token, state)
        return torch.cat(said, 1), state


class Network(nn.Module):  # type: ignore[misc]
    """Real or one-hot inputs (B, T, inputs) to outputs (B, T, outputs), through a stack of mixers."""

    def __init__(
        self,
        inputs: int,  # channels of an input
        outputs: int,  # channels of an output
        width: int = 64,  # D
        mixers: Sequence[Layer] = ("delta-net",),  # of the blocks, from the first to the last
        kernel: int = 0,  # of the gated convolution before each mixer; 0 leaves it out
        expand: float = 2,  # width of the feed-forward layer after each mixer, in D; 0 leaves it out
    ) -> None:
        super().__init__()
        self.enter, self.out = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.stack, self.norm = Stack(width, mixers, kernel, expand), nn.RMSNorm(width)

    def forward(self, x: Tensor, state: State | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """Return outputs (B, T, outputs) and the state after the last input."""
        y, state = self.stack(self.enter(x), state, mask)
        return self.out(self.norm(y)), state


def mixer(layer: Layer, width: int) -> Mixer:
    """Return a new layer of a width. Raises NotFound for an unknown name, InvalidInput for options it does not have."""
    if isinstance(layer, Mixer):
        if layer.width != width:
            raise InvalidInput(f"a layer has width {layer.width} and the stack {width}: make them equal.")
        return layer
    name, options = (layer, {}) if isinstance(layer, str) else layer
    try:
        made: Mixer = get(name, kind=Mixer).target(width, **options)
    except TypeError as error:
        raise InvalidInput(f"the options {dict(options)} do not fit the layer {name!r}: {error}") from error
    return made
