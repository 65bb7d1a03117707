"""Terms of a text: what the word index matches.

Words are lower-cased, normalised (NFKC) and stemmed (Snowball English: Porter, 1980). Scripts that are written
without spaces give single characters and pairs, so that a two-character word is found inside any sentence.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise

from Stemmer import Stemmer

from mnemos.registry import Paper, register

MAX_TERM = 64  # characters; longer runs are not words, and the stemmer is not linear

# Han, kana, Hangul, Thai, Lao, Myanmar, Khmer
_DENSE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_DENSE += "\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_DENSE}]+|[^\W_{_DENSE}]+(?:['\u2019][^\W_{_DENSE}]+)*")
_FIRST_DENSE = re.compile(rf"[{_DENSE}]")
_APOSTROPHE = re.compile("['\u2019]")
_CLITICS = frozenset({"s", "t", "d", "ll", "re", "ve", "m"})  # English: Ana's, don't, she'd

# Function words: they tell how a question is asked rather than what it is about.
_STOP = (
    "a an the of to in on at for with and or but nor is are was were be been being am do does did doing done have has "
    "had having i you he she it we they me him her them us my mine your yours his hers its our ours their theirs this "
    "that these those what which who whom whose when where why how will would can could shall should may might must "
    "from by about as into onto than then so if not no any all some there here up out off over just also too very s t "
    "d ll re ve m don didn doesn isn wasn weren won wouldn can couldn shouldn hasn haven hadn"
)


@register("terms", papers=(Paper("An algorithm for suffix stripping"),))
def terms(text: str) -> list[str]:
    """Split a text into stemmed words, and scripts without spaces into characters and pairs, in order.

    Cost: linear in the text, about 1 us for each word.
    """
    found: list[str] = []
    stem = Stemmer("english", 0).stemWord  # a new one each time, which is free: threads must not share it
    for token in _TOKEN.findall(unicodedata.normalize("NFKC", text).lower()):
        if _FIRST_DENSE.match(token):
            found += token
            found += map("".join, pairwise(token))
            continue
        pieces = _APOSTROPHE.split(token)
        for i, piece in enumerate(pieces):
            if i == 0 or piece not in _CLITICS:
                found.append(stem(piece[:MAX_TERM]) if piece.isascii() else piece[:MAX_TERM])
    return found


@cache
def stop_terms() -> frozenset[str]:
    """Return the terms of function words, which are left out of a question's content."""
    return frozenset(terms(_STOP))
