"""SubGen: attention estimated from clusters of keys and samples of values, in memory that grows with the clusters.

B batch, H key/value heads, M clusters, t samples of each, s samples of values, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.consolidate.sketch import Draws, Sketch
from mnemos.activation.entries import Entries
from mnemos.activation.method import CacheMethod
from mnemos.activation.plain import Plain
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "subgen",
    papers=(Paper("SubGen: Token Generation in Sublinear Time and Memory", "2402.06082"),),
    task="key-value",
    baselines=("streaming-llm", "h2o", "random-eviction", "sliding-window"),
    phase="decode",
)
@dataclass(frozen=True)
class SubGen:
    """Estimates the output z / tau of attention to all but the `recent` newest entries, which are exact.

    Normaliser: a key within `delta` of the nearest centre joins its cluster (n_i), otherwise it is a new centre; t of a
    cluster's keys are kept, uniformly (each is replaced with probability 1 / n_i): tau = sum_i n_i / t sum_j exp(q
    k_ij). Numerator: s pairs are kept in proportion to |v|^2 (each is replaced with probability |v|^2 / mu, mu the sum
    so far): z = sum_j mu / (s |v_j|^2) exp(q k_j) v_j.

    Nothing is sampled before more than `recent` + s entries have been read: until then all of them are exact.

    With `share` the sizes are those of that share of the prompt's entries: half recent, a quarter for each estimate; a
    share of 1 keeps everything as it is. An entry is added to the sketch when it is no longer recent, in O((M + s) D);
    the draws depend on `seed`, layer, head and position, not on the row. On the small model the estimates miss single
    facts: at the same bytes it answers less than the most recent entries alone.
    """

    delta: float = (
        0.5  # radius of a cluster in mean norms of the prompt's keys, which is ours: one number for all layers
    )
    t: int = 2  # keys kept of a cluster
    s: int = 32  # pairs kept for the numerator
    recent: int = 32  # newest entries that are exact
    most: int | None = None  # clusters, beyond which a key joins the nearest; None: any number
    share: float | None = None  # derive the sizes from this share of the prompt's entries
    seed: int = 0  # of the draws

    def __post_init__(self) -> None:
        if self.delta < 0 or min(self.t, self.s, self.most or 1) < 1 or self.recent < 0:
            raise InvalidInput(f"{self}: give a delta and recent of 0 or more, and 1 or more samples and clusters.")

    def __call__(self, setup: Setup) -> SubGenStore:
        """Return the store of a layer."""
        return SubGenStore(self, setup.layer)

    def sizes(self, entries: Entries) -> tuple[int, int, int | None]:
        """Return recent entries, samples of values, and the most clusters, for a prompt; positions count as bytes."""
        if self.share is None:
            return self.recent, self.s, self.most
        each = entries.vector_bytes + 4
        count = max(4, int((self.share * len(entries) * entries.vector_bytes - 8) / each))
        return count // 2, count // 4, max(1, (count - count // 2 - count // 4) * 2 // (self.t + 1))

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Hold the estimates in the bytes of this share of the prompt's entries; with a share of 1, all entries."""
        return CacheMethod(store=SubGen(share=share))


def _present(entries: Entries) -> Tensor:
    """Return which entries are not padding, (B, H, T)."""
    return torch.ones_like(entries.positions(), dtype=torch.bool) if entries.valid is None else entries.valid


class SubGenStore(Plain):
    """Holds entries as they are while the prompt is read, then the recent ones, and the others in a sketch."""

    def __init__(self, subgen: SubGen, layer: int) -> None:
        super().__init__()
        self.subgen, self.layer = subgen, layer
        self.sketch: Sketch | None = None
        self.prompt = 0  # its entries; 0 while it is being read
        self.recent, self.samples, self.most = subgen.recent, subgen.s, subgen.most
        self.tokens_read = self.moved = 0  # tokens read; entries that are no longer among the recent
        self.until = 0  # the position behind the last of the latter

    def put(self, new: Entries) -> None:
        """Append the entries of a call, after adding those that are no longer recent to the sketch."""
        self._sample()
        if self.sketch is not None:
            positions = torch.arange(
                self.tokens_read, self.tokens_read + len(new), dtype=torch.int32, device=new.keys.device
            )
            new.position_ids = positions.expand(new.keys.shape[:3])
        self.tokens_read += len(new)
        super().put(new)

    def on_prefill_end(self) -> None:
        """Add what is left of the prompt to the sketch, but for the recent entries."""
        if self.entries is not None and not self.prompt:
            self.prompt = len(self.entries)
            self.recent, self.samples, self.most = self.subgen.sizes(self.entries)
            self._sample()

    def _sample(self) -> None:
        """Add what is no longer recent to the sketch, unless all entries fit into what it may hold."""
        entries = self.entries
        if entries is None or not self.prompt or self.subgen.share == 1:
            return
        if self.sketch is None:
            if len(entries) <= self.recent + self.samples:
                return
            norm = (entries.keys.norm(dim=-1) * _present(entries))[:, :, : self.prompt].sum(2)
            norm = norm / _present(entries)[:, :, : self.prompt].sum(2).clamp_min(1)
            self.sketch = Sketch.empty(self.subgen.delta * norm, entries.keys, self.subgen.t, self.samples)
            entries = self.entries = entries.numbered()
        if (count := len(entries) - self.recent) > 0:
            self._move(entries, self.sketch, count)

    def _move(self, entries: Entries, sketch: Sketch, count: int) -> None:
        """Add the oldest `count` of the recent entries to the sketch."""
        old = entries.first(count)
        sketch.add(
            old.keys, old.values, _present(old), self.most, Draws(self.subgen.seed * 1009 + self.layer, self.moved)
        )
        self.moved += count
        self.until = int(old.positions().max()) + 1
        self.entries = entries.after(count)

    def read(self, query: Tensor, start: int) -> Entries:
        """Return numerator, normaliser and recent entries as one, values with a channel more: 1 in the normaliser.

        Attention over them gives z / (z's own sum + tau) and, in the last channel, tau / (z's own sum + tau).
        """
        entries = super().read(query, start)
        if self.sketch is None:
            return entries
        keys, values, bias = self.sketch.entries()
        past = torch.zeros(bias.shape, dtype=torch.int32, device=bias.device)
        valid = None if entries.valid is None else torch.cat((past == 0, entries.valid), 2)
        recent = torch.nn.functional.pad(entries.values, (0, 1), value=1.0)
        return Entries(
            torch.cat((keys, entries.keys), 2),
            torch.cat((values, recent), 2),
            torch.cat((past, entries.positions()), 2),
            valid,
            torch.cat((bias, torch.zeros_like(entries.positions(), dtype=bias.dtype)), 2),
        )

    def finish(self, output: Tensor) -> Tensor:
        """Return z / tau from the output of attention (B, G*H, q, D + 1)."""
        return output if self.sketch is None else output[..., :-1] / output[..., -1:].clamp_min(1e-12)

    def replace(self, entries: Entries) -> None:
        """Hold these entries instead. Raises InvalidInput once the prompt has been read."""
        if self.sketch is not None:
            raise InvalidInput("SubGen cannot evict single entries: use a method without `decode`.")
        super().replace(entries)

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        super().select_rows(index)
        self.sketch = None if self.sketch is None else self.sketch.rows(index)

    def crop(self, end: int) -> None:
        """Remove the entries at or after position `end`. Raises InvalidInput where one is not recent any more."""
        if end < self.until:
            raise InvalidInput("some of the entries to remove are no longer among the recent: give a larger `recent`.")
        super().crop(end)
        self.tokens_read = end

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return super().nbytes + (0 if self.sketch is None else self.sketch.nbytes)

    @property
    def held(self) -> int:
        """Number of entries that are read."""
        sketch = self.sketch
        own = 0 if sketch is None else sketch.z_keys.shape[2] + sketch.counts.shape[2] * self.subgen.t
        return super().held + own
