"""Patterns of statements: what English sentences say about people and things that has one value at a time, or several.

Each pattern matches from the subject to the value inside one sentence, and a rule gives the attribute. They are
conservative: a pattern that is missing costs a fact, one that is too wide would end facts that still hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_APOSTROPHE = "['\u2019]"
_NAME = r"[A-Z][\w-]{1,30}(?:\s[A-Z][\w-]{1,30})?"
_RELATION = (
    "sister|brother|mother|mom|mum|father|dad|wife|husband|partner|son|daughter|girlfriend|boyfriend|aunt|uncle|cousin|"
    "grandmother|grandma|grandfather|grandpa|niece|nephew|roommate|flatmate|neighbor|neighbour|boss|manager|best friend"
)
# Who is spoken of: "I", "my sister (Rita)", "Ana"; the group that matched says which.
WHO = (
    rf"(?:(?P<me>[Ii]|[Ww]e)|(?:[Mm]y|[Oo]ur)\s(?P<kin>{_RELATION})(?:,?\s(?P<kin_name>{_NAME}),?)?|(?P<name>{_NAME}))"
)
WHOSE = (
    rf"(?:(?P<me>[Mm]y|[Oo]ur)|(?:[Mm]y|[Oo]ur)\s(?P<kin>{_RELATION})(?:\s(?P<kin_name>{_NAME}))?{_APOSTROPHE}s?"
    rf"|(?P<name>{_NAME}){_APOSTROPHE}s?)"
)
_ADVERB = (
    r"(?:\s(?:now|just|recently|currently|actually|finally|also|already|still|officially|really|probably|only|both|"
    r"temporarily|permanently|mostly|usually|have|has|had|am|is|are|was|been))*"
)
# "I've", "Ana's": the short form of a helping verb
_HELP = rf"(?:{_APOSTROPHE}(?:ve|m|re|s|d|ll))?"
_VALUE = r"(?P<value>(?:[^.;!?\n]|\.(?=\w)){1,120})"
_ARTICLE = r"(?:(?:a|an|the|my|our|his|her|their)\s)?"

# Things of which one has one at a time, so that a new value ends the old one.
_SINGLE = (
    "name|nickname|age|birthday|job|job title|title|occupation|profession|role|position|employer|company|workplace|office|address|"
    "home address|home|city|hometown|country|phone|phone number|number|mobile|email|e-mail|email address|username|handle|"
    "password|pin|car|bike|laptop|computer|phone model|bank|gym|doctor|dentist|therapist|lawyer|boss|manager|supervisor|"
    "landlord|roommate|partner|wife|husband|girlfriend|boyfriend|fianc\u00e9e?|school|university|college|major|degree|salary|rent|"
    "budget|weight|height|size|shoe size|goal|plan|deadline|due date|start date|end date|launch date|release date|meeting time|"
    "time zone|timezone|schedule|shift|status|project|team|language|diet|hobby|pet|dog|cat|blood type|insurance|provider|"
    "subscription|version|server|endpoint|url|ip|port|branch|database|owner|lead|price|color|colour|theme|editor|browser|"
    "operating system|os|framework|library|wake-up time|bedtime|commute|airline|hotel|flight|destination|favou?rite [a-z' -]{2,40}|"
    "preferred [a-z -]{2,40}|go-to [a-z -]{2,40}|main [a-z -]{2,40}|current [a-z -]{2,40}|usual [a-z -]{2,40}"
)
_ATTRIBUTE = rf"(?:(?:new|current|latest)\s)?(?P<attribute>{_SINGLE})"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way to state something. `attribute` names it, or says how from the match; `value` is fixed for some."""

    regex: re.Pattern[str]
    attribute: str | Callable[[Mapping[str, str | None]], str]
    exclusive: bool = True
    negated: bool = False
    value: str | None = None


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(" ", r"\s"))


def _verb(
    verbs: str, attribute: str, *, exclusive: bool = True, negated: bool = False, article: bool = True
) -> Pattern:
    middle = rf"{_HELP}{_ADVERB} (?:{verbs}) "
    return Pattern(_compile(rf"\b{WHO}{middle}{_ARTICLE if article else ''}{_VALUE}"), attribute, exclusive, negated)


def _named(groups: Mapping[str, str | None]) -> str:
    return tidy_attribute(groups["attribute"] or "")


def _of_thing(prefix: str) -> Callable[[Mapping[str, str | None]], str]:
    return lambda groups: f"{prefix} {(groups['thing'] or '').strip().lower()}"


def tidy_attribute(words: str) -> str:
    """Bring an attribute to one spelling: "Favorite colour" and "favourite color" are one."""
    words = re.sub(r"\s+", " ", words.strip().lower()).replace("favorite", "favourite").replace("colour", "color")
    return {
        "e-mail": "email", "email address": "email", "phone number": "phone", "mobile": "phone", "number": "phone",
        "home address": "address", "job title": "job", "occupation": "job", "profession": "job", "title": "job",
        "position": "job", "role": "job", "company": "work at", "employer": "work at", "workplace": "work at",
        "hometown": "hometown", "city": "live in", "home": "live in", "timezone": "time zone", "due date": "deadline",
        "operating system": "os", "go-to": "favourite",
    }.get(words, words)  # fmt: skip


_LIKE = "love|loves|like|likes|enjoy|enjoys|adore|adores|am into|is into|am fond of|is fond of"
_DISLIKE = (
    "hate|hates|dislike|dislikes|can't stand|cannot stand|can\u2019t stand|don't like|don\u2019t like|do not like|"
    "doesn't like|doesn\u2019t like|does not like|detest|detests"
)
_THING = r"(?P<thing>[^,.;:!?\n]{2,60})"
_NOT = rf"(?:no longer|don{_APOSTROPHE}t|do not|doesn{_APOSTROPHE}t|does not|stopped|quit|not)"

PATTERNS: tuple[Pattern, ...] = (
    # home
    Pattern(_compile(rf"\b{WHO}{_HELP}{_ADVERB} (?:moved|relocated) from [^.;!?\n]{{1,60}}? to {_VALUE}"), "live in"),
    _verb(rf"{_NOT} (?:live|lives|living) (?:in|at)", "live in", negated=True),
    _verb("used to live (?:in|at)|lived (?:in|at)|moved (?:away )?from|left", "live in", negated=True),
    _verb("live in|lives in|living in|live at|lives at|reside in|resides in|based in|settled in|settled down in", "live in"),
    _verb("moved (?:back )?to|moved into|relocated to|moving in at|made the move to|ended up moving to", "live in"),
    # work
    _verb(rf"{_NOT} (?:work|works|working) (?:at|for)|quit(?: my job at)?|resigned from|got fired from", "work at", negated=True),
    _verb("used to work (?:at|for)|worked (?:at|for)", "work at", negated=True),
    _verb("work at|works at|work for|works for|working at|working for|employed (?:at|by)|started (?:working )?at", "work at"),
    _verb("started (?:a |my )?(?:new )?(?:job|position|role) (?:at|with)|got (?:a|the) (?:new )?job (?:at|with)", "work at"),
    _verb("joined|got hired (?:at|by)|switched jobs to|took a (?:new )?(?:job|position) (?:at|with)", "work at"),
    _verb("work as|works as|working as|became|got promoted to|was promoted to|been promoted to|promoted to|employed as", "job"),
    _verb("switched careers to|changed careers to|retrained as", "job"),
    # study
    _verb("study at|studies at|studying at|go to school at|goes to school at|enrolled (?:at|in)|attend|attends", "study at"),
    _verb("am majoring in|major in|majors in|majoring in|switched (?:my )?major to|changed (?:my )?major to", "major"),
    # people
    _verb("got married to|married to|married", "relationship"),
    _verb("dating|going out with|engaged to|got engaged to|seeing someone called", "relationship"),
    Pattern(_compile(rf"\b{WHO}{_HELP}{_ADVERB} (?:got )?(?P<value>single|divorced|separated|widowed)\b"), "relationship"),
    # who one is
    Pattern(_compile(rf"\b(?P<me>[Mm]y) name is {_VALUE}"), "name"),
    Pattern(_compile(rf"\b(?P<me>[Cc]all) me {_VALUE}"), "name"),
    Pattern(_compile(rf"\b{WHO}{_HELP}{_ADVERB} (?:turned )?(?P<value>\d{{1,3}})(?: years old\b| today\b)"), "age"),
    Pattern(_compile(rf"\b{WHO}{_HELP}{_ADVERB} turned (?P<value>\d{{1,3}})\b"), "age"),
    Pattern(
        _compile(rf"\b{WHO}{_HELP}{_ADVERB} (?:went |gone |turned |become |became |a )?(?P<value>vegetarian|vegan|pescatarian|"
                 rf"keto|paleo|omnivore|eating meat again|gluten-free)\b"),
        "diet",
    ),
    # what one has, uses and does
    _verb("drive|drives|driving|bought a new car, a", "car"),
    _verb("weigh|weighs", "weight"),
    _verb("wake up at|wakes up at|get up at|gets up at", "wake-up time", article=False),
    _verb("go to bed at|goes to bed at", "bedtime", article=False),
    Pattern(_compile(rf"\b{WHO}{_HELP}{_ADVERB} (?:have|own|has|owns) (?P<value>\d{{1,4}}|one|two|three|four|five|six|seven|eight|nine|ten) "
                     rf"(?P<thing>[a-z]{{3,20}}(?: [a-z]{{3,20}})?)\b"), _of_thing("number of")),
    # one value at a time: "my gym is now ...", "Ana's favourite food changed to ...", "we changed our deadline to ..."
    Pattern(_compile(rf"\b{WHOSE} {_ATTRIBUTE}(?:{_APOSTROPHE}s|{_ADVERB})? (?:is|are|was changed to|is now|changed to|has changed to|"
                     rf"became|switched to|moved to|will be|got moved to) (?:now |currently |actually )?{_ARTICLE}{_VALUE}"), _named),
    Pattern(_compile(rf"\b{WHO}{_HELP}{_ADVERB} (?:changed|switched|updated|moved|set|upgraded|replaced) (?:my|our|his|her|their|the) "
                     rf"{_ATTRIBUTE} (?:to|with|from [^.;!?\n]{{1,40}}? to) {_ARTICLE}{_VALUE}"), _named),
    Pattern(_compile(rf"\b(?P<the>[Tt]he|[Oo]ur|[Tt]his) (?P<whole>(?:[\w-]+ ){{0,3}}?){_ATTRIBUTE} (?:is now|is|changed to|has changed to|"
                     rf"moved to|was moved to|was changed to|will be) {_ARTICLE}{_VALUE}"), _named),
    # what one likes: the value is fixed, what it is about is part of the attribute
    Pattern(_compile(rf"\b{WHO}{_HELP}{_ADVERB} (?:{_DISLIKE}) {_ARTICLE}{_THING}"), _of_thing("feeling about"), value="dislikes"),
    Pattern(_compile(rf"\b{WHO}{_HELP}{_ADVERB} (?:{_LIKE}) {_ARTICLE}{_THING}"), _of_thing("feeling about"), value="likes"),
    Pattern(_compile(rf"\b{WHO}{_HELP}{_ADVERB} prefer(?:s)? {_ARTICLE}(?P<value>[^.;!?\n]{{1,60}}?) (?:over|to|rather than|instead of) "
                     rf"(?P<thing>[^,.;!?\n]{{2,60}})"), lambda g: "preference", exclusive=False),
    # several values at a time
    _verb("allergic to", "allergic to", exclusive=False),
    _verb("speak|speaks", "speak", exclusive=False),
    _verb("play|plays", "play", exclusive=False),
    _verb("adopted|have a|has a|own a|owns a", "have", exclusive=False),
)  # fmt: skip

KEY_VALUE = re.compile(
    rf"^[\s*-]*(?:(?P<name>{_NAME}){_APOSTROPHE}s\s)?(?P<attribute>[A-Za-z][\w /'-]{{1,40}}?)\s?[:=]\s+(?P<value>[^\n]{{1,120}}?)\s*$"
)

# Where a value ends: at a clause that goes on about something else, or at words of time.
VALUE_END = re.compile(
    r"\s*(?:,|\s-+\s|\u2014|\(|"
    r"\b(?:but|because|since|so|which|who|where|while|after|when|until|before|though|although|if|and (?:i|my|we|he|she|they|it|now|"
    r"am|is|have|has|the|that|this|also|so|then)|these days|nowadays|any ?more|right now|now|currently|at the moment|for now|"
    r"as of|instead|starting|yesterday|today|tomorrow|last (?:night|week|month|year|spring|summer|fall|autumn|winter|january|february|march|april|may|"
    r"june|july|august|september|october|november|december|\w+day)|this (?:week|month|year|spring|summer|fall|autumn|winter|morning)|"
    r"next (?:week|month|year|\w+day)|with my|for (?:a|the|my) (?:while|year|job|work|new)|in (?:19|20)\d\d|in (?:january|february|march|april|may|june|july|"
    r"august|september|october|november|december)|again|too|as well|\d+ \w+ ago|a (?:few|couple)|finally|by the way|btw|please|rather than|instead of|anymore)\b).*$",
    re.IGNORECASE | re.DOTALL,
)
# Sentences that state nothing: questions, conditions, wishes and hearsay.
UNREAL = re.compile(
    r"^\s*(?:if|when|whenever|unless|suppose|imagine|what if|do|does|did|is|are|was|were|can|could|would|should|who|what|where|why|how)\b"
    r"|\b(?:would|could|might|wish|hope to|hoping to|want to|wants to|wanted to|plan to|planning to|thinking (?:of|about)|"
    r"considering|going to|gonna|used to think|dreamed|dream of|almost|never|said that|told me that|heard that|maybe|perhaps|if i|as if|(?-i:may))\b",
    re.IGNORECASE,
)
PRONOUNS = frozenset(
    [
        "i",
        "it",
        "he",
        "she",
        "they",
        "we",
        "you",
        "this",
        "that",
        "these",
        "those",
        "there",
        "here",
        "what",
        "who",
        "where",
        "when",
        "why",
        "how",
        "yes",
        "no",
        "ok",
        "okay",
        "well",
        "so",
        "and",
        "but",
        "or",
        "if",
        "then",
        "thanks",
        "thank",
        "hey",
        "hi",
        "hello",
        "oh",
        "wow",
        "sure",
        "also",
        "my",
        "the",
        "our",
        "your",
        "his",
        "her",
        "their",
        "its",
        "let",
        "lets",
        "please",
        "today",
        "yesterday",
        "tomorrow",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "actually",
        "honestly",
        "maybe",
        "not",
        "just",
        "now",
        "someone",
        "everyone",
        "somebody",
        "everybody",
        "nobody",
        "people",
    ]
)
