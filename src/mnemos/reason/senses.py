"""Senses of verbs: "moved to", "joined" and "left" state a home or a job only where the rest of the sentence says so."""

from __future__ import annotations

import re

from mnemos.reason.places import is_place

# fmt: off
# What is moved to, and is no home, although a name stands before it: "the Payments team", "the Dublin region".
_NO_HOME = re.compile(r"(?:\s[\w'\u2019-]+){0,2}\s(?:team|squad|department|dept|desk|seat|row|table|floor|"
    r"office|branch|shift|"
    r"ward|unit|group|class|form|school|plan|tier|server|servers|cluster|region|zone|data ?cent(?:er|re)|cloud|"
    r"version|"
    r"database|account|app|project|role|position|division|line|dock|lane|platform|stand|gym|club|theme|"
    r"editor)\b", re.IGNORECASE)
_HOME = re.compile(r"\b(?:house|home|flat|apartment|condo|cottage|bungalow|townhouse|homestead|town|city|"
    r"village|suburbs?|country|"
    r"countryside|county|island|neighbou?rhood|street|landlord|lease|mortgage|live|living|unpack\w*|movers|"
    r"moving (?:van|truck|boxes|"
    r"day)|closer to|abroad|overseas|relocat\w+|emigrat\w+|(?:with|for) my (?:wife|husband|partner|family|"
    r"parents|kids|children|girlfriend|"
    r"boyfriend|fianc\w+|mum|mom|dad|sister|brother))\b", re.IGNORECASE)
_THINGS = re.compile(r"\b(?:servers?|database|backend|frontend|stack|cluster|hosting|hosted|deploy\w*|repos?|"
    r"backups?|mail|e-?mail|"
    r"accounts?|data|code|workloads?|team|desk|seat|editor|browser|provider|plan)\b", re.IGNORECASE)
_FIRM = re.compile(r"\b(?:Labs?|Bank|Foods|Games|Studios?|Health|Media|Energy|Press|Travel|Shipping|Air|"
    r"Airlines|Telecom|Hotels?|"
    r"Paints|Tools|Toys|Optics|Bikes|Audio|Wind|Freight|Inc|Ltd|LLC|LLP|GmbH|AG|SA|PLC|Corp|Corporation|Company|"
    r"Co|Group|Systems|Software|"
    r"Technologies|Technology|Tech|Consulting|Partners|Industries|Motors|Steel|Logistics|Pharma\w*|Insurance|"
    r"Capital|Ventures|"
    r"Council|Hospital|Clinic|University|College|School|Ministry|Foundation|Institute|Agency|Brothers|Bros)\b")
_HIRED = re.compile(r"\bas (?:an?|the|their|head|chief|lead|senior|junior)\b|\b(?:company|startup|start-up|"
    r"employer|full[- ]time|new job|"
    r"colleagues|salary|onboarding|probation|(?:engineering|sales|design|marketing|finance|product|data|legal|"
    r"hr) team)\b", re.IGNORECASE)
# "left Acme at six" goes home; "left Acme for good" quits.
_HOME_TIME = re.compile(r"\s*,?\s*(?:again\s)?(?:at|around|by|before|after|past|about|just after|just before|"
    r"a bit before|not until)?\s?(?:\d|one\b|two\b|"
    r"three\b|four\b|five\b|six\b|seven\b|eight\b|nine\b|ten\b|eleven\b|twelve\b|noon|midnight|half|quarter|"
    r"lunch|dinner|dark|sunset|early|late\b|"
    r"tonight|today|yesterday|this (?:morning|afternoon|evening)|on time|straight|in (?:the (?:morning|"
    r"afternoon|evening|rain|dark)|a "
    r"(?:hurry|rush|taxi|cab))|an hour|half an hour|for (?:the (?:day|night|weekend|airport|station|holidays?)|"
    r"lunch|home|a (?:week|few|"
    r"meeting|doctor|run|walk))|with|without|to (?:get|pick|catch|go|see|meet|buy|walk|collect|fetch)|just now|"
    r"a (?:message|note|"
    r"review|voicemail|tip|comment|complaint))", re.IGNORECASE)
_YEARS = re.compile(r"\s*,?\s*after (?:\d+|[a-z]+|many|several) (?:long )?(?:years?|months?|weeks?)|"
    r"\s*,?\s*(?:at|after) (?:all|last)\b", re.IGNORECASE)
# fmt: on


def is_home(sentence: str, value: str, end: int) -> bool:
    """Tell whether "moved to `value`", which ends at `end`, is about a home: a known place, or words of living somewhere."""
    if _NO_HOME.match(sentence, end) or (_THINGS.search(sentence) and not _HOME.search(sentence)):
        return False
    return is_place(value) or _HOME.search(sentence) is not None


def is_employer(sentence: str, value: str) -> bool:
    """Tell whether "joined `value`" is about a job, not about a network, a club or a call."""
    return _FIRM.search(value) is not None or _HIRED.search(sentence) is not None


def is_end_of_day(sentence: str, end: int) -> bool:
    """Tell whether "left `value`", which ends at `end`, only goes home: "at six", "early", "to catch a train"."""
    return _HOME_TIME.match(sentence, end) is not None and _YEARS.match(sentence, end) is None
