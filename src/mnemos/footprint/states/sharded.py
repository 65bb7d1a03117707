"""Sharing the states of an optimiser out among processes that train the same model on different data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "sharded",
    papers=(Paper("ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", "1910.02054", "microsoft/DeepSpeed"),),
)  # fmt: skip
@dataclass
class Sharded:
    """Lets each process of torch's default group hold the states of its share of the parameters, of about the same bytes (ZeRO).

    `optimiser.step` averages the gradients over the processes, updates the parameters of this one, and takes the others from
    theirs: weights are those of plain data-parallel training. Stage 2 keeps the averaged gradients of its own parameters alone.
    Each process has all states again afterwards. Without a group there is one process, and nothing is shared out.
    """

    exact: ClassVar[bool] = True
    stage: Literal[1, 2] = 1  # 1: states are shared out; 2: averaged gradients, too

    def __post_init__(self) -> None:
        if self.stage not in (1, 2):
            raise InvalidInput(f"stage is {self.stage}: give 1 or 2; weights are not shared out here.")

    @contextmanager
    def attach(self, model: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> Iterator[None]:
        """Share the states of an optimiser out inside the context; give it the same parameters in every process."""
        if optimiser is None:
            raise InvalidInput("there is no optimiser: give it to `attached(..., optimiser=...)`.")
        alone = not dist.is_initialized()
        rank, world = (0, 1) if alone else (dist.get_rank(), dist.get_world_size())
        every = [list(group["params"]) for group in optimiser.param_groups]
        owners = shares([p for params in every for p in params], world)
        step, before = optimiser.step, optimiser.__dict__.get("step")

        def stepped(closure: Any = None) -> None:
            if closure is not None:
                raise InvalidInput("shared states cannot compute a loss again: call `step` without a closure.")
            for parameter, owner in owners.items():
                self._average(parameter, owner, rank, world)
            step()
            for parameter, owner in owners.items():
                if world > 1:
                    dist.broadcast(parameter.data, owner)
                if owner != rank:
                    parameter.grad = None  # no zero_grad of the optimiser reaches it

        for group, params in zip(optimiser.param_groups, every, strict=True):
            group["params"] = [p for p in params if owners[p] == rank]
        for parameter, owner in owners.items():
            if owner != rank:
                optimiser.state.pop(parameter, None)
        optimiser.step = stepped
        try:
            yield
            gather(optimiser, owners, rank, world)
        finally:
            for group, params in zip(optimiser.param_groups, every, strict=True):
                group["params"] = params
            del optimiser.step
            if before is not None:
                optimiser.step = before

    def _average(self, parameter: Tensor, owner: int, rank: int, world: int) -> None:
        """Average the gradient over the processes; all of them need to have one."""
        if world == 1 or parameter.grad is None:
            return
        parameter.grad.div_(world)
        if self.stage == 1:
            dist.all_reduce(parameter.grad)
        else:
            dist.reduce(parameter.grad, owner)
            if owner != rank:
                parameter.grad = None


def shares(parameters: list[Tensor], world: int) -> dict[Tensor, int]:
    """Return the process that each parameter belongs to: the largest first, each to the one with the fewest bytes."""
    held = [0] * world
    owners: dict[Tensor, int] = {}
    for parameter in sorted(parameters, key=lambda p: -p.nbytes):
        owners[parameter] = held.index(min(held))
        held[owners[parameter]] += parameter.nbytes
    return {parameter: owners[parameter] for parameter in parameters}


def gather(optimiser: torch.optim.Optimizer, owners: dict[Tensor, int], rank: int, world: int) -> None:
    """Give the states of every parameter to every process."""
    for parameter, owner in owners.items() if world > 1 else ():
        state: list[Any] = [optimiser.state.get(parameter, {}) if owner == rank else None]
        dist.broadcast_object_list(state, owner)
        if owner != rank and state[0]:
            optimiser.state[parameter] = state[0]
