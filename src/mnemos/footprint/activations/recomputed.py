"""Computing the forward pass of a layer a second time instead of keeping what its backward pass needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import ModelError
from mnemos.footprint.wrapper import Wrapper, Wraps
from mnemos.registry import Paper, register


@register(
    "recomputed",
    papers=(Paper("Training Deep Nets with Sublinear Memory Cost", "1604.06174"),),
    baselines=("in-memory",),
)
@dataclass
class Recomputed(Wraps):
    """Keeps only what goes into a layer, and computes the layer again when its backward pass begins.

    Costs one more forward pass. What random numbers of the CPU drop is dropped again. What goes into the layers is still kept,
    by savers where there are some.
    """

    exact: ClassVar[bool] = True
    layers: str = r"(.*\.)?\d+"  # names of the modules, as a regular expression; by default the members of lists

    def replace(self, name: str, module: nn.Module) -> nn.Module | None:
        """Wrap a module whose name fits, unless it is within one whose name does."""
        if outermost(self.layers, name) and any(True for _ in module.parameters()):
            return Again(module)
        return None


def outermost(pattern: str, name: str) -> bool:
    """Tell whether a module's name fits a regular expression, and no name of a module around it does."""
    parts = name.split(".")
    names = [".".join(parts[: end + 1]) for end in range(len(parts))]
    return next((n for n in names if re.fullmatch(pattern, n)), None) == name


class Again(Wrapper):
    """A module of which autograd keeps the inputs."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the module returns."""
        return again(self.inner, *args, **kwargs)


def again(run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a function returns; what its backward pass needs is computed again then, up to the last tensor that is needed.

    As `torch.utils.checkpoint` does, which loads the compiler (80 MB) for it. Savers get the tensors among `args`; those in
    `kwargs` are held as they are. Raises ModelError in the backward pass where the function did not do the same again.
    """
    if not torch.is_grad_enabled():
        return run(*args, **kwargs)
    tensors = [i for i, value in enumerate(args) if isinstance(value, Tensor)]
    kept = _Inputs.apply(torch.empty(0, requires_grad=True), *(args[i] for i in tensors)).grad_fn
    others = [None if i in tensors else value for i, value in enumerate(args)]
    random, mixed, count, found = torch.get_rng_state(), _precision(args, tensors), 0, dict[int, Tensor]()

    def number(_: Tensor) -> int:
        nonlocal count
        count += 1
        return count - 1

    def tensor(which: int) -> Tensor:
        if which not in found:
            given = list(others)
            for i, value in zip(tensors, kept.saved_tensors, strict=True):
                given[i] = value.detach().requires_grad_(args_need[i])
            with mixed():
                found.update(_computed(run, given, kwargs, random, count))
        if which not in found:
            raise ModelError("a layer that is computed again did something else than the first time: leave it out.")
        return found.pop(which)

    args_need = {i: args[i].requires_grad for i in tensors}
    with torch.autograd.graph.saved_tensors_hooks(number, tensor):
        return run(*args, **kwargs)


def _precision(args: Sequence[Any], tensors: Sequence[int]) -> Callable[[], torch.autocast]:
    """Return what sets the precision of this moment again."""
    device = args[tensors[0]].device.type if tensors else "cpu"
    dtype, enabled = torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
    return lambda: torch.autocast(device, dtype, enabled, cache_enabled=torch.is_autocast_cache_enabled())


def _computed(
    run: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], random: Tensor, count: int
) -> dict[int, Tensor]:
    """Return the tensors that autograd keeps of a function, by their number; it is left after the last one."""
    found: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        found[len(found)] = tensor.detach()
        if len(found) == count:
            raise _Enough
        return found[len(found) - 1]  # an output with its graph would hold itself, and with it all that was kept

    with torch.random.fork_rng(devices=[]), suppress(_Enough), torch.enable_grad():
        torch.set_rng_state(random)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            run(*args, **kwargs)
    return found


class _Enough(Exception):
    """All that is needed was computed."""


class _Inputs(torch.autograd.Function):  # type: ignore[misc]  # torch is not read where types are checked
    """Keeps tensors as autograd does, so that savers see them."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return first.new_empty(0)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        raise AssertionError("nothing is computed from it")
