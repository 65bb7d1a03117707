"""Health checks of a model that goes on being trained: a suite of probes, against the last state that was good.

What a model is fed can make it worse at what it was good at, dose by dose, and clean data afterwards heals it only in part ("LLMs
Can Get 'Brain Rot'!", arXiv 2510.13928). So the check is made while it is trained, and what is kept is the state before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mnemos.errors import InvalidInput

Probe = Callable[[Any], float]  # of a model: a score that is better where it is higher


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes said."""

    scores: Mapping[str, float]
    fallen: Mapping[str, float]  # by how much, of the probes that fell too far below the last good state

    @property
    def good(self) -> bool:
        """Whether no probe fell too far."""
        return not self.fallen


class HealthCheck:
    """Probes of a model, and a copy of the weights at which they were last good. Holds as many bytes as the weights."""

    def __init__(self, model: Any, probes: Mapping[str, Probe], allowed: float = 0.05) -> None:
        """Take the model as it is for good; a probe may fall by `allowed` below the best good state."""
        if not probes:
            raise InvalidInput("there is no probe: give at least one function of a model that returns a score.")
        if allowed < 0:
            raise InvalidInput(f"allowed is {allowed}: give 0 or more.")
        self.probes, self.allowed = dict(probes), allowed
        self.best = {name: float(probe(model)) for name, probe in self.probes.items()}
        self._weights = _copy(model)

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        return sum(t.numel() * t.element_size() for t in self._weights.values())

    def check(self, model: Any) -> Health:
        """Ask the probes; where they are good, this becomes the last good state."""
        scores = {name: float(probe(model)) for name, probe in self.probes.items()}
        falls = {name: self.best[name] - score for name, score in scores.items()}
        health = Health(scores, {name: fall for name, fall in falls.items() if fall > self.allowed})
        if health.good:
            self.best = {name: max(self.best[name], score) for name, score in scores.items()}
            self._weights = _copy(model)
        return health

    def roll_back(self, model: Any) -> None:
        """Give a model the weights of the last good state, bit by bit; those of an optimiser are not touched."""
        with torch.no_grad():
            for name, tensor in _tensors(model).items():
                tensor.copy_(self._weights[name])


def _copy(model: Any) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in _tensors(model).items()}


def _tensors(model: Any) -> dict[str, Tensor]:
    return dict(model.state_dict(keep_vars=True))
