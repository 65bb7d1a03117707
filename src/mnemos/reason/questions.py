"""Facts that a question asks for: subject and attribute."""

from __future__ import annotations

import re

from mnemos.reason.patterns import NOUNS, SUBJECT, WHAT
from mnemos.reason.rules import subject_of
from mnemos.reason.values import PET_NAMES, about, kind_of, tidy_attribute

_FEEL = re.compile(
    r"\b(?:feel about|think of|think about|"
    r"(?:does|do) [\w' -]{1,40}? (?:like|love|enjoy|hate|dislike)) (?P<thing>[^?]{2,60}?)\s*\?*$",
    re.I,
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
        (r"\bnumber\b.*\b(?:call|reach)\b|\bhow (?:can|do) i (?:call|reach|phone)\b", "phone"),
    )
)
_ASKED_NOUN = re.compile(
    rf"\b(?:[Ww]hich|[Ww]hat)(?: kind of| type of)? "
    rf"(?P<noun>{'|'.join(NOUNS.values())}|[a-z]+)\b.*?(?P<best> best| most)?\s*\?*$"
)


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
            subjects.append(subject)
            owned = WHAT.match(question, match.end())
            if owned and (pet := owned["pet"]):
                attributes.append(f"{PET_NAMES[pet]} name")
            elif owned and kind_of(owned["attribute"]):
                attributes.append(tidy_attribute(owned["attribute"]))
    if (feel := _FEEL.search(question)) and (liked := about(feel["thing"])):
        attributes.append(f"feeling about {liked.lower()}")
    attributes += [attribute for words, attribute in _ASKED if words.search(question)]
    if noun := _ASKED_NOUN.search(question):
        name = noun["noun"] if not noun["best"] else f"favourite {noun['noun']}"
        attributes += [tidy_attribute(name)] if kind_of(name) else []
    return [(s, a) for a in dict.fromkeys(attributes) for s in dict.fromkeys(subjects)]
