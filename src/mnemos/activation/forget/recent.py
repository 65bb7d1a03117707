"""The most recent entries stay: sliding-window attention, the control without sinks."""

from __future__ import annotations

from mnemos.activation.method import Method
from mnemos.activation.recipes import recipe
from mnemos.methods import Paper, method


@recipe("recent", task="key-value", baselines=(), phase="decode")
@method(
    "recent",
    form="activation",
    operation="forget",
    papers=(Paper("Longformer: The Long-Document Transformer", "2004.05150"),),
)
def recent(share: float) -> Method:
    """The last entries stay, at the positions at which they were read; whatever is older goes."""
    return Method(prompt=share, decode=share)
