"""What to attach to a model so that it trains, or runs, within some bytes, and what that will take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mnemos.errors import InvalidInput
from mnemos.footprint.activations.disk import Disk
from mnemos.footprint.activations.recomputed import Again, Recomputed
from mnemos.footprint.attach import attached
from mnemos.footprint.base import Offloader, Prediction, Rewriter, Saver
from mnemos.footprint.plan.bytes_of import TrainingBytes
from mnemos.footprint.plan.kept import Kept, kept_bytes
from mnemos.footprint.weights.neurons_on_disk import NeuronsOnDisk
from mnemos.footprint.weights.paged_weights import PagedWeights
from mnemos.footprint.weights.relu_feeds import find
from mnemos.registry import register

Method = Saver | Rewriter | Offloader
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
QUEUES = 0.25  # of the room for activations: what waits to be written, and as much that is read ahead
LEAST_NEURONS = 0.3  # share of feed-forward bytes below which whole layers are paged instead


@dataclass(frozen=True, slots=True)
class Chosen:
    """Methods that make a model fit, and what it will take with them."""

    methods: tuple[Method, ...]
    prediction: Prediction


@register("fit")
@dataclass(frozen=True)
class Fit:
    """Choose what to attach for a budget of bytes, the cheapest in time first; Mnemos' own.

    Training: nothing, layers computed again, and those inputs of layers on disk as well. Running: nothing, neurons on disk where
    feed-forward layers are of ReLU, and else whole layers. Activations are counted by a forward pass that computes nothing. The
    bytes are those of the model and of what it makes, without the process around it.
    """

    model: nn.Module  # that is to fit
    ram: float | str  # bytes, or a number with a unit: "2GB", "512 MiB"
    batch: int = 1  # sequences of a step
    length: int = 512  # tokens of each
    learns: bool = True  # whether it is trained; otherwise it is read under no_grad
    states: int = 2  # numbers of an optimiser for each weight that learns: Adam has 2
    run: Callable[..., Any] | None = (
        None  # of the model and token ids (batch, length), up to the loss; None: the call of the model
    )

    def predict(self) -> Prediction:
        """Return what it takes with what is chosen."""
        return self.choose().prediction

    def choose(self) -> Chosen:
        """Return what to attach. Raises InvalidInput where nothing makes it fit, with what it needs at least."""
        ram = nbytes(self.ram)
        tried = list(self._training() if self.learns else self._running(ram))
        for chosen in tried:
            if chosen.prediction.nbytes <= ram:
                return chosen
        least = min(chosen.prediction.nbytes for chosen in tried)
        raise InvalidInput(
            f"{ram} bytes are too few: it takes {least} with all that is known; give more, or make it shorter."
        )

    def _training(self) -> Iterator[Chosen]:
        weights = {id(p): p for p in self.model.parameters()}.values()
        numbers, learning = sum(p.numel() for p in weights), sum(p.numel() for p in weights if p.requires_grad)
        width = max((p.element_size() for p in weights), default=4)
        fixed = TrainingBytes(numbers, learning, width, states=self.states).predict().parts
        plain = self._kept()
        found = f"autograd keeps {plain.kept} bytes"
        yield self._chosen((), fixed, plain.kept, plain.largest, f"{found}: all fit, nothing is attached")
        with attached(self.model, Recomputed()):
            layers = sum(isinstance(module, Again) for module in self.model.modules())
            again = self._kept()
        if not layers:
            return
        one = (plain.kept - again.kept) // layers  # of the layer that is computed again
        why = f"{found}, and {again.kept} where {layers} layers are computed again"
        yield self._chosen((Recomputed(),), fixed, again.kept + one, plain.largest, why)
        queue = int(QUEUES * max(0, nbytes(self.ram) - sum(fixed.values()) - one - 2 * plain.largest))
        disk = Disk(on_the_way=queue, ahead=queue, strict=True)
        held = min(again.kept, 2 * queue)
        why += f", of which {again.kept - held} are on disk"
        yield self._chosen((Recomputed(), disk), fixed, held + one, plain.largest, why)

    def _running(self, ram: int) -> Iterator[Chosen]:
        weights = sum(p.nbytes for p in {id(p): p for p in (*self.model.parameters(), *self.model.buffers())}.values())
        largest = self._kept().largest
        yield self._chosen((), {"weights": weights}, 0, largest, f"weights of {weights} bytes fit, nothing is attached")
        feeds = find(self.model)
        of_feeds = sum(feed.nbytes for feed in feeds.values())
        share = (ram - 2 * largest - (weights - of_feeds)) / of_feeds if of_feeds else 0.0
        if share >= LEAST_NEURONS:
            parts = {"weights": weights - of_feeds + int(share * of_feeds)}
            why = f"of {len(feeds)} feed-forward layers of ReLU {share:.0%} are in memory, neuron by neuron"
            yield self._chosen((NeuronsOnDisk(share=share, window=None),), parts, 0, largest, why)
        sizes = PagedWeights().sizes(self.model)
        rest = weights - sum(sizes)
        if sizes:
            share = min(1.0, max((ram - 2 * largest - rest) / sum(sizes), max(sizes) / sum(sizes)))
            parts = {"weights": rest + int(share * sum(sizes))}
            why = f"of {len(sizes)} layers {share:.0%} are in memory, the others are read from disk in each pass"
            yield self._chosen((PagedWeights(share=share, pinned=True),), parts, 0, largest, why)

    def _kept(self) -> Kept:
        ids = torch.zeros(self.batch, self.length, dtype=torch.int64)
        try:
            return kept_bytes(self.model, ids, run=self.run)
        except (RuntimeError, TypeError, IndexError) as error:
            raise InvalidInput(
                f"the model cannot read token ids of shape ({self.batch}, {self.length}), by which activations are counted: "
                f"{error} Give `run`, a function of the model and such ids up to the loss."
            ) from error

    @staticmethod
    def _chosen(methods: tuple[Method, ...], fixed: dict[str, int], kept: int, largest: int, why: str) -> Chosen:
        # two of the largest tensor: an operation's input and output, or a tensor and its gradient
        parts = {**fixed, "activations": kept, "working": 2 * largest}
        return Chosen(methods, Prediction(sum(parts.values()), 0.0, parts, (why,)))


@contextmanager
def offload(
    model: nn.Module, ram: float | str, *, optimiser: torch.optim.Optimizer | None = None, **knobs: Any
) -> Iterator[Chosen]:
    """Let a model train or run within some bytes inside the context; yield what was chosen, and why.

    `knobs` are those of `Fit`: batch, length, learns, states, run. Raises InvalidInput where it cannot fit.
    """
    chosen = Fit(model, ram, **knobs).choose()
    with attached(model, *chosen.methods, optimiser=optimiser):
        yield chosen


def nbytes(size: float | str) -> int:
    """Return the bytes that a size says: a number, or one with a unit such as GB (10^9) or GiB (2^30)."""
    if not isinstance(size, str):
        return int(size)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", size.upper())
    if found is None or found[2] not in UNITS:
        raise InvalidInput(f"{size!r} is no size: write one as '2GB' or '512 MiB'.")
    return int(float(found[1]) * UNITS[found[2]])
