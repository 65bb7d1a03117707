"""Words of a text as the heads see them: pooled token states, and cues that a pattern sees better than a vector."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.embed.base import Tokens
from mnemos.reason.condense import sentences
from mnemos.reason.doubt import doubted
from mnemos.reason.quoted import own_words

Floats = NDArray[np.float32]
_WORD = re.compile(r"[^\W_]+(?:['\u2019.@_+/&:-][^\W_]+)*|[^\w\s]|_")
_ALONE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")  # scripts without spaces: each sign is a word


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SELF = _set(
    "i i'm i've im ive my me we we're we've our us mine ich mein meine wir yo mi mis je j'ai mon ma eu meu minha io mio mia "
    "\u6211 \u79c1"
)
_OTHER = _set("he she they his her their he's she's they're him them you your you're")
_BE = _set("am is are i'm im we're he's she's it's was were been be called named")
_NO = _set(
    "not no never don't doesn't isn't aren't can't cannot won't stopped quit anymore longer without dont cant nicht kein "
    "keine keinen ne pas n\u00e3o non \u043d\u0435"
)
_WAS = _set("was were used had did once ago former formerly late ex back until till before")
_WILL = _set("will i'll we'll going next tomorrow soon from starting due plan planning hope hoping want wants about")
_UNREAL = _set(
    "if would i'd wish might maybe perhaps could imagine suppose probably apparently think guess should almost nearly dream "
    "said says"
)
_SUPPOSED = re.compile(  # a sentence that begins so, or wishes, states nothing
    r"^\W*(?:if|imagine|suppose|supposing|what if|wish|had i|were i|in my dream|magari|ojal[\u00e1a]|quem me dera|ke\u015fke)\b"
    r"|\b(?:i wish|i'd (?:love|like|call|be|make|have|buy|move|live|name|rather|eat)|would be|if only|as if)\b"
    r"|^\W*(?:wenn|si|se|\u0435\u0441\u043b\u0438)\s.*\b(?:w\u00e4re|h\u00e4tte|w\u00fcrde|tuviera|fuera|avais|\u00e9tais"
    r"|avessi|fossi|tivesse|fosse|\u0431\u044b)\b",
    re.IGNORECASE,
)
_SETS = (_SELF, _OTHER, _BE, _NO, _WAS, _WILL, _UNREAL)
CUES = 8 + len(_SETS)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text: where each is, its state (W, D), its cues (W, CUES) and the number of its sentence."""

    spans: NDArray[np.int64]  # (W, 2) characters
    states: Floats
    cues: Floats
    sentence: NDArray[np.int64]  # (W,)


def words_of(text: str, tokens: Tokens) -> Words | None:
    """Return the words of the part of a text that the tokens cover; None where it has none. O(characters)."""
    if not len(tokens.spans):
        return None
    first, last = int(tokens.spans[0, 0]), int(tokens.spans[-1, 1])
    spans = [span for span in _spans(text) if span[0] >= first and span[1] <= last]
    if not spans:
        return None
    places = np.array(spans, dtype=np.int64)
    owner = np.searchsorted(places[:, 0], tokens.spans[:, 0], side="right") - 1
    owner = np.maximum(owner, 0)
    sums = np.zeros((len(spans), tokens.states.shape[1]), dtype=np.float32)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    counts = np.diff(np.append(starts, len(owner)))
    sums[owner[starts]] = np.add.reduceat(tokens.states, starts, axis=0) / counts[:, None]
    cues, sentence = _cues(text, spans)
    return Words(places, sums, cues, sentence)


def _spans(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for m in _WORD.finditer(text):
        if _ALONE.search(m[0]):
            found += [(i, i + 1) for i in range(m.start(), m.end())]
        else:
            found.append(m.span())
    return found


def _cues(text: str, spans: list[tuple[int, int]]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the cues of each word: its look, the lists that it is in, and what its sentence is."""
    cues = np.zeros((len(spans), CUES), dtype=np.float32)
    numbers = np.zeros(len(spans), dtype=np.int64)
    parts = sentences(text)
    own = own_words(text)
    asked = [piece.rstrip("\"')").endswith("?") for _, piece in parts]
    asked = [a or _SUPPOSED.search(piece) is not None for a, (_, piece) in zip(asked, parts, strict=True)]
    unsure = [doubted(piece, 0, len(piece)) for _, piece in parts]
    at, begins = 0, -1
    for i, (start, end) in enumerate(spans):
        while at + 1 < len(parts) and parts[at + 1][0] <= start:
            at += 1
        numbers[i] = at
        word, row = text[start:end], cues[i]
        row[0] = word[0].isupper()
        row[1] = any(c.isdigit() for c in word)
        row[2] = not word[0].isalnum()
        row[3] = at != begins
        begins = at
        if parts:
            row[4], row[5] = asked[at], unsure[at]
        row[6] = own[start:end].isspace()
        row[7] = word[0] > "\u024f"  # a script of which the model knows little
        lower = word.lower().replace("\u2019", "'")
        for j, known in enumerate(_SETS, 8):
            row[j] = lower in known
    return cues, numbers
