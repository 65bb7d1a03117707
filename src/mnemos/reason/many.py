"""Questions for a list or a count: "What sports does Ben do?", "How many dogs has she?", "Quels livres ...?"."""

from __future__ import annotations

import re

_COUNT = (
    r"how (?:many|often)|number of|wie ?viele|wie oft|cu[aá]nt[oa]s|combien (?:de|d['’])|quant[ioe]|quant[oa]s|hoeveel|hoe vaak"
    r"|сколько|kaç|ile|hur många"
)
_ALL = (
    r"(?:list|name|tell me|show me|which|what) (?:\w+ ){0,2}all|all (?:the|of|my|her|his|our|their)|list (?:the|my|of|every)"
    r"|each of|every time|in (?:what|which) ways|what (?:else|all)|alle (?:meine|die)|tod[oa]s (?:los|las|os|as|mis)"
    r"|tou(?:s|tes) (?:les|mes)|tutt[ie] (?:i|le|gli)"
)
_ONE = "was|is|does|this|has|as|news|always|plans|days|years|times|hours|us|yes"  # no plurals, or of no list
_PLURAL = rf"(?!(?:{_ONE})\b)[a-z-]{{3,}}(?:s|ies|ren|people|mice|feet)"
_DONE = "like|enjoy|done|made|painted|bought|read|visited|collected?|do to"
_MANY = re.compile(
    rf"\b(?:{_COUNT}|{_ALL})\b"
    rf"|\b(?:what|which) (?:(?:are|were|other|different|kinds?|types?|sorts?|of|the|some) ){{0,4}}(?:[a-z]+ )?{_PLURAL}\b"
    rf"|\bwhat (?:has|have|does|do|did) \w+(?: \w+)? (?:\w+ )?(?:{_DONE})\b"
    r"|\bwhat (?:has|have) \w+ (?:\w+ )?\w+(?:ed|en|wn|ght)\b|\bwho (?:has|have|all)\b|\bwhich of\b"
    r"|\b(?:welche[ns]?|qu[eé]|cu[aá]les|quels|quelles|quali|che|quais|que) [^\W\d_]{3,}(?:en|s|e|i)\b|\bkakie\b|какие|каких"
    r"|哪些|多少|几[个次本只種种]|所有|全部|どんな|いくつ|何[回人匹冊]|すべて|全部",
    re.IGNORECASE,
)


def asks_many(question: str) -> bool:
    """Tell whether a question asks for a list or a count, so that one memory does not answer it. About 10 us."""
    return _MANY.search(question[:500]) is not None
