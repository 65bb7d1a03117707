"""A learner as a file, so that learning goes on in another process as if it had never stopped; safetensors, no pickle."""

from __future__ import annotations

import copy
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.learner import Learner


def save(learner: Learner, path: Path) -> None:
    """Write all that a learner is: weights, optimiser, strategies, what is drawn next. A file is whole or not there."""
    tensors = {f"model.{name}": t for name, t in learner.model.state_dict().items()}
    for number, of in learner.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": t for name, t in of.items() if isinstance(t, Tensor)}
    if learner.previous is not None:
        tensors |= {f"previous.{name}": t for name, t in learner.previous.state_dict().items()}
    if learner.recent is not None:
        tensors |= {f"recent.{name}": t for name, t in learner.recent.tensors().items()}
    for number, strategy in enumerate(learner.strategies):
        tensors |= {f"strategy.{number}.{name}": t for name, t in strategy.tensors().items()}
    if learner.boundaries is not None:
        tensors |= {f"boundaries.{name}": t for name, t in learner.boundaries.tensors().items()}
    tensors |= {"random": torch.get_rng_state(), "generator": learner.generator.get_state()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    save_file(
        {name: t.detach().clone().contiguous() for name, t in tensors.items()}, part, {"learner": _header(learner)}
    )
    part.replace(path)


def load(learner: Learner, path: Path) -> None:
    """Let a learner, made as the saved one was, go on from a file. Raises InvalidInput for a file of another learner."""
    with safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {}).get("learner", "{}"))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    if header.get("made") != _made(learner):
        raise InvalidInput(f"{path} is not of a learner with these strategies and settings: make it as it was saved.")
    learner.steps, learner.task, learner.tasks = (header[name] for name in ("steps", "task", "tasks"))
    learner.task_classes = {int(task): classes for task, classes in header["task_classes"].items()}
    for number, strategy in enumerate(learner.strategies):  # first: some of them make room in the model
        strategy.load(learner, _under(tensors, f"strategy.{number}."))
    _weights(learner.model, _under(tensors, "model."), path)
    learner.rebuild()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(tensors, "optimiser.").items():
        place, _, key = name.partition(".")
        moments.setdefault(int(place), {})[key] = tensor
    learner.optimiser.load_state_dict(
        {"state": moments, "param_groups": learner.optimiser.state_dict()["param_groups"]}
    )
    if before := _under(tensors, "previous."):
        learner.previous = copy.deepcopy(learner.model).requires_grad_(False).eval()
        _weights(learner.previous, before, path)
    learner.recent = None
    if (held := _under(tensors, "recent.")) and (room := learner.sample()) is not None:
        room.load(held)
        learner.recent = room
    if learner.boundaries is not None:
        learner.boundaries.load(_under(tensors, "boundaries."))
    torch.set_rng_state(tensors["random"])
    learner.generator.set_state(tensors["generator"])


def _header(learner: Learner) -> str:
    return json.dumps(
        {
            "made": _made(learner),
            "steps": learner.steps,
            "task": learner.task,
            "tasks": learner.tasks,
            "task_classes": learner.task_classes,
        }
    )


def _made(learner: Learner) -> list[Any]:
    """Return what a learner was made with, as JSON has it."""
    knobs = [
        [type(s).__name__, {f.name: _knob(getattr(s, f.name)) for f in fields(s) if f.init} if is_dataclass(s) else {}]
        for s in learner.strategies
    ]
    return [learner.scenario, learner.rivals, type(learner.boundaries).__name__, knobs]


def _knob(value: Any) -> str:
    """Return a knob as text that is the same in every process."""
    return f"{value.__module__}.{value.__qualname__}" if isinstance(value, FunctionType) else repr(value)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _weights(model: torch.nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    expected = {name: t.shape for name, t in model.state_dict().items()}
    if {name: t.shape for name, t in tensors.items()} != expected:
        raise InvalidInput(f"{path} has the weights of another model: make the model as it was.")
    model.load_state_dict(tensors)
