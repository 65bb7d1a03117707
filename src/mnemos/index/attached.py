"""What is written to a word without being a part of it: elided articles, clitics, suffixes of names."""

from __future__ import annotations

import re
import unicodedata

HONORIFIC = re.compile(r"(?:san|sama|kun|chan|sensei|senpai|ssi|nim|ji)\b", re.IGNORECASE)  # after a hyphen: Tanaka-san
_ELIDED = re.compile(  # French, Italian, Catalan: l'Aquila, dell'Anna, qu'Ana
    r"(?:[ldjmtsnc]|qu|jusqu|lorsqu|puisqu|quoiqu|quelqu|dell|all|nell|dall|sull|coll|un|bell|quell|gl)'", re.IGNORECASE
)
_CLITIC = re.compile(
    r"'(?:s|ll|d|ve|re|m"  # English: Jane's, she'll; but not can't
    r"|[yns]?[aeıiuü]|n?[ıiuü]n|[dt][ae]n?|n[dt][ae]n?|[dt][ae]ki(?:ler)?|n?[ıiuü]nki(?:ler)?|y?l[ae]"  # Turkish: cases
    r"|l[ae]r(?:[ıi]n?|[ae]|[dt][ae]n?)?|[ysn]?[ıiuü]m(?:[ıiuü]z)?|y?[dt][ıiuü]r?|y?m[ıiuü]ş|y?s[ae]|ki|c[ae]|ç[ae]"
    r"|em|owi|ego|emu|go|mu|y|ie|ami|ach|om)",  # Polish: Harry'ego
    re.IGNORECASE,
)


def attached_before(head: str, first: str) -> bool:
    """Tell whether a word begins with an article or pronoun that lost its vowel: "l'" before "Aquila".

    A capital before a capital is a name, as in D'Angelo and Dell'Orto, except after L'.
    """
    if not _ELIDED.fullmatch(head) or not _latin(first):
        return False
    return not (head[0].isupper() and head != "L'" and first.isupper())


def attached_after(last: str, tail: str) -> bool:
    """Tell whether the rest of a word is a clitic or the suffix of a name, after an apostrophe."""
    return (_latin(last) or last.isdigit()) and _CLITIC.fullmatch(tail.lower()) is not None


def _latin(c: str) -> bool:
    return unicodedata.name(c, "").startswith("LATIN")
