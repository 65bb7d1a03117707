"""Going back: what a layer has read and not evicted from yet, and how far it can be cropped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from mnemos.activation.base import LayerView
from mnemos.activation.groups import HeadGroup
from mnemos.activation.shared import CacheState
from mnemos.errors import InvalidInput


@dataclass
class Unsettled:
    """A call after which nothing was evicted yet: other layers attend to these keys too, or the model may go back."""

    start: int  # tokens read before it
    before: tuple[int, int]  # tokens of the prompt, and calls since, before it
    views: list[LayerView]
    window: int | None
    idle: bool


def cropped(view: LayerView, group: HeadGroup, end: int) -> LayerView:
    """Return the view of a call of which the tokens from `end` on were removed."""
    query = view.query[:, :, : end - view.start]
    return replace(view, query=query, entries=group.store.read(query, view.start), tokens_read=end)


class Croppable(Protocol):
    """What is asked of a layer that is to go back."""

    state: CacheState
    tokens_read: int
    compressed: int
    window: int | None
    unsettled: Unsettled | None


def end_of_crop(layer: Croppable, count: int) -> int:
    """Return how many tokens are left when the last `-count` are removed; above 0, `count` is that number itself.

    Raises InvalidInput where entries have been evicted since.
    """
    read, method, waiting = layer.tokens_read, layer.state.method, layer.unsettled
    end = max(read + count, 0) if count <= 0 else min(count, read)
    evicted = read if method.decode is not None else layer.compressed
    if layer.window is not None and read >= layer.window:
        evicted = read
    if waiting is not None:
        evicted = min(evicted, waiting.start)
    if end < evicted:
        raise InvalidInput(
            f"entries have been evicted since, so this cache cannot go back to {end} of {read} tokens: use a method without "
            "`decode`, or a copy made before."
        )
    return end
