"""Doubt: suppositions, wishes, hearsay and what is long past are not stated as facts."""

from __future__ import annotations

import re

# fmt: off
# Sentences that assert nothing up to a "but": conditions, hearsay, guesses.
_CONDITION = (r"^\s*(?:if|when|whenever|unless|suppose|supposing|imagine|what if|do|does|did|is|are|was|were|can|"
    r"could|would|should|who|what|where|why|how|" r"once|in case|until|before|after)\b|\b(?:maybe|perhaps|probably|"
    r"possibly|apparently|supposedly|allegedly|reportedly|rumou?rs?|as if|" r"wish|wishes|dream|dreams|dreamed|dreamt|"
    r"imagine[ds]?|pretend(?:s|ed|ing)?|jok(?:e|es|ed|ing)|kidding|hypothetically|said|say|says|saying|reckons?|"
    r"claims?|claimed|" r"hear|hears|heard|told (?:me|us)|tells me|(?:i|we|you|they|he|she) (?:think|thought|guess|"
    r"guessed|suppose|believe|assume|assumed|bet|doubt|wonder)|" r"thinks|believes|not sure|not certain|whether|if|"
    r"unless|until|let's say|role-?play|" r"in (?:the|my|a|this|that|his|her) (?:novel|book|movie|film|game|dream|"
    r"story|show|play|series|series|video game|fantasy))\b")
# Verbs that make their clause unreal: wishes, plans, near misses.
_WISH = (r"\b(?:would|could|might|should|hope|hopes|hoping|want|wants|wanted|plan|plans|planned|planning|"
    r"think(?:ing)? (?:of|about)|considering|considered|going to|" r"gonna|about to|used to think|almost|nearly|never|"
    r"intend|intends|try|trying|tried|may|wouldn't|couldn't|shouldn't|rather|refuse[ds]?|offered)\b")
_DOUBT = re.compile(_CONDITION, re.IGNORECASE)
_UNREAL = re.compile(_WISH.replace("|may|", "|(?-i:may)|"), re.IGNORECASE)
_TURN = re.compile(r"\bbut\b|;|\u2014|\bhowever\b|\banyway\b", re.IGNORECASE)
_CLAUSE = re.compile(r"\bbut\b|[;:,\u2014]\s|\b(?:and|so) (?=(?:finally|then|now|I|we|my|[A-Z])\b)")
_AFTERWARDS = re.compile(r"\b(?:maybe|perhaps|possibly|probably|(?:i|we) (?:think|guess|suppose|believe)|not sure|"
    r"kidding|joking|or so|if (?:i|we|he|she|they)|" r"(?:she|he|they|people|everyone|somebody|someone) (?:said|say|"
    r"says|claims?|told)|in (?:the|my|a|this) (?:game|dream|novel|book|movie|film|story)s?|"
    r"years ago|decades ago|as a (?:kid|child|teenager|student)|when i was|back (?:in|then)|in (?:19|20)\d\d|growing "
    r"up|i wish|in theory|" r"for (?:a|the|two|three|\d+) (?:day|days|week|weeks|weekend|night|nights|holiday|"
    r"holidays|vacation|conference))\b", re.IGNORECASE)


# fmt: on
def doubted(sentence: str, start: int, end: int) -> bool:
    """Tell whether sentence[start:end] is not asserted: supposed, wished, hearsay or long past."""
    before = sentence[:start]
    cut = 0
    for turn in _TURN.finditer(before):
        cut = turn.end()
    if _DOUBT.search(sentence[cut:end]) or _AFTERWARDS.search(sentence, end):
        return True
    for clause in _CLAUSE.finditer(before):
        cut = max(cut, clause.end())
    return _UNREAL.search(sentence[cut:end]) is not None
