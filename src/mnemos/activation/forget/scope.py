"""SCOPE: the prompt's entries and the generated ones have budgets of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from mnemos.activation.forget.snapkv import FIRST, SnapKV
from mnemos.activation.forget.tova import Tova
from mnemos.activation.method import CacheMethod, LayerView, Score
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "scope",
    papers=(Paper("SCOPE: Optimizing Key-Value Cache Compression in Long-context Generation", "2412.13649"),),
    task="key-value-known",
    phase="decode",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class Scope:
    """One score for the prompt, another for what is generated: whatever the first kept of the prompt stays for good.

    `first` is asked once, at the end of the prompt; `then` ranks generated entries, by default by the attention of the
    current query, and the `recent` most recent of them always stay. `scope` composes the whole method.
    """

    first: Score | None
    then: Score = field(default_factory=Tova)
    recent: int = 1

    def observe(self, view: LayerView) -> None:
        """Let those of the two learn that do."""
        for score in (self.first, self.then):
            if score is not None and hasattr(score, "observe"):
                score.observe(view)

    def __call__(self, view: LayerView) -> Tensor:
        """Return the scores of the phase, (B, H, T)."""
        positions = view.entries.positions()
        if not view.steps:
            return positions if self.first is None else self.first(view)
        return self.then(view).masked_fill(positions >= view.tokens_read - self.recent, FIRST)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """The prompt by SnapKV, and the same share of what is generated."""
        return CacheMethod(Scope(SnapKV(kernel=5)), share, decode=share, separate_budgets=True)


def scope(
    first: Score | None, prompt: float | int | None, capacity: int, *, recent: int,
    schedule: Literal["slide", "adaptive", "discontinuous"] = "slide", delta: int = 8,
) -> CacheMethod:  # fmt: skip
    """Return a method that holds `prompt` of the prompt by the score `first`, and `capacity` generated entries beside.

    Of these `recent` are the most recent, the others the ones most attended to. "slide" chooses after every call;
    "adaptive" begins with `recent` + 1 and adds a place every `delta` calls until `capacity` is reached;
    "discontinuous" grows the same way and chooses only every `delta` calls, holding up to `delta` more in between.
    """
    if not 0 <= recent < capacity or delta < 1:
        raise InvalidInput(f"recent {recent} must be below capacity {capacity}, and delta {delta} 1 or more.")

    def grown(steps: int) -> int:
        return min(capacity, recent + 1 + steps // delta)

    return CacheMethod(
        Scope(first, recent=recent), prompt, decode=capacity if schedule == "slide" else grown,
        interval=delta if schedule == "discontinuous" else 1, separate_budgets=True,
    )  # fmt: skip
