"""States of a person in other languages than English: what a question asks of its asker, what a text states of its author.

`state_words.json` has the words, by state ("home", "job", "pet", ...) and language: of questions, of statements in the
first person ("vivo en", "ich wohne"), of statements that need a subject ("umgezogen", "переехала"), and nouns that state
something beside a word of change ("neuer Hund"). They say that a text is about where its author lives, not where.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

READ = 400  # characters of a text that are looked at
_MARKS = "".join(chr(c) for c in range(0x300, 0x1100) if unicodedata.category(chr(c))[0] == "M")
WORD = re.compile(rf"(?:[^\W_][{_MARKS}]*)+")  # with the vowel signs of scripts that write them as marks
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_NEVER = re.compile(r"(?!)")
# Whose it is, where a language marks the subject behind it: "健太が", "민수는".
_SUBJECT = re.compile(r"(\w{1,8}?)(?:さん|くん|君|ちゃん|様)?(?:は|が)|(\w{1,8}?)(?:씨)?(?:는|은|이|가)(?!\w)")
_CLAUSE = re.compile(r"[,;:.!?\u3001\u3002\uff0c\uff01\uff1f\u060c\u0964\n]+")
_OWN = re.compile("私|僕|俺|自分|うち|저|나|제|내|우리|本人")
_WHEN = re.compile(
    r"[\s,、，。.!！\d]*(?:先月|先週|昨日|今年|今は|今|もう|やっと|上个月|上周|这个月|今年|去年|昨天|前天|现在|目前|终于|刚刚|刚|已经|最近|我们|[年月日号])*"
)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a state, in all languages, as patterns over `plain` texts."""

    asked: re.Pattern[str]
    asked_own: re.Pattern[str]  # of questions that need no "I": "¿Dónde vivo?"
    own: re.Pattern[str]
    told: re.Pattern[str]
    nouns: re.Pattern[str]
    told_phrases: tuple[str, ...]  # what to look for by words, own first
    every: frozenset[str]  # single words of all phrases


def asked_state(question: str, *, own: bool) -> str | None:
    """Return the state that a question asks of its asker, such as "home"; None for another question.

    `own`: a word of the question says that it is about its asker. Without one only verbs in the first person do so, and in
    Japanese and Korean that nobody else is the subject.
    """
    text, names = plain(question), _named(question)
    if names or _others().search(text):
        return None
    of_self = own or _first_person().search(text) is not None
    for state, words in _states().items():
        if words.asked_own.search(text) or (words.asked.search(text) and (of_self or _unsaid(question, words))):
            return state
    return None


def states(state: str, text: str, *, own: bool, change: bool, alone: bool, they: bool) -> bool:
    """Tell whether a text states something of its author's home, job, ... by its words, in any known language.

    `own`, `they` and `change` say whether it has words for its author, for somebody else, and for a change; `alone` whether
    nobody is named, nor another time. What says in the first person that it is so now needs none of them.
    """
    words, found = _states()[state], plain(text[:READ])
    if words.own.search(found):
        return True
    own = own or _first_person().search(found) is not None
    if not alone or (they and not own):
        return False
    if words.told.search(found) and (own or _opens(text[:READ], words)):
        return True
    if words.nouns.search(found) is None:
        return False
    if state == "phone":
        return sum(c.isdigit() for c in text) > 4
    return own and (change or _got().search(found) is not None)


def words_for(state: str) -> str:
    """Return words by which texts that state something are found."""
    return " ".join(_states()[state].told_phrases)


def about(state: str, word: str) -> bool:
    """Tell whether a word is one by which a state is asked for or told, or of any question: "chef", "heißt"."""
    found = plain(word).strip()
    if found in _neutral():
        return True
    if is_unspaced(found):
        return any(found in known for known in _states()[state].every)
    return any(known.startswith(found) for known in _states()[state].every)


def is_unspaced(word: str) -> bool:
    """Tell whether a word is of a script that puts no spaces between words."""
    return _UNSPACED.search(word) is not None


def plain(text: str) -> str:
    """Return the words of a text in small letters, a space before and behind each."""
    return f" {' '.join(WORD.findall(unicodedata.normalize('NFKC', text).casefold()))} "


def _named(question: str) -> list[str]:
    """Return the words of a question that look like names: capitals within it, but for German nouns of a state."""
    found = [m for m in WORD.finditer(question.lstrip("\u00bf\u00a1 ")) if m[0][0].isupper() and m.start() > 0]
    known = _nouns()
    return [m[0] for m in found if not any(m[0].casefold().startswith(noun) for noun in known)]


def _unsaid(question: str, words: Words) -> bool:
    """Tell whether a Japanese or Korean question has no subject but what is asked for."""
    if re.search("[\u3040-\u30ff\uac00-\ud7af]", question) is None:
        return False
    return all(
        _OWN.search(who) or words.asked.search(f" {who} ") or re.fullmatch("[何誰]|どれ|어디|무엇|누구|뭐", who)
        for m in _SUBJECT.finditer(question)
        if (who := m[1] or m[2] or "")
    )


def _opens(text: str, words: Words) -> bool:
    """Tell whether nothing but a time stands before the verb of a clause, so that its subject is its author.

    In Japanese and Korean nothing that is marked as another subject.
    """
    for clause in _CLAUSE.split(text):
        found = plain(clause)
        m = words.told.search(found)
        if m is not None and _is_first(found[: m.start()], words):
            return True
    return False


def _is_first(before: str, words: Words) -> bool:
    if not before.strip():
        return True
    if not re.search("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", before):
        return False
    rest = _WHEN.sub("", before.strip())
    if re.search("[\u3040-\u30ff\uac00-\ud7af]", before):
        return all(
            _OWN.search(who) or words.nouns.search(f" {who} ") for m in _SUBJECT.finditer(rest) if (who := m[1] or m[2])
        )
    return not rest.strip()


def _phrase(phrase: str) -> str:
    """Return the pattern of a phrase: whole words, or any place in scripts without spaces; "*" stands for an end or a word."""
    if _UNSPACED.search(phrase):
        return re.escape(phrase)
    parts = [
        r"\w+(?: \w+)?" if part == "*" else re.escape(part[:-1]) + r"[^ ]*" if part.endswith("*") else re.escape(part)
        for part in (
            w if w == "*" else "".join(plain(w)).strip() + ("*" if w.endswith("*") else "") for w in phrase.split()
        )
    ]
    return f" {' '.join(parts)}(?= )"


def _pattern(phrases: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_phrase, sorted(phrases, key=len, reverse=True)))) if phrases else _NEVER


@cache
def _source() -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    found: dict[str, dict[str, dict[str, dict[str, str]]]] = json.loads(
        files("mnemos.reason").joinpath("state_words.json").read_text(encoding="utf-8")
    )
    return found


@cache
def _states() -> dict[str, Words]:
    return {state: _words_of(list(by.values())) for state, by in _source()["states"].items()}


def _words_of(languages: list[dict[str, str]]) -> Words:
    def every(kind: str) -> list[str]:
        return [w for words in languages for w in words.get(kind, "").split(", ") if w]

    asked, asked_own, own, told, nouns = map(every, ("asked", "asked of oneself", "told of oneself", "told", "nouns"))
    phrases = (*own, *told)
    return Words(
        asked=_pattern(asked),
        asked_own=_pattern(asked_own),
        own=_pattern(own),
        told=_pattern(told),
        nouns=_pattern(nouns),
        told_phrases=tuple(dict.fromkeys(w.replace("*", "") for w in phrases)),
        every=frozenset(w.strip("*") for p in (*asked, *asked_own, *phrases, *nouns) for w in p.split()) - {""},
    )


@cache
def _first_person() -> re.Pattern[str]:
    return _pattern(str(_source()["first person"]).split(", "))


@cache
def _others() -> re.Pattern[str]:
    """Return the words of questions for something else: when, why, how long, what was."""
    return _pattern(str(_source()["other questions"]).split(", "))


@cache
def _neutral() -> frozenset[str]:
    return frozenset(plain(word).strip() for word in str(_source()["in any question"]).split(", "))


@cache
def _got() -> re.Pattern[str]:
    return _pattern(str(_source()["got"]).split(", "))


@cache
def _nouns() -> tuple[str, ...]:
    """Return the German words of questions, whose capitals make no names."""
    found = {w for by in _source()["states"].values() for w in by.get("de", {}).get("asked", "").split(", ")}
    return tuple(
        sorted(
            {plain(w.split()[-1]).strip() for w in found}
            | {"stadt", "ort", "land", "straße", "strasse", "welt", "leben", "firma", "mensch"}
        )
    )
