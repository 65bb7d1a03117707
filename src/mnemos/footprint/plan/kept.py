"""What a forward pass keeps for its backward pass, counted without computing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

LEAST = 4096  # bytes: smaller tensors are not counted, as `attached` does not pack them


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes of a forward pass."""

    kept: int  # by autograd, parameters left out
    largest: int  # of one tensor among those


def kept_bytes(model: nn.Module, *args: Any, run: Callable[..., Any] | None = None, **kwargs: Any) -> Kept:
    """Return what autograd keeps of `run(model, *args, **kwargs)`; by default of the call of the model.

    Nothing is computed: tensors have shapes and no numbers (`FakeTensorMode`), so that it works for what does not fit. Each
    storage counts once. A function that looks at numbers, as `.item()` does, fails.
    """
    found: dict[int, tuple[int, Any]] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own and tensor.nbytes >= LEAST:
            found[storage._cdata] = storage.nbytes(), tensor  # it is held, so that no other has its address
        return tensor

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    weights = {name: mode.from_tensor(tensor) for name, tensor in state.items()}
    own = {tensor.untyped_storage()._cdata for tensor in weights.values()}
    given = [mode.from_tensor(x) if isinstance(x, Tensor) else x for x in args]
    named = {name: mode.from_tensor(x) if isinstance(x, Tensor) else x for name, x in kwargs.items()}
    hooks = torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)
    with mode, torch.enable_grad(), torch.random.fork_rng(devices=[]), hooks:
        inner = {f"model.{name}": tensor for name, tensor in weights.items()}
        _ = torch.func.functional_call(_Run(model, run or nn.Module.__call__), inner, (model, *given), named)
        sizes = [size for size, _ in found.values()]
    return Kept(sum(sizes), max(sizes, default=0))


class _Run(nn.Module):  # type: ignore[misc]
    """A function of a model as a module, so that it can be called with other weights."""

    def __init__(self, model: nn.Module, run: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self.run = model, run

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns."""
        return self.run(*args, **kwargs)
