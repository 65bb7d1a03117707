"""Sliding-window attention: the most recent entries stay; the control without sinks."""

from __future__ import annotations

from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register


@register(
    "sliding-window",
    papers=(Paper("Longformer: The Long-Document Transformer", "2004.05150", code="allenai/longformer"),),
    task="key-value",
    phase="decode",
)
def sliding_window(share: float) -> CacheMethod:
    """Keep the last entries, at the positions at which they were read, and evict the older ones."""
    return CacheMethod(prompt=share, decode=share)
