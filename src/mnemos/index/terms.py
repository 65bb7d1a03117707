"""Terms of a text: what the word index matches.

A word is one of Unicode's (UAX 29, with dictionaries for Thai, Lao, Khmer and Burmese), in one spelling (`normalise`),
and stemmed as English if it is ASCII (Snowball: Porter, 1980): its *term*. Chinese, Japanese and Korean give single
characters and pairs instead, so that a two-character word is found inside any sentence. For words of other languages the
index has *forms* beside the term: the stem in the language of the text, and the spelling without accents.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from Stemmer import Stemmer

from mnemos.index.function_words import ENGLISH, of_language
from mnemos.index.language import LATIN_SCRIPT, is_english, languages, script
from mnemos.index.normalise import normalise
from mnemos.index.stems import plain, stemmer, tag
from mnemos.registry import Paper, register

MAX_TERM = 64  # characters; longer runs are not words, and the stemmer is not linear
FORM = "+"  # begins a form, as in "+es:cas"; no term begins so
PLAIN = "~~"  # the tag of spellings without accents

# Han, kana, Hangul, and scripts without spaces for which there is no dictionary: Tai, Balinese, Javanese, Yi
_DENSE = (
    "\u3005-\u3007\u3040-\u312f\u31f0-\u31ff\u3400-\u9fff\ua000-\ua48f\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
    "\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9df\uaa80-\uaadf"
)
_JOINED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"  # Thai, Lao, Burmese, Khmer
JOINED_FROM = "\u0e00"  # the first of these
_LATIN_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_LATIN_TEXT = re.compile("[\0-\u02ff\u1e00-\u1eff\u2010-\u20cf]*")
_CLITICS = frozenset({"s", "t", "d", "ll", "re", "ve", "m"})  # English: Ana's, don't, she'd


@cache
def _any_word() -> re.Pattern[str]:
    """Return the pattern of runs in any script; the library is slow to import and English does without."""
    import regex

    found: re.Pattern[str] = regex.compile(
        rf"[{_DENSE}]+|[{_JOINED}]+|[\p{{L}}\p{{N}}\p{{M}}--[{_DENSE}{_JOINED}]]+(?:'[\p{{L}}\p{{N}}\p{{M}}--[{_DENSE}{_JOINED}]]+)*",
        regex.V1,
    )
    return found


def words_of(text: str) -> list[str]:
    """Split a text into normalised words, and dense scripts into characters and pairs, in order. About 0.2 us a word."""
    text = normalise(text)
    found: list[str] = []
    for run in (_LATIN_WORD if _LATIN_TEXT.fullmatch(text) else _any_word()).findall(text):
        if "'" in run:
            pieces = run.split("'")
            found += [piece[:MAX_TERM] for i, piece in enumerate(pieces) if i == 0 or piece not in _CLITICS]
        elif run[0] < JOINED_FROM:
            found.append(run[:MAX_TERM])
        else:
            found += _of_run(run)
    return found


def _of_run(run: str) -> list[str]:
    """Return the words of a run of one script."""
    kind = _run_kind(run[0])
    if kind == "dense":
        return [*run, *map("".join, pairwise(run))]
    if kind == "joined":
        from mnemos.index.segment import words

        return [run[start:end][:MAX_TERM] for start, end in words(run)]
    return [run[:MAX_TERM]]


@cache
def _run_kind(first: str) -> str:
    return "dense" if re.match(f"[{_DENSE}]", first) else "joined" if re.match(f"[{_JOINED}]", first) else ""


@register("terms", papers=(Paper("An algorithm for suffix stripping"),))
def terms(text: str) -> list[str]:
    """Return the terms of a text, one for each word, in order.

    Cost: linear in the text, about 1 us for each word.
    """
    return to_terms(words_of(text))


def to_terms(words: Sequence[str]) -> list[str]:
    """Return the term of each word: the English stem of those in ASCII."""
    stem = Stemmer("english", 0).stemWord  # a new one each time, which is free: threads must not share it
    return [stem(word) if word.isascii() else word for word in words]


def index_terms(text: str) -> list[str]:
    """Return what is stored of a text: its terms, and after them the forms of its words, which begin with "+".

    A change of what this returns needs a migration that calls `store.sqlite.terms.renew_terms`.
    An English text has no forms but spellings without accents; others have one for each word that is no function word.
    """
    words = words_of(text)
    found = to_terms(words)
    if is_english(words):
        return found
    spoken = languages([*words, "ı"] if "ı" in text or "İ" in text else words)  # `normalise` makes an i of both
    stems = {name: stemmer(language) for name, language in spoken.items()}
    for word in words:
        name = script(word)
        if word[0].isdigit() or is_dense(word) or word in of_language(spoken[name]):
            continue
        if label := tag(spoken[name]):
            found.append(f"{FORM}{label}:{stems[name](word)}")
        if name == LATIN_SCRIPT and not word.isascii():
            found += [f"{FORM}{PLAIN}:{form}" for form in plain(word)]
    return found


def is_dense(word: str) -> bool:
    """Tell whether a word is of a script that is written without spaces."""
    return word[0] >= JOINED_FROM and _run_kind(word[0]) != ""


def is_joined(word: str) -> bool:
    """Tell whether a word was found by a dictionary: Thai, Lao, Burmese or Khmer."""
    return word[0] >= JOINED_FROM and _run_kind(word[0]) == "joined"


def forms(word: str, tags: frozenset[str]) -> list[str]:
    """Return the keys under which an index that has forms with these tags may hold a word: its term first."""
    name = script(word)
    found = to_terms([word])
    if name == LATIN_SCRIPT:
        if word.isascii():
            found.append(f"{FORM}{PLAIN}:{word}")
        else:
            found += plain(word)
    found += [f"{FORM}{label}:{stemmer(label)(word)}" for label in sorted(tags - {PLAIN})]
    return found


@cache
def stop_terms() -> frozenset[str]:
    """Return the terms of English function words, which are left out of a question's content."""
    return frozenset(terms(ENGLISH))
