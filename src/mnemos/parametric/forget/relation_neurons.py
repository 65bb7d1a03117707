"""Relation neurons: found by how well they tell one relation's prompts from others', and switched off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import device_of, padded
from mnemos.parametric.base import Example
from mnemos.parametric.changes import Change, recorded
from mnemos.parametric.feedforward import Block, feed_forward_blocks, inputs_of, outputs_of
from mnemos.parametric.tokens import prompt_ids
from mnemos.registry import Paper, register


class Neuron(NamedTuple):
    """A neuron of a feed-forward block."""

    layer: int  # its block, from the lowest
    place: int  # in the block


@register(
    "relation-neurons",
    papers=(
        Paper(
            "On Relation-Specific Neurons in Large Language Models", "2502.17355", "cisnlp/relation-specific-neurons"
        ),
    ),
    task="relation-neurons",
    baselines=("random-dampening",),
)
@dataclass(frozen=True)
class RelationNeurons:
    """Switches off the neurons that fire for the prompts of one relation and not for those of others.

    A neuron's activation at the last token of a prompt is taken as a score of "this prompt is of the relation"; neurons are
    ranked by the average precision of that score over the prompts of `forget` against those of `keep`. To unlearn, what the
    first `count` of them write is set to zero; `switched_off` does the same for a while and changes no weight. Costs one
    call a prompt. Facts of the relation that are not among the examples fall, too: that is its purpose.
    """

    count: int = 32  # neurons that are switched off
    batch: int = 32  # prompts that are read at once

    def unlearn(self, model: Any, tokenizer: Any, forget: Sequence[Example], keep: Sequence[Example]) -> Change:
        """Change the model's weights in place; see `Unlearner`."""
        blocks = feed_forward_blocks(model)
        found = self.locate(model, tokenizer, forget, keep)[: self.count]
        with (
            recorded(model, [blocks[layer].down.name for layer in {n.layer for n in found}]) as recording,
            torch.no_grad(),
        ):
            for neuron in found:
                blocks[neuron.layer].down.weight[:, neuron.place] = 0
        return recording.change

    def locate(self, model: Any, tokenizer: Any, prompts: Sequence[Example], others: Sequence[Example]) -> list[Neuron]:
        """Return all neurons, those first that tell the prompts from the others best."""
        if not prompts or not others:
            raise InvalidInput(
                "neurons are found by two kinds of prompts: give examples of the relation and of others."
            )
        coded = [prompt_ids(tokenizer, example.prompt) for example in (*prompts, *others)]
        fired = _activations(model, feed_forward_blocks(model), coded, self.batch)
        wanted = torch.arange(len(coded)) < len(prompts)
        scored = [average_precision(layer, wanted) for layer in fired]
        flat = torch.cat(scored).sort(descending=True, stable=True).indices.tolist()
        starts = [0]
        for layer in scored:
            starts.append(starts[-1] + len(layer))
        return [Neuron(layer, i - starts[layer]) for i in flat for layer in [_layer(starts, i)]]


def _layer(starts: Sequence[int], index: int) -> int:
    return next(layer for layer in reversed(range(len(starts) - 1)) if index >= starts[layer])


def average_precision(scores: Tensor, wanted: Tensor) -> Tensor:
    """Return the average precision of each column of scores (n, N) as a ranking of what is wanted (n,).

    Equal scores are ranked as badly as they can be: those that are not wanted come first.
    """
    order = wanted.int().sort(stable=True).indices
    ranked = order[scores[order].sort(dim=0, descending=True, stable=True).indices]
    hits = wanted[ranked].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1, dtype=torch.double)[:, None]
    return (precision * hits).sum(0) / wanted.sum()


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _activations(model: Any, blocks: Sequence[Block], prompts: Sequence[list[int]], size: int) -> list[Tensor]:
    """Return what the gate of each neuron says at the last token of each prompt, (prompts, N) a block."""
    seen: list[list[Tensor]] = [[] for _ in blocks]
    last = torch.zeros(0, dtype=torch.long)

    def note(i: int) -> Callable[[Tensor], None]:
        def read(states: Tensor) -> None:
            seen[i].append(states[torch.arange(len(last), device=states.device), last].float().cpu())

        return read

    with ExitStack() as hooks:
        for i, block in enumerate(blocks):
            hook = inputs_of(block.down.module, note(i)) if block.gate is None else outputs_of(block.gate, note(i))
            hooks.enter_context(hook)
        for start in range(0, len(prompts), size):
            part = prompts[start : start + size]
            tokens, _ = padded([(text, 0) for text in part], device_of(model))
            last = torch.tensor([len(text) - 1 for text in part], device=tokens.device)
            model(input_ids=tokens)
    return [torch.cat(parts) for parts in seen]


@contextmanager
def switched_off(model: Any, neurons: Sequence[Neuron]) -> Iterator[None]:
    """Let some neurons write nothing while the block runs; no weight is changed."""
    blocks = feed_forward_blocks(model)
    by_layer: dict[int, list[int]] = {}
    for neuron in neurons:
        if not (0 <= neuron.layer < len(blocks) and 0 <= neuron.place < blocks[neuron.layer].neurons):
            raise InvalidInput(f"{neuron} is not a neuron of this model: it has {len(blocks)} blocks.")
        by_layer.setdefault(neuron.layer, []).append(neuron.place)

    def without(index: list[int]) -> Callable[[Tensor], Tensor]:
        return lambda states: states.index_fill(-1, torch.tensor(index, device=states.device), 0)

    with ExitStack() as hooks:
        for layer, index in by_layer.items():
            hooks.enter_context(inputs_of(blocks[layer].down.module, without(index)))
        yield
