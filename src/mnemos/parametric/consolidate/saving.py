"""A learner as a file, so that learning goes on in another process as if it had never stopped; safetensors, no pickle."""

from __future__ import annotations

import copy
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from mnemos import checkpoints
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.learner import Learner


def save(learner: Learner, path: Path) -> None:
    """Write all that a learner is: weights, optimiser, strategies, what is drawn next. A file is whole or not there."""
    parts = {"model": learner.model.state_dict(), "optimiser": checkpoints.moments(learner.optimiser)}
    if learner.previous is not None:
        parts["previous"] = learner.previous.state_dict()
    if learner.recent is not None:
        parts["recent"] = learner.recent.tensors()
    for number, strategy in enumerate(learner.strategies):
        parts[f"strategy.{number}"] = strategy.tensors()
    if learner.boundaries is not None:
        parts["boundaries"] = learner.boundaries.tensors()
    tensors = {"generator": learner.generator.get_state()}
    for name, part in parts.items():
        tensors |= checkpoints.named(name, part)
    checkpoints.write(path, tensors, {"learner": _header(learner)})


def load(learner: Learner, path: Path) -> None:
    """Let a learner, made as the saved one was, go on from a file. Raises InvalidInput for a file of another learner."""
    tensors, about = checkpoints.read(path)
    header = json.loads(about.get("learner", "{}"))
    if header.get("made") != _made(learner):
        raise InvalidInput(f"{path} is not of a learner with these strategies and settings: make it as it was saved.")
    learner.steps, learner.task, learner.tasks = (header[name] for name in ("steps", "task", "tasks"))
    learner.task_classes = {int(task): classes for task, classes in header["task_classes"].items()}
    for number, strategy in enumerate(learner.strategies):  # first: some of them make room in the model
        strategy.load(learner, checkpoints.under(tensors, f"strategy.{number}"))
    _weights(learner.model, checkpoints.under(tensors, "model"), path)
    learner.rebuild()
    checkpoints.take_up(learner.optimiser, checkpoints.under(tensors, "optimiser"))
    if before := checkpoints.under(tensors, "previous"):
        learner.previous = copy.deepcopy(learner.model).requires_grad_(False).eval()
        _weights(learner.previous, before, path)
    learner.recent = None
    if (held := checkpoints.under(tensors, "recent")) and (room := learner.sample()) is not None:
        room.load(held)
        learner.recent = room
    if learner.boundaries is not None:
        learner.boundaries.load(checkpoints.under(tensors, "boundaries"))
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


def _weights(model: torch.nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    expected = {name: t.shape for name, t in model.state_dict().items()}
    if {name: t.shape for name, t in tensors.items()} != expected:
        raise InvalidInput(f"{path} has the weights of another model: make the model as it was.")
    model.load_state_dict(tensors)
