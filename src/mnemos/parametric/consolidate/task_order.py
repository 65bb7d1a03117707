"""How much tasks will be forgotten, and in which order to learn them, by a closed form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

MOST = 8  # tasks whose orders are all tried


def expected_errors(truths: Tensor, features: int, samples: int, noise: float = 0.0) -> Tensor:
    """Return E |w_t - w_i*|^2 (T, T) after task t, for task i: linear regressions solved in turn, each with the least change.

    truths (T, D) are the tasks' own weights w_i*, zeros beyond what matters; each task has `samples` rows of `features` standard
    normal numbers, and labels with normal noise of a standard deviation. With r = 1 - samples / features:

        e_t = r e_{t-1} + (1 - r) |w_t* - w_i*|^2 + noise^2 samples / (features - samples - 1),  e_0 = |w_i*|^2.

    Raises InvalidInput unless features > samples + 1: only then do solutions fit, and the form hold.
    """
    if not 1 <= samples < features - 1:
        raise InvalidInput(f"{samples} samples of {features} features: give at least 1, and fewer than features - 1.")
    truths = truths.double()
    r, apart = 1 - samples / features, torch.cdist(truths, truths).square()
    error, rows = truths.square().sum(1), []
    for t in range(len(truths)):
        error = r * error + (1 - r) * apart[t] + noise**2 * samples / (features - samples - 1)
        rows.append(error)
    return torch.stack(rows)


def expected_forgetting(truths: Tensor, features: int, samples: int, noise: float = 0.0) -> float:
    """Return the mean over tasks but the last of how much their error grows from when they are learned to the end."""
    errors = expected_errors(truths, features, samples, noise)
    if len(errors) < 2:
        raise InvalidInput("one task is never forgotten: give at least two.")
    return float((errors[-1] - errors.diagonal())[:-1].mean())


def estimated_tasks(tasks: Sequence[tuple[Tensor, Tensor]], ridge: float = 1.0) -> Tensor:
    """Return estimates of each task's own weights (T, D) for `best_order`: ridge regressions of y (N,) or (N, C) on x (N, D).

    Weights of several outputs are laid side by side. Raises InvalidInput for tasks of different features or outputs.
    """
    shapes = {(x.shape[1], y.shape[1:]) for x, y in tasks}
    if len(shapes) != 1:
        raise InvalidInput(f"tasks have features and outputs {sorted(map(str, shapes))}: give tasks of the same ones.")
    found = []
    for x, y in tasks:
        x, y = x.double(), y.double()
        gram = x @ x.T + ridge * torch.eye(len(x), dtype=torch.double)  # of samples, which are fewer than features
        found.append((x.T @ torch.linalg.solve(gram, y.reshape(len(y), -1))).T.flatten())
    return torch.stack(found)


@register(
    "task-order",
    papers=(Paper("Theory on Forgetting and Generalization of Continual Learning", "2302.05836"),),
    task="an order of tasks",
)
def best_order(
    truths: Tensor,
    features: int,
    samples: int,
    worst: bool = False,  # the most forgetting instead of the least
) -> list[int]:
    """Return the order of tasks with the least expected forgetting, or the most: tasks unlike the others come early.

    truths (T, D) are estimates of each task's own weights, such as `estimated_tasks`. All orders of up to 8
    tasks are tried; raises InvalidInput for more.
    """
    if not 2 <= len(truths) <= MOST:
        raise InvalidInput(f"{len(truths)} tasks: give from 2 to {MOST}, or order groups of them.")
    sign = -1 if worst else 1
    orders = permutations(range(len(truths)))
    return list(min(orders, key=lambda o: sign * expected_forgetting(truths[list(o)], features, samples)))
