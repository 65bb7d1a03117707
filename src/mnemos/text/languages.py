"""Languages of a space that its embedder does not know: it says so once, and the check of a space does."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import suppress

from mnemos.distribution import install_command
from mnemos.embed.base import Embedder
from mnemos.embed.languages import KnowsLanguages, known_share, spoken_in
from mnemos.errors import StoreError, UnknownLanguage
from mnemos.index.terms import words_of
from mnemos.text.memory import TextMemory

HINTED = "language hint"  # the name of the value that is set once a space has said so
MANY = 0.2  # of the texts of a space, from which on they are worth a note
REMEDY = (
    f"{install_command('multilingual')}, then run `mnemos --embedder multilingual reindex` and keep that embedder "
    "(MNEMOS_EMBEDDER=multilingual)"
)


def hint(memory: TextMemory, question: str) -> None:
    """Warn, once in the life of a space, that its embedder does not know the language of a question."""
    if memory.store.read_only or known_share(memory.embedder, words_of(question)) >= 0.5 or memory.embedder is None:
        return
    with suppress(StoreError):  # busy or full: another time
        if not memory.store.meta.get(HINTED):
            memory.store.meta.set(HINTED, "1")
            warnings.warn(
                f"{memory.embedder.name} does not know the language of this question: it is answered by words. For a "
                f"model that does: {REMEDY}. (Space {memory.name!r} does not say so again.)",
                UnknownLanguage,
                stacklevel=4,
            )


def main_language(text: str) -> str:
    """Return the language of most words of a text, ISO 639-1; "" for one that is not recognised or has no words."""
    spoken = spoken_in(words_of(text))
    return spoken.most_common(1)[0][0] if spoken else ""


def unknown_languages(embedder: Embedder | None, spoken: Counter[str]) -> str | None:
    """Return a note where many of a space's texts are in languages that its embedder does not know, else None.

    `spoken` counts texts by their main language.
    """
    if not isinstance(embedder, KnowsLanguages):
        return None
    unknown = Counter({name: n for name, n in spoken.items() if name and name not in embedder.languages})
    if unknown.total() < MANY * max(spoken.total(), 1):
        return None
    names = ", ".join(f"{name} {n:,}" for name, n in unknown.most_common(5))
    return (
        f"{unknown.total():,} of {spoken.total():,} texts are in languages that {embedder.name} does not know ({names}): "
        f"they are found by words. {REMEDY[0].upper()}{REMEDY[1:]}."
    )
