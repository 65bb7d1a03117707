"""The loop by which models with a memory are trained, drawn once: AdamW, a warm-up, a cosine, and a stop when it is enough."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos import checkpoints
from mnemos.errors import InvalidInput, ModelError

UNASKED = -100  # a target that does not count


class Batch(NamedTuple):
    """Inputs of a step and what is to be said at each token: classes (B, T), or UNASKED."""

    inputs: Tensor
    targets: Tensor


Draw = Callable[[int], Batch]  # the batch of a step: the same one whenever the step is the same
Loss = Callable[[Tensor, Tensor], Tensor]  # of outputs and targets


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast."""

    steps: int = 1000  # at most
    rate: float = 3e-3  # AdamW's, at its highest
    decay: float = 0.1  # of weights that are matrices
    warm_up: int = 50  # steps
    clip: float = 1.0  # of the norm of the gradient
    goal: float = math.inf  # training stops when `look` returns at least this
    check: int = 50  # steps between two looks
    keep: int = 200  # steps between two checkpoints


@dataclass(frozen=True, slots=True)
class Report:
    """What a training took and reached."""

    steps: int
    seconds: float
    loss: float  # of the last step
    best: float  # the highest of `look`; -inf without one


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss in nats of the targets that count; classes (B, T) for outputs (B, T, classes)."""
    return F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=UNASKED)


def train(
    model: nn.Module,
    draw: Draw,
    recipe: Recipe | None = None,
    *,
    loss: Loss = cross_entropy,
    look: Callable[[], float] | None = None,
    progress: Callable[[int], None] | None = None,
    checkpoint: Path | None = None,
) -> Report:
    """Train a model, which returns outputs and a state, on the batches that `draw` returns.

    With a `checkpoint` the file is written every `keep` steps, and a training that was stopped goes on from it and ends with
    the same weights, bit for bit, on the same machine. `progress` is called with 1 after each step. Raises ModelError where
    the loss is not a number, InvalidInput for a checkpoint of another training.
    """
    how = recipe or Recipe()
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": how.decay},
            {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
        ],
        lr=how.rate,
        betas=(0.9, 0.98),
    )
    begun, best, last, step = time.monotonic(), -math.inf, math.nan, 0
    if checkpoint is not None and checkpoint.exists():
        step = _load(checkpoint, model, optimiser, how)
    while step < how.steps:
        rate = how.rate * min(1.0, (step + 1) / max(how.warm_up, 1)) * (1 + math.cos(math.pi * step / how.steps)) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate
        inputs, targets = draw(step)
        value = loss(model(inputs)[0], targets)
        last = float(value.detach())
        if not math.isfinite(last):
            raise ModelError(f"the loss of step {step} is {last}: lower the rate ({how.rate}) and begin again.")
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), how.clip)
        optimiser.step()
        step += 1
        if progress is not None:
            progress(1)
        if checkpoint is not None and (step % how.keep == 0 or step == how.steps):
            _save(checkpoint, model, optimiser, how, step)
        if look is not None and (step % how.check == 0 or step == how.steps):
            best = max(best, look())
            if best >= how.goal:
                break
    return Report(step, time.monotonic() - begun, last, best)


def accuracy(model: nn.Module, *batches: Batch) -> float:
    """Return the share of targets that count whose class is the likeliest."""
    right = asked = 0
    was = model.training
    model.eval()
    with torch.no_grad():
        for inputs, targets in batches:
            counts = targets != UNASKED
            right += int((model(inputs)[0].argmax(-1) == targets)[counts].sum())
            asked += int(counts.sum())
    model.train(was)
    return right / max(asked, 1)


def _save(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, how: Recipe, step: int) -> None:
    tensors = checkpoints.named("model", _weights(model)) | checkpoints.named(
        "optimiser", checkpoints.moments(optimiser)
    )
    checkpoints.write(path, tensors, {"step": str(step), "recipe": json.dumps(asdict(how))})


def _load(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, how: Recipe) -> int:
    tensors, about = checkpoints.read(path)
    weights = checkpoints.under(tensors, "model")
    expected = {name: tensor.shape for name, tensor in _weights(model).items()}
    if about.get("recipe") != json.dumps(asdict(how)) or {n: t.shape for n, t in weights.items()} != expected:
        raise InvalidInput(f"{path} is a checkpoint of another training: name another file, or remove it.")
    model.load_state_dict(weights, strict=False)
    checkpoints.take_up(optimiser, checkpoints.under(tensors, "optimiser"))
    torch.set_rng_state(tensors["random"])
    return int(about["step"])


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights and buffers by name; tied ones once."""
    return dict(model.named_parameters()) | dict(model.named_buffers())
