"""Readings of texts: what the heads read in them, from the forward pass that makes their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from mnemos.embed.base import Embedder, Progress, TokenEmbedder, Tokens, Vectors, embed_parts
from mnemos.facts import Reading
from mnemos.reason.read.attributes import Attributes, attributes
from mnemos.reason.read.reading import joined, read
from mnemos.reason.read.words import Layout, layout_of
from mnemos.registry import register

Described = tuple[tuple[str, str], ...]


def extended(embedder: Embedder, more: Described) -> Attributes:
    """Return the attributes of the package and others, given as (name, description) pairs. One pass of the embedder."""
    return attributes().more([name for name, _ in more], embedder.embed([text for _, text in more]))


@register("read")
def embed_and_read(
    texts: Sequence[str],
    embedder: Embedder,
    progress: Progress | None = None,  # called with the number of texts embedded since its last call
    more: Described = (),  # attributes in addition to those of the package: (name, description) pairs
) -> tuple[list[Vectors], list[tuple[Reading, ...]]]:
    """Return the vectors of texts (see `embed_parts`) and what small heads on the bundled model's token states read (ours).

    About 0.5 ms a chat turn. The heads belong to one model: with another embedder, or none, only the rules read. Raises
    EmbedderError.
    """
    found: list[list[Reading]] = [[] for _ in texts]
    if not isinstance(embedder, TokenEmbedder):
        return embed_parts(embedder, texts, progress), [() for _ in texts]
    near = extended(embedder, more) if more else attributes()

    @lru_cache(maxsize=1)  # the windows of a text follow each other
    def layout(i: int) -> Layout:
        return layout_of(texts[i])

    def take(i: int, tokens: Tokens) -> None:
        found[i] = joined(found[i], read(texts[i], tokens, near, layout=layout(i)))

    vectors = embedder.embed_tokens(texts, take, progress=progress)
    return list(vectors), [tuple(sorted(readings, key=lambda r: r.start)) for readings in found]
