"""Tokens that leave a model after some of its layers, and the caches of the layers that they did not reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.footprint.generate.base import Generated, check, keep, read
from mnemos.registry import Paper, register


@register(
    "early-exit",
    papers=(
        Paper(
            "EE-LLM: Large-Scale Training and Inference of Early-Exit Large Language Models with 3D Parallelism",
            "2312.04916",
            code="pan-x-c/EE-LLM",
        ),
    ),
    baselines=("greedy",),
)
@dataclass(frozen=True)
class EarlyExit:
    """Take a token after an early layer where the model is sure of it there, and make up for what later layers have not read.

    An exit is the model's norm and head, behind a layer that was trained for it. Tokens that left early have no keys and values
    in later layers: they are listed and read again, from the first layer on, together with each token that follows, until a pass
    goes through all layers. When the list is full a pass has to. So every layer attends to what it would have attended to if no
    token had left early. Without `repair` later layers attend to the tokens that reached them, and to no others.
    """

    exits: tuple[int, ...] = (2,)  # numbers of layers behind which a token may leave
    threshold: float = 0.9  # probability of the likeliest token with which it leaves
    repair: bool = True  # read tokens that left early again
    most: int = 8  # tokens of a pass at most, the new one included
    exact: ClassVar[bool] = False

    def generate(self, model: Any, prompt: Tensor, count: int) -> Generated:
        """Return `count` tokens that follow a prompt (T). Raises InvalidInput for exits that the model does not have."""
        check(prompt, count)
        with torch.no_grad(), self.reader(model, prompt[:-1]) as reader:
            tokens = [int(prompt[-1])]
            for _ in range(count):
                tokens.append(int(reader.step(tokens[-1]).argmax()))
            return Generated(torch.tensor(tokens[1:]), count, reader.layers)

    @contextmanager
    def reader(self, model: Any, read_before: Tensor) -> Iterator[Reader]:
        """Yield what reads a model's tokens one by one, after those (T) that it has read through all layers."""
        if not all(0 < number < len(model.model.layers) for number in self.exits):
            raise InvalidInput(
                f"exits behind layers {self.exits}: the model has layers 1 to {len(model.model.layers)}."
            )
        reader = Reader(self, model, read(model, read_before))
        with ExitStack() as stack:
            for number in self.exits:
                layer = model.model.layers[number - 1]
                stack.callback(layer.register_forward_hook(reader.hook(number)).remove)
            yield reader


class _Left(Exception):
    def __init__(self, logits: Tensor, layer: int) -> None:
        super().__init__()
        self.logits, self.layer = logits, layer


class Reader:
    """Reads tokens one by one with exits."""

    def __init__(self, of: EarlyExit, model: Any, cache: Any) -> None:
        self.of, self.model, self.cache = of, model, cache
        self.whole = self.at = cache.get_seq_length()  # tokens that all layers have read, and all tokens
        self.again: list[int] = []  # tokens behind those, in order
        self.layers = 0  # of all passes, one after another
        self.computed = 0  # layers of all tokens, those that were read again included
        self._may_leave = False

    def step(self, token: int) -> Tensor:
        """Return the logits (vocabulary) of what follows a token."""
        tokens = [*self.again, token]
        self._may_leave = not self.of.repair or len(tokens) < self.of.most
        places = torch.arange(self.at - len(self.again), self.at + 1)[None]
        try:
            out = self.model(torch.tensor([tokens]), position_ids=places, past_key_values=self.cache, use_cache=True)
            logits, depth = out.logits[0, -1], len(self.model.model.layers)
            self.again, self.whole = [], self.at + 1
        except _Left as left:
            logits, depth = left.logits, left.layer
            if self.of.repair:
                keep(self.cache, slice(0, self.whole))
                self.again = tokens
        finally:
            self._may_leave = False
        self.at += 1
        self.layers += depth
        self.computed += depth * len(tokens)
        return logits

    def hook(self, number: int) -> Any:
        """Return what looks at the output of a layer, and ends the pass where the last token leaves."""

        def after(module: Any, given: Any, output: Any) -> None:
            if not self._may_leave:
                return
            hidden = output if isinstance(output, Tensor) else output[0]
            logits = self.model.lm_head(self.model.model.norm(hidden[:, -1:]))[0, -1]
            if logits.softmax(-1).max() >= self.of.threshold:
                raise _Left(logits, number)

        return after
