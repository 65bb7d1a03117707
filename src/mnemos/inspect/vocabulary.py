"""Names that responses use, for interfaces that list or label them: laws, kinds of links, signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mnemos.facts import STORED_LINKS
from mnemos.store.values import IMPLIED
from mnemos.text.forget.laws import law_names

SIGNALS: Mapping[str, str] = {  # signal in `hit.why` -> what it measures, in words
    "bm25": "words",
    "coverage": "words covered",
    "bm25_near": "words close by",
    "coverage_near": "covered close by",
    "bm25_around": "words around",
    "coverage_around": "covered around",
    "session_bm25": "words of the session",
    "bm25_before": "words before",
    "bm25_after": "words after",
    "session_best_bm25": "best words of the session",
    "answer_bm25": "words of the answer",
    "cosine": "meaning",
    "cosine_before": "meaning before",
    "cosine_after": "meaning after",
    "session_cosine": "meaning of the session",
    "session_best_cosine": "best meaning of the session",
    "answer_cosine": "meaning of the answer",
    "question": "is a question",
    "length": "length",
    "long": "is long",
    "opening": "opens a session",
    "speaker": "speaker",
    "date": "date",
    "number": "number",
    "time": "time",
    "assistant": "said by the assistant",
    "user_me": "about the speaker",
    "assistant_you": "about the user",
    "took_part": "took part",
    "words": "words alone",
    "matches": "words matched",
    "coverage_squared": "nearly all words",
    "words_rank": "rank by words",
    "later": "later than its like",
    "latest": "the latest of its like",
    "moment_best_bm25": "best words of the moment",
    "moment_bm25": "words of the moment",
    "day_best_bm25": "best words of the day",
    "cosine_outlier": "stands out in meaning",
    "cosine_rank": "rank by meaning",
    "words_and_cosine": "words and meaning",
    "moment_best_cosine": "best meaning of the moment",
    "day_best_cosine": "best meaning of the day",
    "association": "association",
    "same": "the question as it stands",
    "links": "links",
}


@dataclass(frozen=True)
class Vocabulary:
    """Names of this version, and what signals mean."""

    laws: tuple[str, ...]  # of forgetting, for a policy
    links: tuple[str, ...]  # kinds of links between cubes
    signals: Mapping[str, str]


def vocabulary() -> Vocabulary:
    """Return the names. It imports the methods of text memory."""
    return Vocabulary(law_names(), STORED_LINKS + IMPLIED, SIGNALS)
