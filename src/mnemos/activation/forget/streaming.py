"""StreamingLLM: attention sinks and a window."""

from __future__ import annotations

from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register

SINKS = 4  # the paper's


@register(
    "streaming-llm",
    papers=(
        Paper(
            "Efficient Streaming Language Models with Attention Sinks", "2309.17453", code="mit-han-lab/streaming-llm"
        ),
    ),
    task="key-value",
    baselines=("random-eviction", "sliding-window"),
    phase="decode",
)
def streaming_llm(share: float) -> CacheMethod:
    """Keep the first four entries and the most recent ones, and move keys up: positions are those inside the cache.

    It promises a model that stays fluent on endless text, not one that remembers: a fact in the middle is lost. The
    small models form no attention sinks, so here it answers no more than a plain window, and slightly less for its
    sinks.
    """
    return CacheMethod(prompt=share, decode=share, sinks=SINKS, reindex_positions=True)
