"""What a layer of a cache evicts, and when: after a prompt, while generating, and what a sliding window cannot show."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from mnemos.activation.base import LayerView, counted
from mnemos.activation.groups import HeadGroup
from mnemos.activation.plain import Plain
from mnemos.activation.shared import CacheState, Pending


class Evicting:
    """The part of a cache layer that evicts."""

    state: CacheState
    index: int  # of the layer
    tokens_read: int
    prompt: int  # tokens of the prompt; 0 while it is being read
    compressed: int  # tokens read when a prompt was last compressed
    steps: int  # calls since the prompt
    deferred: list[LayerView]  # of a call whose eviction waits for its logits
    groups: list[HeadGroup]

    def evict_deferred(self) -> None:
        """Run an eviction that waited for the logits of its call: after the call, or when the next one begins."""
        views, self.deferred = self.deferred, []
        if views:
            self.evict(views)
            if self.index == self.state.layers - 1:
                self.state.allocate()

    def evict(self, views: list[LayerView]) -> None:
        """Let the score learn from a call, then evict what the budgets do not hold; `views` has one view per group."""
        method = self.state.method
        if method.observer is not None:
            for view in views:
                method.observer.observe(view)
        if not self.prompt and not self.state.reading_chunks:
            self.prompt = self.tokens_read
            self._evict_prompt(views)
            return
        count = method.decode_count(self.tokens_read, self.prompt, self.steps, views[0].entries)
        if count is not None:
            self._evict_to(views, count)

    def _evict_prompt(self, views: list[LayerView]) -> None:
        """Evict what the prompt's budget does not hold, or wait for the other layers to share it with.

        Once shared, it stays so: at a later prompt layers and heads keep the portions that the first gave them.
        """
        method = self.state.method
        view = max(views, key=lambda view: len(view.entries))
        budget = method.prompt_count(self.tokens_read, view.entries)
        if budget is None:
            most = method.decode_count(self.tokens_read, self.prompt, self.steps, view.entries)
            if most is not None:
                self._evict_to(views, most)
        elif method.allocation is not None and not self.state.allocated:
            each = min(budget, len(view.entries))
            rank = method.rank(view, each)
            need = method.allocation.need(view, rank)
            self.state.waiting.append(Pending(need, each, len(view.entries), partial(self._keep, view, rank, each)))
            return
        else:
            for group, own in zip(self.groups, views, strict=True):
                count = counted(group.portion * budget)
                if count < len(own.entries) and group.reopening is not None:
                    group.reopening.reopen()
                self.evict_to(group, own, count)
        self._end_prefill()

    def _evict_to(self, views: list[LayerView], count: int) -> None:
        """Evict what is beyond `count` entries, a block at a time; with separate budgets the prompt's are not counted."""
        method = self.state.method
        for group, view in zip(self.groups, views, strict=True):
            limit = count + view.entries.before(self.prompt) if method.separate_budgets else count
            held = len(view.entries) if group.counting is None else group.counting.budgeted
            if (over := held - limit) <= 0:
                continue
            if method.by_age and group.trimming is not None and view.entries.valid is None and limit > method.sinks:
                group.trimming.trim(method.sinks, over)
            else:
                self.evict_to(group, view, limit - method.block(count, limit) + 1)

    def evict_to(self, group: HeadGroup, view: LayerView, count: int) -> None:
        """Evict all but the `count` entries of a group that rank highest."""
        method = self.state.method
        if count >= len(view.entries):
            return
        view.entries = view.entries.numbered()
        rank = method.rank(view, count)
        group.store.replace(method.on_evict(view, method.keep(rank, count), rank))

    def _keep(self, view: LayerView, rank: Tensor, each: int, counts: Tensor) -> None:
        """Keep this layer's part of a shared budget of `each`: one number, or one for each head."""
        method = self.state.method
        view.entries = view.entries.numbered()
        if counts.dim() == 0 or bool((counts == counts[0]).all()):
            count = int(counts.flatten()[0])
            self.groups[0].store.replace(method.on_evict(view, method.keep(rank, count), rank))
            self.groups[0].portion = count / each
        else:
            self.groups = []
            for count in counts.unique().tolist():
                heads = (counts == count).nonzero()[:, 0]
                own, part = view.of_heads(heads), rank.index_select(1, heads)
                store = method.store(self.state.setup(self.index, heads))
                store.replace(method.on_evict(own, method.keep(part, count), part))
                self.groups.append(HeadGroup(heads, store, count / each))
        self._end_prefill()

    def _end_prefill(self) -> None:
        if self.state.method.prompt is not None:
            self.compressed = self.prompt
        for group in self.groups:
            group.store.on_prefill_end()

    def _slide(self, window: int) -> None:
        """Hold what a sliding window can still show, whatever the method."""
        for group in self.groups:
            if group.store.held > window - 1 and isinstance(group.store, Plain):
                entries = group.store.read(torch.empty(0), self.tokens_read)
                size = entries.keys.shape
                last = torch.arange(len(entries) - window + 1, len(entries), device=entries.keys.device)
                group.store.replace(entries.gather(last.expand(size[0], size[1], -1)))
