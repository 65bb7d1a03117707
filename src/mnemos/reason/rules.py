"""Judgements by patterns and counting: deterministic, without a model, well below a millisecond per text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice

from mnemos.facts import Fact
from mnemos.reason.base import Judgement
from mnemos.reason.called import called
from mnemos.reason.certain import qualified
from mnemos.reason.condense import LONGEST, sentences, summarise, title
from mnemos.reason.doubt import doubted
from mnemos.reason.patterns import (
    BEST,
    CONTACT,
    COUPLE,
    FIRST,
    HELP,
    KEY_VALUE,
    LINK,
    OWNED,
    PAST,
    PET,
    SUBJECT,
    THING,
    VERBS,
    WHOSE,
    Pattern,
)
from mnemos.reason.quoted import own_words
from mnemos.reason.senses import is_employer, is_end_of_day, is_home
from mnemos.reason.values import PET_NAMES, PRONOUNS, VAGUE, about, is_detail, kind_of, look, tidy_attribute, words_of

MOST = 20  # facts of a sentence that are considered, so that the time is linear in its length
_WORD = re.compile(r"[\w-]+(?:['\u2019]t)?")
_CODE_SIGNS = re.compile(r"[;{}()<>=`\[\]]")
_ASKING = re.compile(
    r"[,;:-]\s(?:(?:and|but|so|then|or)\s)?(?:can|could|"
    r"what|how|should|would|will|do|does|did|is|are|am|which|where|when|who|why|have|"
    r"has|may|any|right|isn't|don't|I'm wondering|I was wondering|please|tell me)\b"
)
_BEEN = re.compile(r"\b(?:been|was|were)\b")
_BE = re.compile(r"\b(?:am|is|are|m|s|re)\b")
_HAVE = re.compile(r"\s(?:have|has)$")
_HAS = re.compile(r"\b(?:have|has|had)\b")
_IM = re.compile(r"[Ii](?:['\u2019]m| am)\b")
_A = re.compile(r"['\u2019]s an? ")  # "My husband's a plumber": no possession
_FOR = re.compile(r"\b(?:for|since)\b")


class RuleReasoner:
    """The default `Reasoner`. It finds less than a model would, and nothing that is not in the text."""

    name = "rules"

    def facts(self, text: str, speaker: str | None, at: datetime) -> list[Fact]:
        """Return the facts that a text states, in its order; about 50 us for a chat turn.

        Questions, conditions, wishes, hearsay and quotations state nothing. What leaves room for another value ("also",
        "in winter") is not exclusive.
        """
        me = (speaker or "user").strip().lower()
        found: list[Fact] = []
        text = own_words(text[:LONGEST])
        for start, sentence in sentences(text):
            if sentence.endswith("?"):  # "I live in Faro now, so which bank is near?" states the first half
                asking = _ASKING.search(sentence)
                sentence = sentence[: asking.start()] if asking else ""
            if sentence:
                found += _facts_of(sentence, start, me)
        if not found and "\n" not in text.strip():  # several lines may be a form or a list of people
            found = [fact for fact in [_key_value(text, me)] if fact]
        return found

    def compare(self, new: Fact, old: Fact) -> Judgement:
        """Judge by the words of the values as written: order, signs, numbers and function words count."""
        a, b = words_of(new.value), words_of(old.value)
        if new.negated != old.negated:
            if a == b or (new.negated and is_detail(old.value, new.value)):
                return Judgement("contradicts", "one says that it is so, the other that it is not")
            return Judgement("compatible", "one denies another value")
        if a == b:
            return Judgement("same", "the same value")
        if is_detail(new.value, old.value):
            return Judgement("refines", "the same value with more detail")
        if is_detail(old.value, new.value):
            return Judgement("same", "the same value with less detail")
        if new.exclusive and old.exclusive and not new.negated and not (set(a) <= set(b) or set(b) <= set(a)):
            return Judgement("contradicts", "another value of what has one at a time")
        return Judgement("compatible", "several values may hold")

    def summarise(self, texts: Sequence[str], sentences: int) -> str:
        """Return the sentences that share most with all others, in their order (extractive).

        A sentence scores the mean tf-idf weight of its content terms over all texts; one that mostly repeats the terms
        of those chosen before is skipped. Cost: O(terms).
        """
        return " ".join(summarise(texts, sentences))

    def title(self, texts: Sequence[str]) -> str:
        """Return the three most characteristic words of texts."""
        return title(texts)

    def reflect(self, texts: Sequence[str]) -> list[str]:
        """Return nothing: the rules draw no conclusions."""
        return []


def _facts_of(sentence: str, start: int, me: str) -> list[Fact]:
    """Read a sentence at each of its subjects, then elsewhere. Of facts on the same words the first one is taken."""
    found: list[Fact] = []
    at_subjects = (fact for match in SUBJECT.finditer(sentence) for fact in _atsubject_of(sentence, match, me))
    for fact in islice(chain(at_subjects, _elsewhere(sentence, me)), MOST):
        if fact.subject and all(fact.end <= f.start or fact.start >= f.end for f in found):
            found.append(fact)
    found = [
        replace(f, exclusive=f.exclusive and not qualified(sentence, f.start, f.end))
        for f in found
        if not doubted(sentence, f.start, f.end)
    ]
    return sorted((replace(f, start=f.start + start, end=f.end + start) for f in found), key=lambda f: f.start)


def _atsubject_of(sentence: str, match: re.Match[str], me: str) -> Iterator[Fact]:
    after = match.end()
    if match["the"]:
        yield from _of_thing(sentence, match, me)
        return
    subject = subject_of(match, me)
    if subject is None:
        return
    owned = match["my"] and not match["kin"]
    if not owned and sentence.startswith(("'s ", "\u2019s ", "s' "), after) and not _A.match(sentence, after):
        after, owned = after + 2, True
    if owned or match["kin"]:
        place = after if owned else match.start("kin") - 1
        yield from _owned(sentence, match.start(), place, subject if owned else me)
    if not owned or match["name"]:
        yield from _said_of(sentence, match.start(), match.end(), subject, named=not match["me"])


def _said_of(sentence: str, start: int, after: int, subject: str, *, named: bool) -> Iterator[Fact]:
    """Yield the facts that the verbs after a subject state."""
    help_ = HELP.match(sentence, after)
    if help_ is None or help_["short"] in ("'d", "'ll", "\u2019d", "\u2019ll"):
        return
    aux = help_["aux"]
    places = [help_.start("verb")]
    if (have := _HAVE.search(aux)) is not None:
        places.append(help_.start("aux") + have.start() + 1)
    for place in places:
        word = _WORD.match(sentence, place)
        if word is not None and f"{word[0]}s" in VERBS and (named or _BE.search(f"{help_['short'] or ''}{aux}")):
            continue  # "Themes like", "we are like": no verb
        if word is None:
            continue
        for pattern in VERBS.get(word[0].lower(), ()):
            tail = pattern.regex.match(sentence, place)
            if tail is None or (PAST.search(aux) and not pattern.passive):
                continue
            if word[0] == "made" and pattern.attribute == "job" and not _BEEN.search(aux):
                continue
            if pattern.look == "age" and (
                _HAS.search(aux) or not (_IM.match(sentence, start) or (named and _BE.search(f"{help_['short']}{aux}")))
            ):
                continue
            if pattern.look == "for" and not (
                re.search("have|has|ve", f"{aux}{help_['short']}") and _FOR.search(sentence, place)
            ):
                continue
            fact = _to_fact(pattern, tail, subject, start, denied=help_["no"] is not None)
            if fact is not None:
                yield fact
                return


def _to_fact(pattern: Pattern, tail: re.Match[str], subject: str, start: int, *, denied: bool) -> Fact | None:
    groups = tail.groupdict()
    if pattern.look == "named":
        return None if denied else _named(tail, subject, start)
    if pattern.fixed is not None:
        thing = about(groups["thing"])
        if thing is None or (denied and pattern.fixed == "dislikes"):
            return None
        fixed = "dislikes" if denied else pattern.fixed
        end = tail.start("thing") + len(thing)
        return Fact(subject, f"{pattern.attribute} {thing.lower()}", fixed, True, False, start, end)
    raw = tail[0].strip() if pattern.look == "self" else groups["value"]
    value = look(pattern.look, raw, groups.get("article"))
    unsure = pattern.look in ("proper", "firm", "for") and (groups.get("article") or "").startswith(("a ", "an "))
    if value is None or unsure or (denied and pattern.negated):
        return None
    place = tail.start("value") if "value" in groups else tail.start()
    end = place + raw.find(value) + len(value)
    if not _in_this_sense(pattern.look, tail.string, value, end):
        return None
    attribute = pattern.attribute
    if attribute == "live in" and re.search(r"\bas an?\b", raw):  # "moved to Bosch as an engineer"
        return None
    if groups.get("thing"):
        attribute = f"{attribute} {groups['thing']}"
    if attribute == "pet":
        attribute = f"{PET_NAMES.get(groups['pet'], groups['pet'])} name"
    if groups.get("of"):
        subject = groups["of"].lower()
    if attribute == "deadline":
        subject = subject.removesuffix(" project")
    return Fact(subject, attribute, value, pattern.exclusive, pattern.negated or denied, start, end)


def _in_this_sense(look: str, sentence: str, value: str, end: int) -> bool:
    """Tell whether a verb with several senses has the one of its pattern."""
    if look == "place":
        return is_home(sentence, value, end)
    if look == "firm":
        return is_employer(sentence, value)
    return look != "left" or not is_end_of_day(sentence, end)


def _named(tail: re.Match[str], subject: str, start: int) -> Fact | None:
    """Return the fact of a changed thing: "switched my editor to Zed", "moved the Atlas deadline to May 3"."""
    groups = tail.groupdict()
    noun = groups.get("attribute") or groups["plural"].removesuffix("ies").removesuffix("s")
    noun = "city" if noun == "cit" else noun
    if groups.get("whole"):
        subject = groups["whole"].strip().lower()
    return _owned_fact(noun, groups.get("new") or "", tail, subject, start)


def _owned(sentence: str, start: int, place: int, subject: str) -> Iterator[Fact]:
    """Yield the facts about a possession of a subject: "my gym is now ...", "... is my favourite film"."""
    pet = PET.match(sentence, place)
    if pet is not None and (value := look("person", pet["value"], pet["article"])):
        name = f"{PET_NAMES.get(pet['pet'], pet['pet'])} name"
        yield Fact(subject, name, value, True, False, start, pet.start("value") + len(value))
        return
    if sentence.endswith(" of ", 0, start):  # "one of my favourite films"
        return
    link = OWNED.match(sentence, place)
    if link is not None and not (link["link"][0] in ":," and kind_of(link["attribute"]) not in ("phone", "email")):
        fact = _owned_fact(link["attribute"], link["new"], link, subject, start)
        if fact is not None:
            yield fact
    before = FIRST.search(sentence, max(0, start - 20), start) if start > 3 else None
    noun = before and WHOSE.match(sentence, place)
    if before and noun:
        clause = sentence[: before.start()]
        clause = re.split(r"[,;:]\s|\b(?:and|but|so) ", clause)[-1]
        value = look(kind_of(noun["attribute"]), clause, None)
        if value is not None and value == clause.strip() and len(value.split()) <= 5:
            place = before.start() - len(clause) + clause.find(value)
            yield Fact(subject, tidy_attribute(noun["attribute"]), value, True, False, place, noun.end())


def _owned_fact(noun: str, new: str, tail: re.Match[str], subject: str, start: int) -> Fact | None:
    kind = kind_of(noun)
    value = look(kind, tail["value"], tail.groupdict().get("article"))
    if value is None or (new.strip().startswith("old") and "to" not in tail[0] and "for" not in tail[0]):
        return None
    attribute = tidy_attribute(noun)
    if attribute.startswith("favourite") and VAGUE.search(attribute):
        return None
    if noun.lower() in ("phone", "mobile", "cell") and not any(c.isdigit() for c in value):
        attribute = "phone model"
    end = tail.start("value") + tail["value"].find(value) + len(value)
    plural = attribute.startswith("favourite") and attribute.endswith("s") and not attribute.endswith("ss")
    return Fact(subject, attribute, value, not plural, False, start, end)


def _of_thing(sentence: str, match: re.Match[str], me: str) -> Iterator[Fact]:
    """Yield the facts about "the Atlas deadline", "the deadline of Atlas", "the name of my dog"."""
    thing = THING.match(sentence, match.end())
    link = thing and LINK.match(sentence, thing.end())
    if not thing or not link or link["link"][0] in ":,":
        return
    kind = kind_of(thing["attribute"])
    if thing["attribute"] == "name" and (thing["kin"] or thing["poss"]):
        pet = (thing["kin"] or thing["poss"].split()[-1]).lower()
        value = look("person", link["value"], link["article"])
        if value and pet in PET_NAMES:
            owner = me if thing["kin"] else thing["of"].lower()
            attribute = f"{PET_NAMES[pet]} name"
            yield Fact(owner, attribute, value, True, False, match.start(), link.start("value") + len(value))
        return
    if kind not in ("when", "digits") or (thing["kin"] or thing["poss"]):
        return
    whole = (thing["of"] or thing["whole"] or "").strip()
    whole = re.sub(r"\s*\bproject$|^new\s*", "", whole)
    subject = whole.lower() if whole[:1].isupper() else f"the {whole}".strip().lower()
    if (fact := _owned_fact(thing["attribute"], thing["new"], link, subject, match.start())) is not None:
        yield fact


def _elsewhere(sentence: str, me: str) -> Iterator[Fact]:
    """Yield the facts stated without a leading subject: contact details, couples, what one is called, favourites."""
    if "@" in sentence or sum(c.isdigit() for c in sentence) >= 6:
        for match in CONTACT.finditer(sentence):
            for kind in ("email", "phone"):
                value = look(kind, match["value"].rstrip(".,"), None)
                who = match["who"]
                if value and (who is None or who in ("me", "us") or who.split()[0].lower() not in PRONOUNS):
                    whose = me if who in (None, "me", "us") else str(who).lower()
                    yield Fact(whose, kind, value, True, False, match.start(), match.start("value") + len(value))
    if " and " in sentence and (couple := COUPLE.search(sentence)) is not None:
        a, b = couple["a"], couple["b"]
        if a.split()[0].lower() not in PRONOUNS and a != "I":
            owner, value = (me, a) if b == "I" else (a.lower(), b)
            yield Fact(owner, "relationship", value, True, False, couple.start(), couple.end())
    if "call" in sentence.lower() or "I " in sentence:
        yield from called(sentence, me)
    if " best" in sentence or " most " in sentence:
        for match in BEST.finditer(sentence):
            who = match["who"] or match["who2"]
            raw = match["value"] or match["best"]
            value = look("noun", raw, match["article"])
            if value:
                noun = tidy_attribute(f"favourite {match['noun'] or match['nouns']}")
                end = match.start("value" if match["value"] else "best") + raw.find(value) + len(value)
                yield Fact(me if who == "I" else who.lower(), noun, value, True, False, match.start(), end)


def _key_value(sentence: str, me: str) -> Fact | None:
    line = KEY_VALUE.match(sentence)
    if line is None or _CODE_SIGNS.search(sentence):
        return None
    key = line["attribute"].split()
    if len(key) > 4 or key[0].lower() in PRONOUNS:
        return None
    name = line["name"]
    if line["attribute"].lower().startswith("http") or (name and name.split()[0].lower() in PRONOUNS):
        return None
    kind = "" if key[-1].lower() == "name" else kind_of(line["attribute"])
    value = look(kind, line["value"].rstrip(".!"), None) if kind else None
    if value is None:
        return None
    attribute = tidy_attribute(line["attribute"])
    end = line.start("value") + line["value"].find(value) + len(value)
    return Fact((name or me).lower(), attribute, value, True, False, line.start(), end)


def subject_of(match: re.Match[str], me: str) -> str | None:
    """Return the subject of a match: the speaker, a name, or "ana's sister"."""
    if match["kin"]:
        return str(match["kin_name"] or f"{me}'s {match['kin']}").lower()
    if match["name"]:
        words = [w for w in str(match["name"]).split() if w.lower() not in PRONOUNS]
        return None if not words or (words[0].isupper() and len(words[0]) > 5) else " ".join(words).lower()
    return "" if match["they"] else me
