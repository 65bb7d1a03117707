"""Certainty: when a statement surely ends another one, and when both may hold.

Two values of what has one at a time contradict each other only if both are stated as plainly so. "Also", "on weekends",
"in winter" and "for a week" leave room for another one (`qualified`). Of what a person may have several (jobs, doctors,
cars), and of things that are named only in their conversation (a deadline, a port), a word of change is needed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from mnemos.facts import Fact

# fmt: off
_DAY = "mon|tues|wednes|thurs|fri|satur|sun"
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_QUALIFIED = re.compile(r"\b(?:also|too|as well|younger|elder|older|another|second|2nd|third|3rd|extra|"
    r"additional(?:ly)?|besides|"
    r"both|either|"
    rf"part[- ]time|half the (?:week|time|year)|on the side|side (?:job|gig|hustle|project)|weekends|(?:on|at|"
    rf"over) (?:the )?weekend|weekdays?|"
    rf"weeknights?|"
    rf"(?:{_DAY})days|on an? (?:{_DAY})day|(?:in|during|over|for) (?:the |this |next )?(?:winter|summer|spring|"
    rf"autumn|fall|"
    r"holidays?|christmas|break|term|semester|season|school year|week)s?\b(?! of)|season(?:s|al|ally)?|"
    r"sometimes|occasionally|at times|"
    rf"every other|from (?:{_MONTHS}) (?:to|through|thru|until|till)|(?:{_MONTHS}) (?:to|through|thru) (?:{_MONTHS})|"
    r"for now|for the moment|for the time being|temporar\w+|until|till|tonight|only (?:this|today|on|when|if|for)|"
    r"for (?:a|an|one|two|three|four|five|six|\d+|the|a few|a couple of|several) (?:more )?(?:day|night|week|"
    r"month|weekend|"
    r"fortnight|summer|winter|semester|term|project|conference|wedding|course|training)s?|(?:day|overnight) trip|"
    r"visit(?:s|ing)?|on (?:holiday|vacation|leave|a trip|business|tour|loan)|business trip|house-?sit\w*|"
    r"crash(?:ing)?|"
    r"cover(?:s|ing)? for|fill(?:s|ing)? in|stand(?:s|ing)? in|sublet\w*|borrow\w*|rent(?:al|ed|ing) car|"
    r"one of (?:my|our|the)|"
    r"volunteer\w*|freelanc\w*|(?:for|at) work|work (?:phone|car|laptop|e-?mail|number)|(?:my|our) (?:other|"
    r"former|previous|ex)\b|"
    r"(?:live|lives|living|work|works|working|drive|drives|driving) [^.;,]{0,40}\bthis (?:week|weekend|month|"
    r"summer|winter))\b",
    re.IGNORECASE)
_CHANGE = re.compile(r"\b(?:now|preferred|go-to|main|primary|no longer|any ?more|these days|nowadays|lately|"
    r"currently|as of|from now on|"
    r"from today|"
    rf"since (?:then|last|this|(?:{_DAY})day|(?:{_MONTHS}))|instead|new|newest|latest|"
    r"change[sd]?|changing|switch(?:ed|ing)?|swapp?(?:ed|ing)?|moved|replaced?|traded|renamed?|became|become|"
    r"turned|upgraded|updated?|"
    r"transferred|promoted|retrained|started|starting|began|begun|hired|recruited|headhunted|joined|accepted|taken a|"
    r"left|quit|resigned|fired|laid off|stopped|gave up|given up|used to|sorry|correction|correct(?:ed)?|"
    r"i meant|wrong|"
    r"rather than|pushed|postponed|extended|rescheduled|delayed|brought forward|put back|slipped|"
    r"retired|sold|broke up|split up|divorced|made)\b|\bnot .{1,30}\bbut\b|^(?:no|actually|wait|"
    r"oops)\b", re.IGNORECASE)
# What a person may have several of: a plain second statement may be about another one.
_SEVERAL_WORDS = ("car,bike,vehicle,laptop,computer,bank,gym,school,university,college,airline,hotel,insurance,provider,team,"
    "doctor,dentist,therapist,lawyer,boss,landlord,roommate,flatmate,coach,trainer,owner,editor,browser,os,framework,theme,"
    "major,degree,phone,email,job,country,commute,nickname,work at,study at,phone model,team lead,programming language,"
    "blood pressure")
# What belongs to a thing: said without naming the thing, it is that of the conversation.
_THING_WORDS = ("password,pin,port,username,handle,version,branch,database,budget,price,size,deadline,due date,start date,"
    "end date,launch date,release date,meeting time,submission date,delivery date")
_SEVERAL, _OF_THINGS = frozenset(_SEVERAL_WORDS.split(",")), frozenset(_THING_WORDS.split(","))
_OF_MANY = re.compile(r"'s (?:sister|brother|son|daughter|aunt|uncle|cousin|niece|nephew|roommate|flatmate|"
    r"neighbou?r|"
    r"colleague|friend|best friend|grandm(?:a|other)|grandfather|grandpa)$")
_STOP = re.compile(r"[.!?]\s|\n")
_BUT = re.compile(r"\bbut\b|;|\u2014")
# fmt: on


@dataclass(frozen=True, slots=True)
class Said:
    """A fact in its place: who said it, in which conversation, and whether as something new."""

    fact: Fact
    narrator: str
    session: str | None
    new: bool


def qualified(sentence: str, start: int, end: int) -> bool:
    """Tell whether sentence[start:end] leaves room for others: "also", "on weekends", "in winter", "for a week"."""
    first = max((m.end() for m in _BUT.finditer(sentence, 0, start)), default=0)
    after = _BUT.search(sentence, end)
    return _QUALIFIED.search(sentence, first, after.start() if after else len(sentence)) is not None


def is_new(text: str, start: int, end: int) -> bool:
    """Tell whether the sentence of text[start:end] has a word of change: "now", "new", "no longer", "switched to"."""
    first = max((m.end() for m in _STOP.finditer(text, 0, start)), default=0)
    stops = [m.start() for m in islice(_STOP.finditer(text, end), 1)]
    return _CHANGE.search(text[first : min(stops, default=len(text))]) is not None


def surely_ends(later: Said, earlier: Said) -> bool:
    """Tell whether a later statement that contradicts an earlier one surely ends it."""
    fact = later.fact
    if _OF_MANY.search(fact.subject):
        return False
    if fact.negated or earlier.fact.negated:
        return True
    thing = fact.attribute in _OF_THINGS and fact.subject == later.narrator
    if fact.subject == "the" or fact.subject.startswith("the ") or thing:
        same = later.session == earlier.session
        return same and (later.new or later.session is not None)
    if fact.attribute in _SEVERAL or fact.attribute.endswith(" name"):
        return later.new
    return True
