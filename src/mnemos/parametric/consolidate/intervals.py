"""Interval arithmetic: what layers make of a box of inputs, and a model of a box of weights.

A box is a centre and a radius of one shape, and all that lies between centre - radius and centre + radius.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput


class Box(NamedTuple):
    """All between centre - radius and centre + radius."""

    centre: Tensor
    radius: Tensor

    def drawn(self, generator: torch.Generator) -> Tensor:
        """Return a uniform draw."""
        return self.centre + self.radius * (2 * torch.rand(self.centre.shape, generator=generator) - 1)


def rectified(box: Box) -> Box:
    """Return the box of the rectified linear units of a box."""
    low, high = F.relu(box.centre - box.radius), F.relu(box.centre + box.radius)
    return Box((low + high) / 2, (high - low) / 2)


def through(layers: Iterable[nn.Module], box: Box) -> Box:
    """Return the box (..., D) that layers, linear or rectified linear, make of a box."""
    for layer in layers:
        wide = isinstance(layer, nn.Linear)
        box = Box(layer(box.centre), F.linear(box.radius, layer.weight.abs())) if wide else rectified(box)
    return box


def check(model: nn.Module) -> nn.Sequential:
    """Return a model of which boxes are known. Raises InvalidInput for one that is no sequence of linear layers and ReLUs."""
    if not isinstance(model, nn.Sequential) or not all(isinstance(m, nn.Linear | nn.ReLU) for m in model):
        raise InvalidInput("intervals are known of nn.Linear and nn.ReLU alone: give an nn.Sequential of these.")
    return model


def answers(model: nn.Sequential, weights: Mapping[str, Box], x: Tensor) -> Box:
    """Return a box that holds the logits (N, classes) of x (N, D) for all weights of a box by name."""
    box = Box(x, torch.zeros_like(x))
    for name, layer in model.named_children():
        if isinstance(layer, nn.Linear):
            w, b = weights[f"{name}.weight"], weights[f"{name}.bias"]
            size = box.centre.abs() + box.radius
            radius = F.linear(box.radius, w.centre.abs()) + F.linear(size, w.radius) + b.radius
            box = Box(F.linear(box.centre, w.centre, b.centre), radius)
        else:
            box = rectified(box)
    return box


def worst(box: Box, y: Tensor) -> Tensor:
    """Return the logits (N, classes) of a box that are worst for labels y (N,): low for these, high for all others."""
    sign = 1 - 2 * F.one_hot(y, box.centre.shape[1]).to(box.centre)
    return box.centre + sign * box.radius
