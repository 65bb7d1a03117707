"""Notes: a text with keywords, tags and a context sentence, embedded together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mnemos.cube import MemCube
from mnemos.embed.base import Embedder, Progress
from mnemos.index.terms import stop_terms, terms, words_of
from mnemos.reason.condense import LONGEST, filler_terms, sentences
from mnemos.registry import Paper, register
from mnemos.store.values import Entry
from mnemos.text.encode.entries import embed_texts, words_and_dates
from mnemos.text.encode.tags import tags_of

AMEM = Paper("A-MEM: Agentic Memory for LLM Agents", "2502.12110", code="agiresearch/A-mem")
KEY = "a-mem"  # of the metadata under which a note is kept
KEYWORDS = 5  # of a new note


@dataclass(frozen=True, slots=True)
class Note:
    """What a note says of its text. All words are the text's own, so that erasing another text leaves none of its words."""

    keywords: tuple[str, ...]  # the most telling first
    tags: tuple[str, ...]  # of the fixed ontology
    context: str  # the sentence that stands for the text

    def to_metadata(self) -> dict[str, Any]:
        """Return the note as the metadata of its cube has it."""
        return {KEY: {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}}

    def seen_from(self, text: str, other: Iterable[str], most: int) -> Note:
        """Return the note of a text after it was linked to one with other words: what both share comes first."""
        shared = [w for w in content_words(text) if w in set(other)]
        keywords = tuple(dict.fromkeys([*shared, *self.keywords]))[:most]
        pieces = [s for _, s in sentences(text[:LONGEST])]
        nearest = max(pieces, key=lambda s: len(set(shared) & set(words_of(s))), default=self.context)
        return replace(self, keywords=keywords, context=nearest if len(pieces) > 1 and shared else self.context)


def content_words(text: str) -> list[str]:
    """Return the words of a text that carry meaning, each once, in order."""
    left_out = stop_terms() | filler_terms()
    return [w for w in dict.fromkeys(words_of(text[:LONGEST])) if len(w) > 2 and not left_out & {*terms(w)}]


def note_of(text: str) -> Note:
    """Return the note of a new text: its most frequent words, names before others; its tags; its longest sentence."""
    counts = Counter(words_of(text[:LONGEST]))
    order = {w: i for i, w in enumerate(content_words(text))}
    names = {w.lower() for w in text[:LONGEST].split() if w[:1].isupper()}
    best = sorted(order, key=lambda w: (-counts[w] - (w in names), order[w]))[:KEYWORDS]
    return Note(tuple(best), tags_of(text), max((s for _, s in sentences(text[:LONGEST])), key=len, default=""))


def stored_note(cube: MemCube) -> Note:
    """Return the note that a cube has, or that of its text; keywords that an update took out of the text are left out."""
    kept = cube.metadata.get(KEY)
    new = note_of(cube.text)
    if not isinstance(kept, dict) or not isinstance(kept.get("keywords"), list):
        return new
    own = set(content_words(cube.text))
    keywords = tuple(str(w) for w in kept["keywords"] if w in own)
    context = str(kept.get("context", ""))
    return Note(keywords or new.keywords, new.tags, context if context in cube.text else new.context)


@register(
    "notes", baselines=("entries",), unmeasured="tests/text/systems/test_amem.py checks it within a-mem", papers=(AMEM,)
)
@dataclass(frozen=True, slots=True)
class Notes:
    """Embed a text together with its note: keywords, tags and a context sentence, e = f(c, K, G, X).

    Words and dates are those of the text alone. Costs a forward pass of the embedder over a text that is some ten words
    longer. Deviations: the rules write the note where the paper asks a model; `Space.reindex`, which works from texts, embeds
    the text alone.
    """

    def encode(
        self, cubes: Sequence[MemCube], embedder: Embedder | None, progress: Progress | None = None
    ) -> list[Entry]:
        """Return an entry for each cube."""
        vectors, readings = embed_texts([_embedded(cube) for cube in cubes], embedder, progress)
        entries = []
        for cube, vector, read in zip(cubes, vectors, readings, strict=True):
            words, dates = words_and_dates(cube)
            entries.append(Entry(cube, words, vector, dates, tuple(r for r in read if r.end <= len(cube.text))))
        return entries


def _embedded(cube: MemCube) -> str:
    note = stored_note(cube)
    context = "" if note.context == cube.text else note.context
    return "\n".join(part for part in (cube.text, ", ".join((*note.keywords, *note.tags)), context) if part)
