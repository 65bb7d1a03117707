"""A training as a file, so that it goes on in another process as if it had never stopped: safetensors, no pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Tensors = dict[str, "Tensor"]


def write(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Write tensors, with what is drawn next by torch's generator; the file is whole or not there."""
    import torch
    from safetensors.torch import save_file

    held = dict(tensors) | {"random": torch.get_rng_state()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    save_file({name: t.detach().clone().contiguous() for name, t in held.items()}, part, dict(about))
    part.replace(path)


def read(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Return the tensors of a file, and what was written about them."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118  # not a dict


def named(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Return tensors whose names begin with a prefix and a dot."""
    return {f"{prefix}.{name}": t for name, t in tensors.items()}


def under(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    """Return what `named` was given."""
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def moments(optimiser: torch.optim.Optimizer) -> Tensors:
    """Return what an optimiser holds of each parameter, as "place.name"."""
    import torch

    state = optimiser.state_dict()["state"]
    return {f"{i}.{name}": t for i, of in state.items() for name, t in of.items() if isinstance(t, torch.Tensor)}


def take_up(optimiser: torch.optim.Optimizer, held: Mapping[str, Tensor]) -> None:
    """Give an optimiser of the same parameters what `moments` returned."""
    state: dict[int, Tensors] = {}
    for name, tensor in held.items():
        place, _, key = name.partition(".")
        state.setdefault(int(place), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
