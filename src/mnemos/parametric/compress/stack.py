"""The blocks of all matrices of a model in one stack, sorted by what each brings: any budget of bytes is its beginning."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.compress.bitstack import BitStack, Block, Stack
from mnemos.parametric.feedforward import inputs_of

FORMAT = "mnemos-bitstack-1"


@dataclass
class ModelStack:
    """Compressed matrices of a model, by the name of their parameter, and the order in which their blocks are loaded."""

    stacks: dict[str, Stack]
    order: list[str]  # the matrix of each block: of the blocks of one matrix, the lower comes first

    @property
    def least(self) -> int:
        """Bytes with no block loaded: the scales of all matrices."""
        return sum(stack.at(0).nbytes for stack in self.stacks.values())

    def loaded(self, budget: int) -> dict[str, Stack]:
        """Return the matrices with as many blocks as fit into a budget of bytes; nothing is computed.

        Raises InvalidInput for a budget below `least`.
        """
        room = budget - self.least
        if room < 0:
            raise InvalidInput(f"a budget of {budget} bytes is below {self.least}, the bytes of the scales alone.")
        counts = dict.fromkeys(self.stacks, 0)
        for name in self.order:
            room -= self.stacks[name].blocks[counts[name]].nbytes
            if room < 0:
                break
            counts[name] += 1
        return {name: self.stacks[name].at(count) for name, count in counts.items()}

    def load_into(self, model: Any, budget: int) -> int:
        """Set the matrices of a model to what fits into a budget of bytes; returns the bytes that were loaded."""
        parts = self.loaded(budget)
        set_matrices(model, {name: stack.decompress() for name, stack in parts.items()})
        return sum(stack.nbytes for stack in parts.values())

    def save(self, path: str | Path) -> None:
        """Write all blocks to a file of safetensors."""
        tensors: dict[str, Tensor] = {}
        for name, stack in self.stacks.items():
            tensors[f"{name}/scale"] = stack.scale
            for i, block in enumerate(stack.blocks):
                for part in ("signs", "left", "right"):
                    tensors[f"{name}/{i}/{part}"] = getattr(block, part).contiguous()
        about = {name: [len(s.blocks), str(s.dtype).removeprefix("torch.")] for name, s in self.stacks.items()}
        save_file(tensors, str(path), {"format": FORMAT, "order": json.dumps(self.order), "stacks": json.dumps(about)})

    @classmethod
    def load(cls, path: str | Path, budget: int | None = None) -> ModelStack:
        """Read a file; with a budget only the blocks that fit into it are read. Raises InvalidInput for another file."""
        with safe_open(str(path), framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise InvalidInput(f"{Path(path).name} is not a stack of blocks: it has no format {FORMAT}.")
            order, stacks = json.loads(about["order"]), {}
            counts = None if budget is None else _counts(file, order, json.loads(about["stacks"]), budget)
            for name, (blocks, dtype) in json.loads(about["stacks"]).items():
                count = blocks if counts is None else counts[name]
                found = tuple(
                    Block(*(file.get_tensor(f"{name}/{i}/{part}") for part in ("signs", "left", "right")))
                    for i in range(count)
                )
                stacks[name] = Stack(found, file.get_tensor(f"{name}/scale"), count, getattr(torch, dtype))
        kept: dict[str, int] = dict.fromkeys(stacks, 0)
        shortened = []
        for name in order:
            if kept[name] < len(stacks[name].blocks):
                kept[name] += 1
                shortened.append(name)
        return cls(stacks, shortened)


def _counts(file: Any, order: Sequence[str], about: Mapping[str, Any], budget: int) -> dict[str, int]:
    """Return how many blocks of each matrix fit into a budget, from the shapes in the header of a file."""
    room = budget - sum(2 * file.get_slice(f"{name}/scale").get_shape()[0] for name in about)
    counts = dict.fromkeys(about, 0)
    for name in order:
        block = f"{name}/{counts[name]}"
        parts = [(file.get_slice(f"{block}/{p}").get_shape(), w) for p, w in (("signs", 1), ("left", 2), ("right", 2))]
        room -= sum(shape[0] * shape[1] * width for shape, width in parts)
        if room < 0:
            break
        counts[name] += 1
    return counts


def set_matrices(model: Any, weights: Mapping[str, Tensor]) -> None:
    """Set the named weights of a model, each given as (out, in) and turned where the model stores it the other way."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            turned = _turned(model, name)
            parameters[name].copy_(weight.T if turned else weight)


def matrices(model: Any, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the named weights of a model as (out, in), copied."""
    parameters = dict(model.named_parameters())
    return {n: (parameters[n].detach().T if _turned(model, n) else parameters[n].detach()).clone() for n in names}


def linear_names(model: Any) -> list[str]:
    """Return the names of the matrices of a model's linear layers that are not shared with its embedding."""
    embedding = model.get_input_embeddings().weight
    return [
        f"{name}.weight"
        for name, module in model.named_modules()
        if (isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D") and module.weight is not embedding
    ]


def _turned(model: Any, name: str) -> bool:
    return type(model.get_submodule(name.rpartition(".")[0])).__name__ == "Conv1D"


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def activation_norms(model: Any, names: Sequence[str], texts: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return the norm of each input of the named matrices over some texts of tokens (B, T)."""
    squares: dict[str, Tensor] = {}

    def note(name: str) -> Callable[[Tensor], None]:
        def read(states: Tensor) -> None:
            squares[name] = squares.get(name, torch.zeros(())) + states.float().square().flatten(0, -2).sum(0)

        return read

    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(inputs_of(model.get_submodule(name.rpartition(".")[0]), note(name)))
        for text in texts:
            model(input_ids=text)
    return {name: total.sqrt() for name, total in squares.items()}


def stacked(
    model: Any,
    loss: Callable[[], float] | None = None,
    norms: Mapping[str, Tensor] | None = None,
    names: Sequence[str] | None = None,
    knobs: BitStack | None = None,
) -> ModelStack:
    """Return a model's matrices as one stack, sorted by measured gain a byte; the model is left as it was.

    `loss` reads a few texts with the model as it is. The gain of a block is what the loss rises by when it is missing while
    the other matrices have as many blocks as this one; that costs a call of `loss` a block. Without `loss` the gain is the
    error that the block removes, weighted by `norms` and relative to its matrix. Blocks are sorted level by level.
    """
    names = list(linear_names(model) if names is None else names)
    knobs = BitStack() if knobs is None else knobs
    originals = matrices(model, names)
    stacks = {
        name: knobs.compress(weight, None if norms is None else norms[name]) for name, weight in originals.items()
    }
    order: list[str] = []
    try:
        for level in range(1, knobs.blocks + 1):
            gains = _errors(stacks, originals, level) if loss is None else _losses(model, stacks, level, loss)
            each = {name: gain / stacks[name].blocks[level - 1].nbytes for name, gain in gains.items()}
            order += sorted(each, key=lambda name: -each[name])
    finally:
        set_matrices(model, originals)
    return ModelStack(stacks, order)


def _losses(model: Any, stacks: Mapping[str, Stack], level: int, loss: Callable[[], float]) -> dict[str, float]:
    """Return what the loss rises by without the last block of each matrix."""
    full = {name: stack.at(level).decompress() for name, stack in stacks.items()}
    set_matrices(model, full)
    base, gains = loss(), {}
    for name, stack in stacks.items():
        set_matrices(model, {name: stack.at(level - 1).decompress()})
        gains[name] = loss() - base
        set_matrices(model, {name: full[name]})
    return gains


def _errors(stacks: Mapping[str, Stack], originals: Mapping[str, Tensor], level: int) -> dict[str, float]:
    """Return the share of each matrix's scaled error that its last block removes."""
    gains = {}
    for name, stack in stacks.items():
        scaled = originals[name].float() * stack.scale.float()
        rest = scaled - stack.at(level - 1).decompress().float() * stack.scale.float()
        less = rest - stack.blocks[level - 1].decompress()
        gains[name] = float((rest.square().sum() - less.square().sum()) / scaled.square().sum())
    return gains
