"""Embedders: the bundled model, and any other behind one protocol."""

from __future__ import annotations

from mnemos.embed.base import Embedder
from mnemos.errors import InvalidInput

__all__ = ["Embedder", "load"]

SPECS = (
    '"bundled" (the default), "multilingual" (a hundred languages), "none" (words only), '
    '"hashing" or "hashing:DIMENSION", "st:MODEL" '
    '(sentence-transformers), "openai:MODEL@BASE_URL" (any OpenAI-compatible endpoint)'
)


def load(spec: str | Embedder | None) -> Embedder | None:
    """Return the embedder that `spec` names; None for "none". An embedder is returned as it is.

    Cheap: a model is loaded when it first embeds. Raises InvalidInput for anything else.
    """
    if spec is None:
        spec = "bundled"
    if not isinstance(spec, str):
        if missing := [
            n
            for n in ("name", "revision", "dimension", "embed")
            if not hasattr(type(spec), n) and n not in getattr(spec, "__dict__", {})
        ]:
            raise InvalidInput(
                f"{type(spec).__name__} is not an embedder: it has no {', '.join(missing)}. Use {SPECS}."
            )
        return spec
    kind, _, rest = spec.partition(":")
    if spec == "none":
        return None
    if spec == "bundled":
        from mnemos.embed.minilm import MiniLM

        return MiniLM()
    if spec == "multilingual":
        from mnemos.embed.multilingual import load_multilingual

        return load_multilingual()
    if kind == "hashing" and (not rest or (rest.isascii() and rest.isdigit())):
        from mnemos.embed.hashing import HashingEmbedder

        return HashingEmbedder(int(rest)) if rest else HashingEmbedder()
    if kind == "st" and rest:
        from mnemos.embed.st import SentenceTransformerEmbedder

        return SentenceTransformerEmbedder(rest)
    if kind == "openai" and "@" in rest:
        from mnemos.embed.endpoint import EndpointEmbedder

        model, _, base_url = rest.partition("@")
        return EndpointEmbedder(model, base_url)
    raise InvalidInput(f"unknown embedder {spec!r}: use {SPECS}.")
