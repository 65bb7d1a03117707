"""What a cache method is made of: a score, a budget, an action and a store. A new one gives one of these, in one short file.

score   what matters: a number for each entry, the larger the longer it stays
budget  how much stays: of the prompt, while generating, and how layers and heads share it (`Allocation`)
action  what becomes of the rest: dropped, or merged into what stays
store   how the rest of a layer's life is held: plainly, in few bits, in blocks that are fetched when asked for
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from mnemos.activation import attention
from mnemos.activation.entries import Entries
from mnemos.errors import InvalidInput


@dataclass
class LayerView:
    """What a method sees of one layer after it has attended: the queries of the call and what is held.

    `memory` is the layer's own and `shared` that of all layers, a method may keep what it likes there. `prompt` is the
    number of tokens of the prompt (0 while it is still being read), `steps` the calls since.
    """

    layer: int
    layers: int
    query: Tensor  # (B, H*G, q, D)
    entries: Entries
    start: int  # position of the first query
    tokens_read: int  # those of this call too
    scaling: float
    window: int | None = None
    prompt: int = 0
    steps: int = 0
    memory: dict[str, Any] = field(default_factory=dict)
    module: Any = None  # the attention module
    transcript: Any = None  # -> Transcript, of the tokens read, for scores with `needs_tokens`
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def queries(self) -> int:
        """How many tokens this call read."""
        return int(self.query.shape[2])

    @property
    def groups(self) -> int:
        """Query heads for each key/value head."""
        return int(self.query.shape[1] // self.entries.keys.shape[1])

    def weights(self, last: int | None = None) -> Tensor:
        """Return the attention of the `last` queries (default: all of this call), (B, H, G, n, T); O(n T D)."""
        return attention.weights(self.query, self.entries, self.start, self.scaling, self.window, last)

    def attention_mass(self) -> Tensor:
        """Return the attention each entry got in this call, summed over its queries, (B, H, G, T); O(q T D)."""
        return attention.attention_mass(self.query, self.entries, self.start, self.scaling, self.window)

    def at(self, heads: Tensor) -> LayerView:
        """Return the view of some key/value heads, with their entries and queries."""
        asking = attention.query_heads(heads, self.groups)
        return LayerView(
            **{**self.__dict__, "query": self.query.index_select(1, asking), "entries": self.entries.heads(heads)}
        )


def counted(share: float, count: int) -> int:
    """Return how many of `count` entries a share holds: never more, but one at least."""
    return max(1, int(share * count + 1e-6))  # a share such as 0.29 of 100 is 28.999... in binary


class Score(Protocol):
    """What matters."""

    def __call__(self, view: LayerView) -> Tensor:
        """Return a number for each entry, (B, H, T): those with the largest stay. Changes nothing that is held."""
        ...


class Observer(Score, Protocol):
    """A score that learns from every call, not only from those after which something goes."""

    def observe(self, view: LayerView) -> None:
        """Look at a call: change what is remembered of the entries (`view.entries.memory`), nothing else."""
        ...


class Allocation(Protocol):
    """How layers (and heads) share a budget. It is asked once all layers have read the prompt."""

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return what a layer needs, as `counts` wants it: a number (), one for each of its heads (H,), or the score."""
        ...

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries that each layer keeps, () or for each of its heads (H,).

        They sum to `each` for every layer (and head); none is above `held`.
        """
        ...


class OnEvict(Protocol):
    """What becomes of the entries that do not stay."""

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return what is held from now on; `keep` (B, H, n) are the indices that stay, in order."""
        ...


class EntryStore(Protocol):
    """How a layer holds entries. `put` and `replace` change it, nothing else does."""

    def put(self, new: Entries) -> None:
        """Append the entries of a call."""
        ...

    def read(self, query: Tensor, start: int) -> Entries:
        """Return what the queries of a call attend to, the new entries among them, in order."""
        ...

    def replace(self, entries: Entries) -> None:
        """Hold these instead, after an action."""
        ...

    def rows(self, index: Tensor) -> None:
        """Keep some rows of the batch, in that order (beams)."""
        ...

    def crop(self, end: int) -> None:
        """Let go of what stands at or after position `end`. Raises InvalidInput when that cannot be undone."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...

    @property
    def held(self) -> int:
        """Entries held, for each row and head."""
        ...

    def on_prefill_end(self) -> None:
        """The prompt has been read, and what goes has gone: the moment to compress what stays."""
        ...


class Drop:
    """The entries that do not stay are freed."""

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return the entries that stay."""
        return view.entries.gather(keep)


class Plain:
    """Entries as they are."""

    def __init__(self, entries: Entries | None = None) -> None:
        self.entries = entries

    def put(self, new: Entries) -> None:
        """Append; O(q), and O(T) once in T / 32 tokens."""
        self.entries = new.owned() if self.entries is None else self.entries.joined(new)

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all."""
        assert self.entries is not None
        return self.entries

    def replace(self, entries: Entries) -> None:
        """Hold these instead."""
        self.entries = entries

    def rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        if self.entries is not None:
            self.entries = self.entries.rows(index)

    def crop(self, end: int) -> None:
        """Drop what stands at or after a position."""
        if self.entries is not None:
            self.entries = self.entries.first(self.entries.before(end))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return 0 if self.entries is None else self.entries.nbytes

    @property
    def held(self) -> int:
        """Entries held."""
        return 0 if self.entries is None else len(self.entries)

    def on_prefill_end(self) -> None:
        """Nothing to do."""


@dataclass(frozen=True)
class Setup:
    """What a store may need to know of the model when it is made."""

    layer: int
    layers: int
    rotary: Callable[[], Any]  # -> Rotary; raises InvalidInput where keys cannot be moved
    model: Any
    transcript: Callable[[], Any]  # -> Transcript, of the tokens read, for factories with `needs_tokens`
    shared: dict[str, Any] = field(default_factory=dict)  # of all layers of a cache


@dataclass(frozen=True)
class CacheMethod:
    """A cache method: which entries stay, how many, what becomes of the others, and how those that stay are held.

    `prompt` is what stays of the prompt: a share (float, 0 to 1; rounded down, but one entry at least) or a number of
    entries. `decode` is the most that is held afterwards (a number, a share of the tokens seen, or a function of the
    calls since the prompt), enforced every `interval` calls; with `separate_budgets` it counts generated tokens only
    and the prompt's entries stay (SCOPE). `sinks` first and `recent` last entries always stay; `recent` may be a share
    of what stays. With `reindex_positions`, keys are moved as if the gaps left by dropped entries were not there
    (StreamingLLM); else they keep the positions at which they were read.
    """

    score: Score | None = None  # None: the most recent stay
    prompt: float | int | None = None
    decode: float | int | Callable[[int], int] | None = None
    interval: int = 1
    separate_budgets: bool = False
    sinks: int = 0
    recent: int | float = 0
    allocation: Allocation | None = None  # None: all layers and heads alike
    on_evict: OnEvict = field(default_factory=Drop)
    store: Callable[[Setup], EntryStore] = lambda setup: Plain()
    reindex_positions: bool = False

    def __post_init__(self) -> None:
        for name in ("prompt", "decode"):
            value = getattr(self, name)
            if isinstance(value, float) and not 0 < value <= 1:
                raise InvalidInput(
                    f"{name} is {value}: a share is above 0 and at most 1; give a whole number for entries."
                )
            if isinstance(value, int) and value < 1:
                raise InvalidInput(f"{name} is {value}: at least one entry must stay.")
        if self.interval < 1:
            raise InvalidInput(f"interval is {self.interval}, expected 1 or more calls.")

    @property
    def rests(self) -> bool:
        """Whether nothing is let go of, or looked at, once the prompt has been read."""
        return self.decode is None and not any(hasattr(self.score, name) for name in ("observe", "needs_tokens"))

    def of_prompt(self, seen: int, held: int) -> int | None:
        """Return how many entries stay of a prompt of `seen` tokens, of which `held` are left; None when all do."""
        if self.prompt is None:
            return None
        return min(held, counted(self.prompt, seen) if isinstance(self.prompt, float) else self.prompt)

    def observe(self, view: LayerView) -> None:
        """Let the score learn from a call."""
        observe = getattr(self.score, "observe", None)
        if observe is not None:
            observe(view)

    def rank(self, view: LayerView, count: int) -> Tensor:
        """Return what decides which `count` stay, (B, H, T) in float32: the score, padding last, sinks and recents first."""
        entries = view.entries
        positions = entries.positions()
        score = (positions if self.score is None else self.score(view)).float().expand(positions.shape).clone()
        top = torch.finfo(torch.float32).max
        if entries.valid is not None:
            score.masked_fill_(~entries.valid, -top)
        recent = int(self.recent * count) if isinstance(self.recent, float) else self.recent
        if recent:
            last = positions >= view.tokens_read - recent
            score = torch.where(last, top / 4 + positions * (top / 8 / max(view.tokens_read, 1)), score)
        if self.sinks:
            valid = torch.ones_like(positions) if entries.valid is None else entries.valid.long()
            score.masked_fill_((valid.cumsum(2) <= self.sinks) & (valid > 0), top / 2)
        if self.separate_budgets and view.prompt and view.steps:
            score.masked_fill_(positions < view.prompt, top)
        return score

    def keep(self, rank: Tensor, count: int) -> Tensor:
        """Return the indices of the `count` entries that rank highest, in order, (B, H, count)."""
        return rank.topk(count, dim=2).indices.sort(2).values
