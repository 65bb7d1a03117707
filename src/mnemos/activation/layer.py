"""One layer of a cache: what it holds, and when it lets go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin

from mnemos.activation.attention import attend, query_heads
from mnemos.activation.entries import Entries
from mnemos.activation.method import EntryStore, LayerView, Plain, counted
from mnemos.errors import InvalidInput

if TYPE_CHECKING:
    from mnemos.activation.cache import MemoryCache


@dataclass
class Group:
    """Heads that hold equally many entries; `heads` is None when it is all of them."""

    heads: Tensor | None
    store: EntryStore


@dataclass
class Pending:
    """A layer that has read the prompt and waits for the others, to share a budget with them."""

    layer: CacheLayer
    view: LayerView
    each: int
    rank: Tensor
    need: Tensor


class CacheLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer of a `MemoryCache`. `seen` counts tokens read, `held` entries kept: they are never the same thing."""

    is_sliding = False
    is_compileable = False
    supports_early_init = False

    def __init__(self, cache: MemoryCache, index: int) -> None:
        self.cache = cache
        self.index = index
        self.inputs: Tensor | None = None  # what this layer reads, (B, q, width), where a store wants it
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.tokens_read = 0
        self.batch = 0  # rows
        self.prompt = 0
        self.steps = 0
        self.memory: dict[str, Any] = {}
        self.deferred: list[LayerView] = []  # a call whose entries go once its logits are known
        self.groups = [Group(None, self.cache.method.store(self.cache.setup(self.index)))]
        self.is_initialized = False

    @property
    def keys(self) -> Tensor:
        """The keys held, (B, H, T, D)."""
        return self._whole().keys

    @property
    def values(self) -> Tensor:
        """The values held, (B, H, T, D)."""
        return self._whole().values

    def _whole(self) -> Entries:
        if len(self.groups) > 1:
            raise InvalidInput("the heads of this layer hold different numbers of entries: read `groups` instead.")
        return self.groups[0].store.read(torch.empty(0), self.tokens_read)

    @property
    def held(self) -> list[int]:
        """Entries held, for each group of heads."""
        return [group.store.held for group in self.groups]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(group.store.nbytes for group in self.groups)

    # -- what transformers calls

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor | None = None) -> None:
        """Nothing is made beforehand."""
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Hand the new keys and values on to the attention function, marked as this layer's; it keeps them."""
        if self.index == 0:
            self.cache.check_attached()
        self.is_initialized = True
        key_states._mnemos_layer = self
        return key_states, value_states

    def get_seq_length(self, *args: Any) -> int:
        """Return the tokens seen: positions go on from there."""
        return self.tokens_read

    def get_mask_sizes(self, query_length: Any) -> tuple[int, int]:
        """Return the sizes of a mask over all tokens seen; the mask over what is held is made when attending."""
        count = query_length if isinstance(query_length, int) else int(query_length.shape[0])
        return self.tokens_read + count, 0

    def get_max_length(self) -> int:
        """Return -1: there is no limit to what may be read."""
        return -1

    get_max_cache_shape = get_max_length  # its name before transformers 5

    @property
    def is_croppable(self) -> bool:
        """Whether `crop` can undo the last calls: nothing may have gone in them."""
        return self.cache.method.decode is None

    def crop(self, count: int) -> None:
        """Let go of the last `-count` tokens, or (transformers 4) of those after the first `count`. Raises InvalidInput."""
        seen = self.tokens_read + count if count <= 0 else min(count, self.tokens_read)
        if seen == self.tokens_read:
            return
        if not self.is_croppable or (seen < self.prompt and self.cache.method.prompt is not None):
            raise InvalidInput(
                "this cache has dropped entries since and cannot go back: use a method without `decode`."
            )
        for group in self.groups:
            group.store.crop(seen)
        self.tokens_read = seen

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep some rows of the batch, in that order."""
        self.batch = len(beam_idx) if self.tokens_read else 0
        for group in self.groups:
            group.store.rows(beam_idx)

    batch_select_indices = reorder_cache

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every row of the batch."""
        self.reorder_cache(torch.arange(self.batch).repeat_interleave(repeats))

    # -- what the attention function calls

    def attend(self, module: Any, query: Tensor, new: Entries, scaling: float, window: int | None) -> Tensor:
        """Take in the entries of a call, return the output of its queries, then let go of what need not stay."""
        self.evict_deferred()
        step = getattr(self.groups[0].store, "step", None)  # the most queries that a store answers at once
        if step is not None and window is None and query.shape[2] > step:
            return self._in_steps(step, module, query, new, scaling)
        start, method = self.tokens_read, self.cache.method
        if window is not None and not start:
            self.groups = [Group(None, Plain())]
        if self.prompt:
            self.steps += 1
        self.tokens_read += query.shape[2]
        self.batch = query.shape[0]
        views, output = [], None
        resting = self.prompt > 0 and method.rests  # nothing goes any more: nothing has to be looked at
        for group in self.groups:
            some = new if group.heads is None else new.heads(group.heads)
            if group.store.held != start:  # something was dropped: positions no longer follow from the order
                some.position_ids = self.cache.positions(start, self.tokens_read, query.device).expand(
                    some.keys.shape[:3]
                )
            if self.inputs is not None and window is None:
                group.store.inputs = self.inputs  # type: ignore[attr-defined]
            group.store.put(some)
            heads = None if group.heads is None else query_heads(group.heads, query.shape[1] // new.keys.shape[1])
            asking = query if heads is None else query.index_select(1, heads)
            entries = group.store.read(asking, start)
            if not resting:
                views.append(
                    LayerView(self.index, len(self.cache.layers), asking, entries, start, self.tokens_read, scaling, window,
                         self.prompt, self.steps, self.memory, module, self.cache.transcript, self.cache.shared)
                )  # fmt: skip
            part = attend(
                asking, self._reindexed(entries) if method.reindex_positions else entries, start, scaling, window
            )
            if hasattr(group.store, "finish"):  # a store whose values are not yet what they stand for
                part = group.store.finish(part)
            if heads is None:
                output = part
            else:
                output = query.new_empty(*query.shape[:3], part.shape[3]) if output is None else output
                output.index_copy_(1, heads, part)
        assert output is not None
        self.inputs = None
        if window is not None:
            self._slide(window)
        elif resting:
            return output
        elif getattr(method.score, "needs_tokens", False):
            self.deferred = views
        else:
            self.evict(views)
        if self.index == len(self.cache.layers) - 1:
            self.cache.share()
        return output

    def evict_deferred(self) -> None:
        """Run an eviction that waited for the logits of its call: after the call, or when the next one begins."""
        views, self.deferred = self.deferred, []
        if views:
            self.evict(views)
            if self.index == len(self.cache.layers) - 1:
                self.cache.share()

    def _in_steps(self, step: int, module: Any, query: Tensor, new: Entries, scaling: float) -> Tensor:
        """Attend in parts of `step` queries: for one layer, that is what reading the text in such chunks would be."""
        outputs, reading = [], self.cache.reading
        for first in range(0, query.shape[2], step):
            part = slice(first, first + step)
            self.cache.reading = "on" if part.stop < query.shape[2] else reading
            some = new.each(lambda t, part=part: t[:, :, part])  # type: ignore[misc]
            outputs.append(self.attend(module, query[:, :, part], some, scaling, None))
        return torch.cat(outputs, 2)

    def _reindexed(self, entries: Entries) -> Entries:
        """Move keys as if what is held stood without gaps right before the last token."""
        if entries.position_ids is None:
            return entries
        rank = torch.arange(self.tokens_read - len(entries), self.tokens_read, device=entries.position_ids.device)
        moved = self.cache.rotary().shift(entries.keys, rank - entries.position_ids)
        return Entries(moved, entries.values, entries.position_ids, entries.valid, entries.bias)

    def _slide(self, window: int) -> None:
        """A layer with a sliding window holds what the window can still show, and no method has a say."""
        for group in self.groups:
            if group.store.held > window - 1 and isinstance(group.store, Plain):
                entries = group.store.read(torch.empty(0), self.tokens_read)
                size = entries.keys.shape
                last = torch.arange(len(entries) - window + 1, len(entries), device=entries.keys.device)
                group.store.replace(entries.gather(last.expand(size[0], size[1], -1)))

    def evict(self, views: list[LayerView]) -> None:
        """Let the score learn from a call, then evict what the budgets do not hold."""
        method, reading = self.cache.method, self.cache.reading
        for view in views:
            method.observe(view)
        ended = not self.prompt and reading != "on"
        if ended:
            self.prompt = self.tokens_read
        count = method.of_prompt(self.tokens_read, len(views[0].entries)) if ended else None
        if count is not None and method.allocation is not None:
            rank = method.rank(views[0], count)
            self.cache.waiting.append(Pending(self, views[0], count, rank, method.allocation.need(views[0], rank)))
            return
        if count is not None:
            self.evict_to(self.groups[0], views[0], count)
        elif (most := self._most()) is not None:
            for group, view in zip(self.groups, views, strict=True):
                limit = most + view.entries.before(self.prompt) if method.separate_budgets else most
                if len(view.entries) > limit:
                    self.evict_to(group, view, limit)
        if ended:
            self.on_prefill_end()

    def _most(self) -> int | None:
        """Return the most entries that may be held after this call; None when any number may."""
        method = self.cache.method
        if method.decode is None or (method.separate_budgets and not self.steps) or self.steps % method.interval:
            return None
        if isinstance(method.decode, float):
            return counted(method.decode, self.tokens_read - (self.prompt if method.separate_budgets else 0))
        return method.decode if isinstance(method.decode, int) else method.decode(self.steps)

    def evict_to(self, group: Group, view: LayerView, count: int) -> None:
        """Evict all but the `count` entries that rank highest from a group of heads."""
        method = self.cache.method
        if count >= len(view.entries):
            return
        view.entries = view.entries.numbered()
        rank = method.rank(view, count)
        group.store.replace(method.on_evict(view, method.keep(rank, count), rank))

    def share(self, view: LayerView, rank: Tensor, counts: Tensor) -> None:
        """Keep what this layer's part of a shared budget allows: one number, or one for each head."""
        method = self.cache.method
        view.entries = view.entries.numbered()
        if counts.dim() == 0 or bool((counts == counts[0]).all()):
            count = int(counts.flatten()[0])
            self.groups[0].store.replace(method.on_evict(view, method.keep(rank, count), rank))
        else:
            self.groups = []
            for count in counts.unique().tolist():
                heads = (counts == count).nonzero()[:, 0]
                some, part = view.at(heads), rank.index_select(1, heads)
                store = method.store(self.cache.setup(self.index))
                store.replace(method.on_evict(some, method.keep(part, count), part))
                self.groups.append(Group(heads, store))
        self.on_prefill_end()

    def on_prefill_end(self) -> None:
        """Tell the stores that the prompt has been read."""
        for group in self.groups:
            group.store.on_prefill_end()
