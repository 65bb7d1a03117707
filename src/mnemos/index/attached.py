"""What is written to a word without being a part of it: elided articles, clitics, suffixes of names, particles."""

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

# Korean particles, by whether the syllable before them ends in a vowel; those in the second group may be followed by more
_VOWEL = ("는|가|를|야|여|든지|며|면|고|지만|니까|예요|여서|죠|네요", "와|로|랑|나|라도|라고|라는|란")
_CONSONANT = (
    "은|이|을|아|이여|이든지|이며|이면|이고|이지만|이니까|이에요|이어서|이죠|이네요",
    "과|으로|이랑|이나|이라도|이라고|이라는|이란",
)
_ANY = (
    "의|도|조차|마저|밖에|뿐|커녕|인|인데|입니다|입니까|이다|이에요|예요",
    "에|에서|에게|에게서|한테|한테서|께|께서|하고|만|까지|부터|마다|보다|처럼|같이|만큼|대로|로서|으로서|로써|으로써",
)
_THEN = "는|은|도|만|의|까지|부터|요|나|밖에|조차|마저|보다|이|가|을|를"
_PAST = "(?:었|였)[가-힣]{1,3}"


def _particles(*groups: tuple[str, str], more: str) -> re.Pattern[str]:
    last, chained = ("|".join(part) for part in zip(*groups, strict=True))
    return re.compile(f"(?:{last}|(?:{chained})(?:{_THEN}){{0,2}}|{more})")


_AFTER_VOWEL = _particles(_ANY, _VOWEL, more=_PAST)
_AFTER_CONSONANT = _particles(_ANY, _CONSONANT, more=f"이{_PAST}")
_AFTER_RIEUL = _particles(_ANY, _CONSONANT, ("로", "로"), more=f"이{_PAST}")
_AFTER_OTHERS = _particles(_ANY, _VOWEL, _CONSONANT, more=f"이?{_PAST}")  # digits, Latin letters, signs
_HANGUL = re.compile("[가-힣]+")


def is_hangul(c: str) -> bool:
    """Tell whether a character is a Korean syllable."""
    return "가" <= c <= "힣"


def attached_before(head: str, first: str) -> bool:
    """Tell whether a word begins with an article or pronoun that lost its vowel: "l'" before "Aquila".

    A capital before a capital is a name, as in D'Angelo and O'Brien, except after L'.
    """
    if not _ELIDED.fullmatch(head) or not _latin(first):
        return False
    return not (len(head) == 2 and head[0].isupper() and head[0] != "L" and first.isupper())


def attached_after(last: str, tail: str) -> bool:
    """Tell whether the rest of a word is a clitic or the suffix of a name, after an apostrophe."""
    return (_latin(last) or last.isdigit()) and _CLITIC.fullmatch(tail.lower()) is not None


def particle(last: str, text: str, at: int) -> bool:
    """Tell whether the Korean syllables at a place are particles that may follow the word which ends before it."""
    run = _HANGUL.match(text, at)
    if run is None:
        return True
    if not is_hangul(last):
        return _AFTER_OTHERS.fullmatch(run[0]) is not None
    final = (ord(last) - ord("가")) % 28  # the consonant that ends the syllable: 0 is none, 8 is ㄹ
    allowed = _AFTER_RIEUL if final == 8 else _AFTER_CONSONANT if final else _AFTER_VOWEL
    return allowed.fullmatch(run[0]) is not None


def _latin(c: str) -> bool:
    return unicodedata.name(c, "").startswith("LATIN")
