"""Tokens a second of a model whose layers are partly in memory and partly on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mnemos.errors import InvalidInput
from mnemos.footprint.base import Prediction
from mnemos.registry import Paper, register


@register(
    "tiers",
    papers=(
        Paper(
            "MoE-Lens: Towards the Hardware Limit of High-Throughput MoE LLM Serving Under Resource Constraints",
            "2504.09345",
        ),
    ),
)
@dataclass(frozen=True)
class Tiers:
    """Predict the throughput of generating with some layers in memory and the others read from disk in every pass.

    A pass reads what is not in memory, and computes a token of each sequence: bytes / bandwidth + fixed + each * batch seconds.
    More sequences spread a read over more tokens, and take memory for their keys and values, which layers then do not have. The
    rates are measured before: those of the disk and of two passes in memory.
    """

    layer: int  # bytes of one
    layers: int  # of the model
    memory: int  # bytes for layers and caches
    bandwidth: float  # bytes a second from disk
    fixed: float = 0.0  # seconds of computing a pass
    each: float = 0.0  # more of them for each sequence
    latency: float = 0.0  # seconds until a read of a layer begins
    batch: int = 1  # sequences
    cache: int = 0  # bytes of the keys and values of a sequence

    @property
    def resident(self) -> int:
        """Layers that stay in memory: as many as leave room for one that is read, or all."""
        room = self.memory - self.batch * self.cache
        return self.layers if room >= self.layers * self.layer else max(0, room // self.layer - 1)

    def predict(self) -> Prediction:
        """Return bytes, and the seconds of a pass. Raises InvalidInput where caches leave no room for a layer."""
        if self.memory - self.batch * self.cache < self.layer:
            raise InvalidInput(
                f"{self.batch} sequences leave no room for a layer of {self.layer} bytes: give fewer, or more memory."
            )
        read = self.layers - self.resident
        seconds = read * (self.layer / self.bandwidth + self.latency) + self.fixed + self.each * self.batch
        parts = {"layers": min(self.layers, self.resident + 1) * self.layer, "caches": self.batch * self.cache}
        why = f"{self.resident} of {self.layers} layers stay in memory: {self.batch / seconds:.4g} tokens a second"
        return Prediction(sum(parts.values()), seconds, parts, (why,))

    @property
    def throughput(self) -> float:
        """Tokens a second, of all sequences."""
        return self.batch / self.predict().seconds

    def best(self, batches: Iterable[int]) -> Tiers:
        """Return the one of these numbers of sequences with the most tokens a second."""
        found = [replace(self, batch=batch) for batch in batches]
        fit = [tiers for tiers in found if self.memory - tiers.batch * self.cache >= self.layer]
        if not fit:
            raise InvalidInput(
                "none of these numbers of sequences leaves room for a layer: give fewer, or more memory."
            )
        return max(fit, key=lambda tiers: tiers.throughput)
