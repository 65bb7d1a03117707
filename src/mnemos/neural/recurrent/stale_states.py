"""PRES: states of a graph's nodes that were read too long ago, moved on to now, and corrected by what is measured.

N nodes   B events   D channels of a state   G groups of nodes that drift alike
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "drift-corrected-states",
    papers=(
        Paper("PRES: Toward Scalable Memory-Based Dynamic Graph Neural Networks", "2402.04284", "jwsu825/MDGNN_BS"),
    ),
    task="recurrent",
)
class DriftCorrectedStates(nn.Module):  # type: ignore[misc]
    """Predicts how states drift while a batch of writes is pending, and corrects the prediction by the state that was written.

    s_pred = s + dt delta with the mean drift delta of the node's group, s' = g s_pred + (1 - g) s_meas with one learned
    gate g; `coherence` is 1 - cos of successive states, to be added to the loss (arXiv 2402.04284). Drifts are tracked by
    running sums, of which `mean` and `variance` are read: a mixture of Gaussians whose components are told apart by the
    group, as the paper's are by the kind of event. An event costs O(D). Departures: the mean is predicted, not a sample;
    sums fade, as states are learned; a state that is read may be moved on to now by `predicted` too.
    """

    time: Tensor  # seen of each group, fading, (G)
    total: Tensor  # changes of states, (G, D)
    squares: Tensor  # their squares, each by its time

    def __init__(
        self,
        groups: int,  # G: one for each node, or kinds of nodes
        width: int,  # D
        gate: float = 0.5,  # g at the start
        fade: float = 0.8,  # of the running sums of a group, whenever it is observed
        longest: float = 1000.0,  # time beyond which nothing is predicted further
    ) -> None:
        super().__init__()
        if min(groups, width) < 1 or not 0 < gate < 1 or not 0 < fade <= 1 or longest <= 0:
            raise InvalidInput(
                f"groups is {groups}, width {width}, gate {gate}, fade {fade}, longest {longest}: give positive numbers, "
                "a gate below 1 and a fade of at most 1."
            )
        self.fade, self.longest = fade, longest
        self.gate = nn.Parameter(torch.logit(torch.tensor(gate)))
        self.register_buffer("time", torch.zeros(groups))
        self.register_buffer("total", torch.zeros(groups, width))
        self.register_buffer("squares", torch.zeros(groups, width))

    def predicted(self, states: Tensor, elapsed: Tensor, groups: Tensor) -> Tensor:
        """Return states (B, D) of nodes of `groups` (B), moved on by the times (B) that passed since they were written."""
        return states + elapsed.clamp(0, self.longest)[:, None] * self.mean()[groups]

    def corrected(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """Return the states (B, D) between what was predicted and what was computed from stale reads."""
        g = self.gate.sigmoid()
        return g * predicted + (1 - g) * measured

    def observe(self, before: Tensor, after: Tensor, elapsed: Tensor, groups: Tensor) -> None:
        """Take in how states (B, D) changed over times (B); those of no time are left out."""
        groups, kept = groups[elapsed > 0], torch.ones_like(self.time)
        moved, time = (after - before).detach()[elapsed > 0], elapsed[elapsed > 0]  # a drift weighs as much as its time
        kept[groups] = self.fade
        self.time = (kept * self.time).index_add(0, groups, time)
        self.total = (kept[:, None] * self.total).index_add(0, groups, moved)
        self.squares = (kept[:, None] * self.squares).index_add(0, groups, moved.square() / time[:, None])

    def mean(self) -> Tensor:
        """Return the mean drift of each group, (G, D); 0 where none was seen."""
        return self.total / self.time.clamp_min(1e-9)[:, None]

    def variance(self) -> Tensor:
        """Return the variance of the drift of each group, (G, D)."""
        return (self.squares / self.time.clamp_min(1e-9)[:, None] - self.mean().square()).clamp_min(0)

    @staticmethod
    def coherence(before: Tensor, after: Tensor) -> Tensor:
        """Return the mean of 1 - cos between successive states (B, D)."""
        return (1 - F.cosine_similarity(before, after, dim=-1)).mean()
