"""Words of a text as the heads see them: pooled token states, and cues that a pattern sees better than a vector."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class Layout:
    """What is the same for all windows of a text: its words, its sentences, and what of it is its author's."""

    spans: NDArray[np.int64]  # (W, 2) characters of each word, in order
    parts: list[tuple[int, str]]  # where each sentence starts, and its words
    own: str  # the text with spaces for what is only quoted
    judged: dict[int, tuple[bool, bool]] = field(
        default_factory=dict
    )  # sentence -> asked, unsure; filled when asked for

    def judge(self, at: int) -> tuple[bool, bool]:
        """Tell of a sentence whether it asks or supposes, and whether it is not asserted."""
        if at not in self.judged:
            sentence = self.parts[at][1]
            asked = sentence.rstrip("\"')").endswith("?") or _SUPPOSED.search(sentence) is not None
            self.judged[at] = asked, doubted(sentence, 0, len(sentence))
        return self.judged[at]


def layout_of(text: str) -> Layout:
    """Return the layout of a text. O(characters)."""
    return Layout(np.array(_spans(text), dtype=np.int64).reshape(-1, 2), sentences(text), own_words(text))


def words_of(text: str, tokens: Tokens, layout: Layout | None = None) -> Words | None:
    """Return the words of the part of a text that the tokens cover; None where it has none.

    O(characters), or O(tokens) with the `layout` of the text: give it for a text of many windows.
    """
    if not len(tokens.spans):
        return None
    layout = layout or layout_of(text)
    begin = np.searchsorted(layout.spans[:, 0], tokens.spans[0, 0])
    places = layout.spans[begin : np.searchsorted(layout.spans[:, 1], tokens.spans[-1, 1], side="right")]
    if not len(places):
        return None
    owner = np.searchsorted(places[:, 0], tokens.spans[:, 0], side="right") - 1
    owner = np.maximum(owner, 0)
    sums = np.zeros((len(places), tokens.states.shape[1]), dtype=np.float32)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    counts = np.diff(np.append(starts, len(owner)))
    sums[owner[starts]] = np.add.reduceat(tokens.states, starts, axis=0) / counts[:, None]
    cues, sentence = _cues(text, places, layout)
    return Words(places, sums, cues, sentence)


def _spans(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for m in _WORD.finditer(text):
        if _ALONE.search(m[0]):
            found += [(i, i + 1) for i in range(m.start(), m.end())]
        else:
            found.append(m.span())
    return found


def _cues(text: str, places: NDArray[np.int64], layout: Layout) -> tuple[Floats, NDArray[np.int64]]:
    """Return the cues of each word: its look, the lists that it is in, and what its sentence is."""
    cues = np.zeros((len(places), CUES), dtype=np.float32)
    parts = layout.parts
    numbers = np.searchsorted([start for start, _ in parts], places[:, 0], side="right") - 1
    numbers = np.maximum(numbers, 0).astype(np.int64)
    begins = -1
    for (start, end), at, row in zip(places.tolist(), numbers.tolist(), cues, strict=True):
        word = text[start:end]
        row[0] = word[0].isupper()
        row[1] = any(c.isdigit() for c in word)
        row[2] = not word[0].isalnum()
        row[3] = at != begins
        begins = at
        row[4:6] = layout.judge(at) if parts else 0
        row[6] = layout.own[start:end].isspace()
        row[7] = word[0] > "\u024f"  # a script of which the model knows little
        lower = word.lower().replace("\u2019", "'")
        for j, known in enumerate(_SETS, 8):
            row[j] = lower in known
    return cues, numbers
