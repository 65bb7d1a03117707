"""Tags of a fixed ontology: what a text is about, by the words that it has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache

from mnemos.index.terms import terms

# What people talk about, and words that tell; a word stands for all its forms. Ours: the papers print no whole ontology.
WORDS: Mapping[str, str] = {
    "family": "family mother father mom dad mum parent sister brother son daughter child kid baby grandmother grandfather "
    "grandma grandpa aunt uncle cousin nephew niece relative husband wife sibling twin",
    "friends": "friend friendship neighbour neighbor buddy pal roommate flatmate partner girlfriend boyfriend date dating "
    "marry wedding engaged divorce relationship anniversary",
    "work": "work job career boss colleague coworker office company employer employee project meeting deadline client "
    "customer promotion salary interview hire startup business manager team shift resign retire profession",
    "study": "study school university college course class exam teacher professor student degree homework thesis lesson "
    "lecture learn tutor scholarship graduate education campus",
    "health": "health doctor hospital sick illness disease pain medicine medication allergy allergic therapy therapist "
    "surgery injury symptom diagnosis dentist headache fever vaccine diabetes pregnant sleep insomnia anxiety depression",
    "food": "food eat cook recipe meal breakfast lunch dinner restaurant bake cake bread coffee tea vegetarian vegan meat "
    "fish fruit vegetable cheese pizza pasta soup salad dessert drink wine beer diet kitchen chocolate",
    "travel": "travel trip holiday vacation flight fly airport hotel train passport visa abroad tour tourist beach journey "
    "luggage backpack camping hike road cruise explore island country visit",
    "home": "home house apartment flat rent landlord mortgage move furniture garden kitchen bedroom room roof neighbourhood "
    "renovate repair city town address live",
    "money": "money pay price cost cheap expensive buy sell bank loan debt save budget invest tax bill salary insurance "
    "account credit donate donation charity",
    "sport": "sport gym run running marathon workout exercise train training yoga swim bike cycling football soccer "
    "basketball tennis match race coach climb ski surf dance fitness tournament",
    "music": "music song sing band concert guitar piano violin drum album festival choir instrument orchestra play cello "
    "flute trumpet organ banjo",
    "art": "art paint painting draw drawing museum gallery sculpture pottery photo photograph photography camera craft "
    "design theatre sew knit exhibition",
    "books-and-films": "book read novel author library movie film series show watch cinema actor story poem poetry comic "
    "magazine write writer episode podcast game games gaming",
    "animals": "dog cat pet puppy kitten bird horse animal fish rabbit hamster vet zoo wildlife turtle snake",
    "nature": "nature tree forest river lake mountain sea ocean sunset flower plant weather rain snow sun storm garden park",
    "technology": "computer laptop phone app software program code coding website internet robot device email password "
    "server data online technology editor",
    "faith-and-culture": "church mosque temple religion faith pray god tradition culture language christmas easter ramadan "
    "diwali holiday festival community volunteer",
    "plans": "plan goal dream hope decide decision intend schedule appointment reminder remind event party birthday "
    "celebrate celebration tomorrow invite",
    "feelings": "feel feeling happy sad angry afraid scared worried nervous proud excited love hate stress stressed lonely "
    "grateful thankful upset cry confident support",
}


@cache
def vocabulary() -> Mapping[str, frozenset[str]]:
    """Return the terms that tell of each tag."""
    return {tag: frozenset(terms(words)) for tag, words in WORDS.items()}


def tags_of(text: str) -> tuple[str, ...]:
    """Return the tags of a text, the one with the most of its words first, at most three. About 20 us."""
    return tags_of_terms(terms(text))


def tags_of_terms(found: Collection[str]) -> tuple[str, ...]:
    """Return the tags of the terms of a text; see `tags_of`."""
    had = frozenset(found)
    counts = {tag: len(words & had) for tag, words in vocabulary().items()}
    return tuple(sorted((tag for tag, n in counts.items() if n), key=lambda tag: -counts[tag])[:3])


def words_of_tags(tags: Iterable[str]) -> frozenset[str]:
    """Return the terms that tell of any of some tags."""
    return frozenset().union(*(vocabulary()[tag] for tag in tags))
