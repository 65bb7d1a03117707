"""The most recent entries stay: sliding-window attention, the control without sinks."""

from __future__ import annotations

from mnemos.activation.method import Method
from mnemos.registry import Paper, register


@register(
    "recent",
    papers=(Paper("Longformer: The Long-Document Transformer", "2004.05150"),),
    task="key-value",
    phase="decode",
)
def recent(share: float) -> Method:
    """The last entries stay, at the positions at which they were read; whatever is older goes."""
    return Method(prompt=share, decode=share)
