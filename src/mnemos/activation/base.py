"""The contracts of activation memory: what a cache method is made of, and what each part may change.

A cache method (`method.CacheMethod`) is a score, budgets, an allocation, an eviction action and a store. A new method
is one short file with one of these; `plain` has the null implementations. Dimension letters, here and in the whole
package:

    B batch, H key/value heads, G query heads per key/value head, T entries in the cache, q queries of a call, D head
    width
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from mnemos.activation import attention
from mnemos.activation.entries import Entries
from mnemos.activation.rotary import Rotary
from mnemos.activation.transcript import Transcript
from mnemos.errors import InvalidInput


def no_rotary() -> Rotary:
    """Raise InvalidInput: a view that no cache has made knows no model."""
    raise InvalidInput("this view knows no model: give it the rotation of one.")


@dataclass
class LayerView:
    """One layer right after it has attended: the queries of the call and the entries that they attended to.

    A view is valid during the call it was made for. A method reads it; it may write to `memory`, to `shared` and to the
    memory of the entries (`entries.memory`), and to nothing else.
    """

    layer: int  # its index
    layers: int  # how many the model has
    query: Tensor  # (B, H*G, q, D)
    entries: Entries  # (B, H, T, D), those of this call included
    start: int  # position of the first query
    tokens_read: int  # those of this call included
    scaling: float  # of the logits
    window: int | None = None  # of a layer with sliding-window attention
    prompt: int = 0  # tokens read when the last prompt ended; 0 while one is being read
    steps: int = 0  # calls since the prompt
    memory: dict[str, Any] = field(default_factory=dict)  # what a method remembers of this layer
    module: Any = None  # the model's attention module
    transcript: Transcript = field(default_factory=Transcript)  # the tokens read, for scores that are `NeedsTokens`
    shared: dict[str, Any] = field(default_factory=dict)  # what a method remembers of all layers
    softcap: float | None = None  # of the logits: Gemma 2
    heads: Tensor | None = None  # (n,): the key/value heads that it shows; None: all of the layer
    rotary: Callable[[], Rotary] = no_rotary  # raises InvalidInput for a model whose keys cannot be moved
    _mass: Tensor | None = field(default=None, init=False, repr=False)  # computed once for all who ask

    @property
    def queries(self) -> int:
        """Number of tokens that this call read."""
        return int(self.query.shape[2])

    @property
    def groups(self) -> int:
        """Query heads per key/value head, G."""
        return int(self.query.shape[1] // self.entries.keys.shape[1])

    def weights(self, last: int | None = None) -> Tensor:
        """Return the attention of the `last` queries (default: all of this call), (B, H, G, n, T); O(n T D)."""
        return attention.weights(self.query, self.entries, self.start, self.scaling, self.window, last, self.softcap)

    def attention_mass(self) -> Tensor:
        """Return the attention that each entry received in this call, over all queries, (B, H, G, T); O(q T D) once."""
        if self._mass is None:
            self._mass = attention.attention_mass(
                self.query, self.entries, self.start, self.scaling, self.window, self.softcap
            )
        return self._mass

    def weight_blocks(self) -> Iterator[tuple[int, int, int, Tensor]]:
        """Yield the attention of all queries in blocks: row, head, first query, weights (G, n, t up to T)."""
        return attention.weight_blocks(self.query, self.entries, self.start, self.scaling, self.window, self.softcap)

    def of_heads(self, heads: Tensor) -> LayerView:
        """Return the view of some key/value heads (n,), with their entries and queries."""
        asking = attention.query_heads(heads, self.groups)
        own = heads if self.heads is None else self.heads[heads]
        return replace(self, query=self.query.index_select(1, asking), entries=self.entries.heads(heads), heads=own)

    def part(self, first: int, count: int) -> LayerView:
        """Return the view of `count` queries from `first` on, over the same entries."""
        return replace(self, query=self.query[:, :, first : first + count], start=self.start + first)


@dataclass(frozen=True)
class Setup:
    """What a store receives from the cache when it is created."""

    layer: int  # its index
    layers: int  # how many the model has
    rotary: Callable[[], Rotary]  # raises InvalidInput for a model whose keys cannot be moved
    model: Any
    transcript: Callable[[], Transcript]  # the tokens read, for factories that are `NeedsTokens`
    shared: dict[str, Any] = field(default_factory=dict)  # of all layers of a cache
    heads: Tensor | None = None  # (n,): the key/value heads that it holds; None: all of the layer


def counted(entries: float) -> int:
    """Return the whole entries of a number of them: never more, but at least one."""
    return max(1, int(entries + 1e-6))  # 0.29 of 100 is 28.999... in binary


# -- scores: which entries matter


class Score(Protocol):
    """Ranks entries. Asked only when something has to be evicted."""

    def __call__(self, view: LayerView) -> Tensor:
        """Return a number for each entry, (B, H, T): the largest are kept. Changes no entry.

        Shapes that broadcast to (B, H, T) are enough. Scores of padding are ignored: padding is evicted first. May
        raise InvalidInput for a model or a batch that the method cannot rank.
        """
        ...


@runtime_checkable
class Observer(Protocol):
    """A score that learns from every call, whether or not something is evicted after it."""

    def observe(self, view: LayerView) -> None:
        """Update what the score remembers: `view.entries.memory(name)`, `view.memory`, `view.shared`; nothing else."""
        ...


@runtime_checkable
class NeedsTokens(Protocol):
    """A score or a store factory that reads the transcript: the tokens read, and how surprising each was.

    Where it is a score, entries are evicted after the call, when its logits are known.
    """

    needs_tokens: ClassVar[bool]  # True


@runtime_checkable
class Rereading(Protocol):
    """A score that lets the model read a prompt again before any of it is evicted. It is `NeedsTokens`, too."""

    def reread(self, model: Any, tokens: Tensor, views: Sequence[LayerView]) -> None:
        """Learn from a second reading of the tokens (B, T) since the last prompt; `views` are those of all layers.

        A layer whose heads hold different numbers of entries has several views.

        Called once, when the prompt's logits are known. May write to the memory of the views' entries, and to nothing
        else. May raise InvalidInput for a batch that it cannot read.
        """
        ...


# -- allocations: how many entries each layer and head keeps


class Allocation(Protocol):
    """Shares the budget of a prompt among layers, or layers and heads. Asked once all layers have read the prompt."""

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return what `counts` wants to know of a layer, such as a number () or one per head (H,).

        `score` (B, H, T) is the rank of its entries. Changes nothing.
        """
        ...

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries that each layer keeps, () or per head (H,).

        `needs` has one item per layer. The counts sum to `each` times the number of layers (and heads), and none is
        above `held`, the entries of a layer before eviction.
        """
        ...


# -- eviction: what happens to the entries that are not kept


class OnEvict(Protocol):
    """Turns the entries of a layer into those it keeps."""

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return the entries that the store holds from now on, in ascending order of their positions.

        `keep` (B, H, n) are the indices of the entries that stay, ascending; `score` (B, H, T) is the rank of all. What
        is not in the result is freed: return tensors of your own, never slices of the old ones.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """An eviction that remembers numbers of the entries that stay."""

    def entry_bytes(self, entries: Entries) -> int:
        """Return the bytes that it will add to each entry of a head, to keep a budget in bytes."""
        ...


# -- stores: how a layer holds its entries


class EntryStore(Protocol):
    """Holds the entries of some heads of a layer.

    Only `put`, `replace`, `select_rows`, `crop` and `on_prefill_end` change the entries.
    """

    def put(self, new: Entries) -> None:
        """Append the entries of a call. Raises InvalidInput for what the store cannot hold, such as padding."""
        ...

    def read(self, query: Tensor, start: int) -> Entries:
        """Return the entries that the queries (B, H*G, q, D) of a call attend to, the new ones included, in order.

        The result is valid until the next change of the store. An empty `query` asks for all entries.
        """
        ...

    def replace(self, entries: Entries) -> None:
        """Hold these entries instead, after an eviction. Raises InvalidInput where nothing can be evicted."""
        ...

    def select_rows(self, index: Tensor) -> None:
        """Keep the rows of the batch at `index`, in that order, repetitions included (beams)."""
        ...

    def crop(self, end: int) -> None:
        """Remove the entries at or after position `end`. Raises InvalidInput where that cannot be undone."""
        ...

    def on_prefill_end(self) -> None:
        """A prompt has been read and evicted from: compress what is left, if that is what the store does.

        Called again after each later prompt, where the method has a budget for prompts.
        """
        ...

    @property
    def nbytes(self) -> int:
        """Bytes held, of all tensors, the room reserved for later entries included."""
        ...

    @property
    def held(self) -> int:
        """Number of entries, of each row and head."""
        ...


class StoreFactory(Protocol):
    """Creates the store of a layer: the `store` of a cache method."""

    def __call__(self, setup: Setup) -> EntryStore:
        """Return an empty store. May raise InvalidInput for a model that it does not work with."""
        ...


@runtime_checkable
class Sized(Protocol):
    """A store factory whose entries do not take the bytes that they are read with."""

    def entries_in(self, nbytes: float, entries: Entries) -> int:
        """Return how many of the entries of a head are kept where it may hold `nbytes`; 0 or less: not even one."""
        ...


@runtime_checkable
class Budgeted(Protocol):
    """A store of which a budget does not count all entries."""

    @property
    def budgeted(self) -> int:
        """Number of entries of a head that a budget counts."""
        ...


@runtime_checkable
class Reopening(Protocol):
    """A store that compresses a prompt, and can let entries of it be evicted later."""

    def reopen(self) -> None:
        """Hold all entries as they are read, until the next `on_prefill_end`: a later prompt has been read."""
        ...


@runtime_checkable
class Trimming(Protocol):
    """A store that drops old entries without moving the others."""

    def trim(self, sinks: int, count: int) -> None:
        """Drop `count` entries behind the first `sinks`; what was read before is no longer valid."""
        ...


@runtime_checkable
class Stepwise(Protocol):
    """A store that answers at most `step` queries at once: longer calls are read in such parts, layer by layer."""

    @property
    def step(self) -> int:
        """The most queries of a `read`."""
        ...


@runtime_checkable
class Finishing(Protocol):
    """A store whose values are not yet what attention over them should give."""

    def finish(self, output: Tensor) -> Tensor:
        """Return the attention output (B, H*G, q, D) from that over what `read` returned."""
        ...


@runtime_checkable
class NeedsHiddenStates(Protocol):
    """A store that holds what the attention of its layer reads, instead of keys and values."""

    def put_hidden_states(self, states: Tensor) -> None:
        """Take the hidden states of a call, (B, q, width). Called right before `put`."""
        ...


# -- whole methods


class AtShare(Protocol):
    """A preset: a whole cache method for a share of the bytes of a full cache."""

    def __call__(self, share: float, /) -> Any:
        """Return the `CacheMethod` that holds about `share` (0 to 1) of a full cache.

        Raises InvalidInput for a share that it cannot hold.
        """
        ...


@runtime_checkable
class HasPreset(Protocol):
    """A registered class with a preset of its own."""

    at_share: AtShare


class Reader(Protocol):
    """Reads a whole text by itself, into caches that it makes."""

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read a text."""
        ...


KINDS: dict[str, type] = {
    "score": Score,
    "allocation": Allocation,
    "on-evict": OnEvict,
    "store": StoreFactory,
    "preset": AtShare,
    "reader": Reader,
    "layer": nn.Module,
}  # of what is registered; the first that fits
