"""Facts that a question asks for: subject and attribute."""

from __future__ import annotations

import re

from mnemos.reason.patterns import NAME, NOUNS, RELATION, SUBJECT, WHAT
from mnemos.reason.rules import subject_of
from mnemos.reason.values import PET_NAMES, about, kind_of, tidy_attribute

_FEEL = re.compile(
    r"\b(?:feel about|think of|think about|"
    r"(?:does|do) [\w' -]{1,40}? (?:like|love|enjoy|hate|dislike)) (?P<thing>[^?]{2,60}?)\s*\?*$",
    re.I,
)
_CALLED = (
    r"\bwhat (?:do|should|shall|can|may) (?:you|people|they|everyone|everybody|friends) call me\b"
    r"|\bI (?:be )?(?:called|addressed|go by)\b"
)
_ASKED = tuple(
    (re.compile(words, re.IGNORECASE), attribute)
    for words, attribute in (
        (r"\bwork(?:s|ing)? out\b|\b(?:train|exercise)s?\b", "gym"),
        (
            r"\b(?:where|which (?:city|town|country|place)|what (?:city|town|country))"
            r"\b.*\b(?:live|lives|living|based|reside|resides)\b",
            "live in",
        ),
        (r"\b(?:work as|works as|do for a living|does for a living)\b", "job"),
        (r"\b(?:where|who|whom|which company|what company)\b.*\b(?:works?|working)\b|\bemploy(?:s|ed|er)\b", "work at"),
        (r"\b(?:dating|married to|engaged to|in a relationship|together with|seeing|going out with)\b", "relationship"),
        (r"\be-?mail\b", "email"),
        (_CALLED, "name"),
        (r"\bnumber\b.*\b(?:call|reach)\b|\bhow (?:can|do) i (?:call|reach|phone)\b", "phone"),
    )
)
_OTHERS = (
    "parents|grandparents|in-laws|children|kids|twins|siblings|sons|daughters|brothers|sisters|cousins|relatives|family|"
    "friends|colleagues|coworkers|co-workers|neighbou?rs|students|team|band|class|company"
)
_KIN = rf"(?:(?P<kin>{RELATION})\b(?!['\u2019]s)(?:,?\s(?P<kin_name>{NAME}))?|(?:{_OTHERS}|(?:{RELATION})['\u2019]s)\b)"
_OWNED = re.compile(rf"['\u2019]s?\s{_KIN}")
_MINE = re.compile(rf"\s{_KIN}")
_KIN_OF = re.compile(rf"\b(?P<kin>{RELATION}) of $", re.IGNORECASE)
_ASKED_NOUN = re.compile(
    rf"\b(?:[Ww]hich|[Ww]hat)(?: kind of| type of)? "
    rf"(?P<noun>{'|'.join(NOUNS.values())}|[a-z]+)\b.*?(?P<best> best| most)?\s*\?*$"
)


def _whose(question: str, match: re.Match[str], subject: str) -> str:
    """Return whom a question is about that names an owner: Ana, or "ana's sister"; "" for somebody or something else of hers.

    "Where does Ana's sister live?" and "Where do my parents live?" do not ask for where Ana lives, or I.
    """
    if of := _KIN_OF.search(question, 0, match.start()):
        return f"{subject}'s {of['kin'].lower()}"
    owner = (
        _OWNED.match(question, match.end())
        if match["name"]
        else _MINE.match(question, match.end())
        if match["my"]
        else None
    )
    if owner is None:
        return subject
    return str(owner["kin_name"] or f"{subject}'s {owner['kin']}").lower() if owner["kin"] else ""


def asked(question: str, me: str = "user") -> list[tuple[str, str]]:
    """Return the (subject, attribute) pairs that an English question asks for, likeliest first; [] where none is known.

    "Where does Ana live now?" asks for ("ana", "live in"). "I" and "my" are `me`.
    """
    question = question[:500]
    subjects, attributes = [], []
    thing = re.search(
        r"\b(?P<noun>deadline|due date|launch date|budget)\b"
        r"(?: (?:of|for) (?:the )?(?P<of>[A-Z][\w-]+))?",
        question,
    )
    if thing or " due" in question:
        before = re.search(r"\b(?:the|[Ii]s) (?P<of>[A-Z][\w-]+)", question)
        of = (thing and thing["of"]) or (before and before["of"])
        return [(of.lower(), tidy_attribute(thing["noun"] if thing else "deadline"))] if of else []
    for match in SUBJECT.finditer(question):
        subject = None if match["the"] else subject_of(match, me)
        if subject:
            owned = WHAT.match(question, match.end())
            if owned and (pet := owned["pet"]):
                attributes.append(f"{PET_NAMES[pet]} name")
            elif owned and kind_of(owned["attribute"]):
                attributes.append(tidy_attribute(owned["attribute"]))
            elif not match["kin"]:
                subject = _whose(question, match, subject)
            subjects += [subject] if subject else []
    if re.search(_CALLED, question, re.IGNORECASE):
        subjects.append(me)
    if (feel := _FEEL.search(question)) and (liked := about(feel["thing"])):
        attributes.append(f"feeling about {liked.lower()}")
    attributes += [attribute for words, attribute in _ASKED if words.search(question)]
    if noun := _ASKED_NOUN.search(question):
        name = noun["noun"] if not noun["best"] else f"favourite {noun['noun']}"
        attributes += [tidy_attribute(name)] if kind_of(name) else []
    return [(s, a) for a in dict.fromkeys(attributes) for s in dict.fromkeys(subjects)]
