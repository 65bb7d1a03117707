"""A memory after the field CA3 of the hippocampus: a few cue units, many content units, plastic synapses between them.

C cue units   D content units   a pattern is (C + D) numbers 0 or 1
"""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.associative.base import rows
from mnemos.registry import Paper, register


@register(
    "ca3",
    papers=(
        Paper(
            "Bio-inspired computational memory model of the Hippocampus: an approach to a neuromorphic spike-based "
            "Content-Addressable Memory"
        ),
    ),
    task="associative",
    baselines=("hopfield",),
)
class CA3:
    """Keeps patterns of a cue and a content in binary synapses, learned at once, and completes any fragment of one.

    Learning (one presentation) potentiates the synapses between active cue units and active content units, both ways, and
    depresses those from the active cue units to silent content units and back (anti-Hebb). So a new content under an old cue
    takes its place, and nothing else changes where cues do not share units. Recall: a cue drives content units to which
    all its active units have synapses; a fragment of a content wakes the cue unit that shares most with it, if it shares at
    least `share` of what is shown, and the cue completes the rest. Content may overlap at will. Holds C x D bits.
    Departure: the spikes, delays and the SpiNNaker port of the paper are outside; a window of STDP is one presentation.
    """

    def __init__(
        self,
        cues: int,  # C
        contents: int,  # D
        share: float = 0.6,  # of the units shown that have to fit before anything is recalled
    ) -> None:
        if cues < 1 or contents < 1 or not 0 < share <= 1:
            raise InvalidInput(
                f"cues is {cues}, contents {contents}, share {share}: give units, and a share in (0, 1]."
            )
        self.cues, self.contents, self.share = cues, contents, share
        self.synapses = torch.zeros(cues, contents, dtype=torch.bool)

    def store(self, patterns: Tensor) -> None:
        """Learn patterns (N, C + D) one after the other, each with at least one active cue unit."""
        for pattern in rows(patterns, self.cues + self.contents, "patterns").bool():
            cue, content = pattern[: self.cues], pattern[self.cues :]
            if not bool(cue.any()):
                raise InvalidInput("a pattern has no active cue unit: activate at least one.")
            self.synapses = torch.where(cue[:, None], content[None], self.synapses)

    def recall(self, cues: Tensor) -> Tensor:
        """Return whole patterns (M, C + D) for those of which only the cue, or a part of the content, is shown; else zeros."""
        shown = rows(cues, self.cues + self.contents, "cues").float()
        cue, content = shown[:, : self.cues], shown[:, self.cues :]
        synapses = self.synapses.float()
        overlap = content @ synapses.T  # (M, C) how many of the units shown each cue unit knows
        size = synapses.sum(1)
        fits = (overlap - size / (2 * self.contents)).masked_fill(size == 0, float("-inf"))  # of equals the smaller one
        known = overlap >= self.share * content.sum(-1, keepdim=True).clamp_min(1)
        woken = torch.nn.functional.one_hot(fits.argmax(-1), self.cues).float() * known
        cue = torch.where(cue.any(-1, keepdim=True), cue, woken)
        active = cue.sum(-1, keepdim=True)
        whole = (cue @ synapses >= active) & (active > 0)
        return torch.cat([cue, whole.float()], 1).to(cues.dtype)
