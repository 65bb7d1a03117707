"""One layer of a cache: what it holds, and how it attends."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin

from mnemos.activation.attention import attend
from mnemos.activation.base import LayerView
from mnemos.activation.entries import Entries
from mnemos.activation.evicting import Evicting
from mnemos.activation.groups import HeadGroup, asking_of, together
from mnemos.activation.plain import Plain
from mnemos.activation.shared import CacheState
from mnemos.activation.undo import Unsettled, cropped, end_of_crop
from mnemos.errors import InvalidInput


class CacheLayer(Evicting, CacheLayerMixin):  # type: ignore[misc]
    """One layer of a `MemoryCache`.

    `tokens_read` counts the tokens read and `held` the entries in the cache: do not confuse them.
    """

    is_sliding = False
    is_compileable = False
    supports_early_init = False

    def __init__(self, state: CacheState, index: int) -> None:
        self.state = state
        self.index = index
        self.reset()

    def reset(self) -> None:
        """Forget what has been read."""
        self.tokens_read = 0
        self.batch = 0  # rows
        self.prompt = 0  # tokens of the prompt; 0 while it is being read
        self.compressed = 0  # tokens of the last prompt that a budget was applied to
        self.steps = 0  # calls since the prompt
        self.memory: dict[str, Any] = {}
        self.hidden_states: Tensor | None = (
            None  # what this layer reads in this call, (B, q, width), where a store wants it
        )
        self.deferred: list[LayerView] = []  # of a call whose eviction waits for its logits
        self.unsettled: Unsettled | None = None  # a call after which nothing was evicted yet
        self.window: int | None = None  # of a layer with sliding-window attention
        self.softcap: float | None = None  # of the logits
        self.groups = [HeadGroup(None, self.state.method.store(self.state.setup(self.index)))]
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
        """Entries held, of each group of heads."""
        return [group.store.held for group in self.groups]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(group.store.nbytes for group in self.groups)

    # -- what transformers calls

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor | None = None) -> None:
        """Mark the layer as initialized: nothing is allocated in advance."""
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Return the new keys and values, marked as this layer's: the attention backend stores them."""
        self.state.give(self)
        self.is_initialized = True
        key_states._mnemos_layer = self
        return key_states, value_states

    def get_seq_length(self, *args: Any) -> int:
        """Return the number of tokens read: positions continue from there."""
        return self.tokens_read

    def get_mask_sizes(self, query_length: Any) -> tuple[int, int]:
        """Return the sizes of a mask over all tokens read; the mask over the entries is made when attending."""
        count = query_length if isinstance(query_length, int) else int(query_length.shape[0])
        return self.tokens_read + count, 0

    def get_max_length(self) -> int:
        """Return -1: there is no limit to what may be read."""
        return -1

    get_max_cache_shape = get_max_length  # its name before transformers 5

    @property
    def is_croppable(self) -> bool:
        """Whether `crop` can undo the last calls: nothing may have been evicted in them."""
        return self.state.waits or self.state.method.decode is None

    def check_crop(self, count: int) -> int:
        """Return how many tokens are left when the last `-count` are removed; above 0, `count` is that number itself.

        Raises InvalidInput where entries have been evicted since.
        """
        return end_of_crop(self, count)

    def crop(self, count: int) -> None:
        """Remove the last `-count` tokens, or (transformers 4) all after the first `count`.

        What waited to be evicted is evicted then, as if what is removed had never been read. Raises InvalidInput where
        entries have been evicted since.
        """
        end = self.check_crop(count)
        if end < self.tokens_read:
            for group in self.groups:
                group.store.crop(end)
            waiting, self.tokens_read = self.unsettled, end
            if waiting is not None and end <= waiting.start:
                self.unsettled, (self.prompt, self.steps) = None, waiting.before
            elif waiting is not None and waiting.views:
                pairs = zip(waiting.views, self.groups, strict=True)
                waiting.views = [cropped(view, group, end) for view, group in pairs]
        self.settle()
        self.evict_deferred()

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep some rows of the batch, in that order."""
        self.batch = len(beam_idx) if self.tokens_read else 0
        for group in self.groups:
            group.store.select_rows(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows of the batch, in that order."""
        self.reorder_cache(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every row of the batch."""
        if self.batch:
            self.reorder_cache(torch.arange(self.batch).repeat_interleave(repeats))

    # -- what the attention backend calls

    def attend_to(
        self, module: Any, query: Tensor, new: Entries, scaling: float, window: int | None, softcap: float | None = None
    ) -> Tensor:
        """Attend to what is held and the entries of a call, which are stored; or again, for a layer that shares them.

        Raises InvalidInput for a layer that attends twice in a call otherwise.
        """
        state, self.window, self.softcap = self.state, window, softcap
        if state.given is self:
            state.given = None
            return self.attend(module, query, new, scaling, window)
        if self.unsettled is None or not state.shares_keys:
            raise InvalidInput(f"layer {self.index} attends twice in one call, which is not supported.")
        start = self.tokens_read - query.shape[2]  # the model may ask for the last tokens only
        pairs = asking_of(self.groups, query, new.keys.shape[1])
        outputs = [self._attended(g, q, g.store.read(q, start), start, scaling, window) for g, q in pairs]
        return together(self.groups, outputs, query)

    def attend_expanded(
        self,
        query: Tensor,
        made: Entries,
        valid: Tensor | None,
        scaling: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        """Raise InvalidInput: the model attends to other keys than those that it gave to the cache."""
        raise InvalidInput(
            f"{type(self.state.model).__name__} attends to other keys than those that it gives to the cache, which is not "
            "supported: use the cache of transformers for this model."
        )

    def attend(self, module: Any, query: Tensor, new: Entries, scaling: float, window: int | None) -> Tensor:
        """Store the entries of a call, attend to what is held, (B, H*G, q, D), then evict what is not to stay."""
        self.evict_deferred()
        stepwise = self.groups[0].stepwise
        if stepwise is not None and window is None and query.shape[2] > stepwise.step:
            return self._attend_in_parts(stepwise.step, module, query, new, scaling)
        start, before = self.tokens_read, (self.prompt, self.steps)
        if window is not None and not start:
            self.groups = [HeadGroup(None, Plain())]
        if self.prompt and self.state.begins_prompt(query.shape[2]):
            self.prompt = self.steps = 0
        elif self.prompt:
            self.steps += 1
        self.tokens_read += query.shape[2]
        self.batch = query.shape[0]
        idle = (
            self.prompt > 0 and self.state.method.idle_after_prompt
        )  # nothing is evicted: nothing has to be looked at
        views: list[LayerView] = []
        outputs: list[Tensor] = []
        for group, asking in asking_of(self.groups, query, new.keys.shape[1]):
            entries = self._stored(group, asking, new, start, window)
            if not idle:
                views.append(self._view(module, group, asking, entries, start, scaling, window))
            outputs.append(self._attended(group, asking, entries, start, scaling, window))
        self.hidden_states = None
        output = together(self.groups, outputs, query)
        if self.state.waits or self.state.shares_keys:
            self.unsettled = Unsettled(start, before, views, window, idle)
        else:
            self._after(views, window, idle)
        return output

    def settle(self) -> None:
        """Evict after a call for which that has waited."""
        waiting, self.unsettled = self.unsettled, None
        if waiting is not None:
            self._after(waiting.views, waiting.window, waiting.idle)

    @property
    def views(self) -> list[LayerView]:
        """The views of a call after which something has yet to be evicted."""
        return self.deferred if self.unsettled is None else [*self.deferred, *self.unsettled.views]

    def _stored(self, group: HeadGroup, asking: Tensor, new: Entries, start: int, window: int | None) -> Entries:
        """Put the entries of a call into a group's store, and return what its queries attend to."""
        own = group.entries_of(new)
        if group.store.held != start:  # something was evicted: positions no longer follow from the order
            positions = self.state.positions(start, self.tokens_read, asking.device)
            own.position_ids = positions.expand(own.keys.shape[:3])
        if group.hidden is not None and self.hidden_states is not None and window is None:
            group.hidden.put_hidden_states(self.hidden_states)
        group.store.put(own)
        return group.store.read(asking, start)

    def _attended(
        self, group: HeadGroup, asking: Tensor, entries: Entries, start: int, scaling: float, window: int | None
    ) -> Tensor:
        if self.state.method.reindex_positions:
            entries = self._reindexed(entries)
        output = attend(asking, entries, start, scaling, window, softcap=self.softcap)
        return output if group.finishing is None else group.finishing.finish(output)

    def _view(
        self,
        module: Any,
        group: HeadGroup,
        asking: Tensor,
        entries: Entries,
        start: int,
        scaling: float,
        window: int | None,
    ) -> LayerView:
        return LayerView(
            self.index, self.state.layers, asking, entries, start, self.tokens_read, scaling, window,
            self.prompt, self.steps, self.memory, module, self.state.transcript, self.state.memory,
            self.softcap, group.heads, self.state.rotary,
        )  # fmt: skip

    def _after(self, views: list[LayerView], window: int | None, idle: bool) -> None:
        """Evict after a call, or note that it has to be done once its logits are known."""
        if window is not None:
            self._slide(window)
        elif idle:
            return
        elif self.state.method.evicts_after_call:
            self.deferred = views
        else:
            self.evict(views)
        if self.index == self.state.layers - 1:
            self.state.allocate()

    def _attend_in_parts(self, step: int, module: Any, query: Tensor, new: Entries, scaling: float) -> Tensor:
        """Attend with `step` queries at a time: for one layer, that is reading the text in chunks of that size."""
        outputs, reading = [], self.state.reading_chunks
        for first in range(0, query.shape[2], step):
            part = slice(first, first + step)
            self.state.reading_chunks = reading or part.stop < query.shape[2]
            own = new.each(lambda t, part=part: t[:, :, part])  # type: ignore[misc]
            outputs.append(self.attend(module, query[:, :, part], own, scaling, None))
        self.state.reading_chunks = reading
        return torch.cat(outputs, 2)

    def _reindexed(self, entries: Entries) -> Entries:
        """Move keys as if the entries stood without gaps right before the last token."""
        if entries.position_ids is None:
            return entries
        rank = torch.arange(self.tokens_read - len(entries), self.tokens_read, device=entries.position_ids.device)
        by = rank - entries.position_ids
        if bool((by == by[:1, :1]).all()):
            by = by[0, 0]
        gaps = (by != 0).flatten(end_dim=-2).any(0).nonzero() if by.dim() > 1 else by.nonzero()
        count = int(gaps[-1]) + 1 if len(gaps) else 0  # what stands behind the last gap stays where it is
        moved = self.state.rotary().shift(entries.keys[:, :, :count], by[..., :count])
        keys = torch.cat((moved, entries.keys[:, :, count:]), 2)
        return Entries(keys, entries.values, entries.position_ids, entries.valid, entries.bias)
