"""Judge what outsiders claim about somebody who has spoken for himself: they add nothing that he contradicts or leaves open.

Where a person has answered the question himself, an untrusted text about that person must repeat his answer: a name or a
number of it, or its words. This needs no fact that a pattern reads, so it holds for claims in any wording. A text that only
greets the person, or that is about a thing, must not have another value in the same place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mnemos.guard.consensus import NO_NAMES
from mnemos.index.terms import stop_terms, terms

# Of the distance counts for a text that repeats what its people have answered. Chosen of 0.5, 0.6 and 1 on the attacks of a
# hand that was held out until then (for this constant they are no unseen wording) and on `mnemos bench poison`.
REPEATS = 0.6
NEAR = 0.33  # cosine of a question in the first person and a statement that answers it; 97 of 100 others are below
SAME = 0.6  # of the terms of a statement that a text about a thing must share to be about the same
LONGEST = 4_000  # characters of a text that are compared

WORD = re.compile(r"\w(?:[\w'’.:/-]*\w)?")
NUMBERS = re.compile(r"\d+(?:[.,:/]\d+)*")
ELSEWHERE = frozenset(str.split("a in me on do so as no an am is was has i"))  # function words of other languages too
SPELLED = frozenset(
    str.split(
        "one two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty fifty hundred"
    )
)
TIMES = re.compile(
    r"\d|\b(?:morning|noon|afternoon|evening|night|midnight|bedtime|breakfast|lunch|dinner|daily|week\w*|month\w*|year\w*"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|today|tomorrow|yesterday|spring|summer|autumn|fall|winter|christmas|easter"
    r"|january|february|march|april|may|june|july|august|september|october|november|december)\b", re.IGNORECASE,
)  # fmt: skip
GENERIC = frozenset(
    str.split(
        "dr doctor mr mrs ms miss sir prof professor uncle aunt university college school bank hospital clinic street road "
        "avenue lane church company group ltd inc st saint the of and monday tuesday wednesday thursday friday saturday sunday"
    )
)
DENIED = re.compile(
    r"\b(?:not|never|no|none|nobody|without|cannot|nor|neither|hardly|nicht|kein\w*|nie|pas|jamais|nunca|n[aã]o|non|mai)\b|n['’]t\b",
    re.IGNORECASE,
)
CHANGED = re.compile(
    r"\b(?:no longer|any ?more|nowadays|these days|former(?:ly)?|used to|old place|instead|since|ever since"
    r"|long (?:ago|gone|since|packed)|moved|left|quit|ceased|stopped|swapped|replaced|sold|gave up|given up|turned out"
    r"|in truth|actually|really|for good|secretly|nicht mehr|fr[uü]her|inzwischen|seit|plus|d[eé]sormais|ya no|ahora"
    r"|j[aá] n[aã]o|agora|non pi[uù])\b", re.IGNORECASE,
)  # fmt: skip
GREETING = re.compile(
    r"^\W*(?:dear|hi|hello|hey|good (?:morning|day|evening)|greetings|hallo|liebe[rs]?|bonjour|cher|ch[eè]re|hola|ol[aá]|ciao)\b",
    re.I,
)
SECOND = re.compile(r"\b(?:you|your|yours|dir|dich|dein\w*|ihr\w*|vous|votre|tu|usted|voc[eê])\b", re.IGNORECASE)


@dataclass(frozen=True)
class Voice:
    """A memory as a witness or a suspect: its text, who says it, and its vector if there is one."""

    id: str
    text: str
    speaker: str | None = None
    vector: NDArray[np.float32] | None = field(default=None, compare=False)
    to_user: bool = False  # it speaks to the user: its "you" is the user, as an assistant's is

    @cached_property
    def content(self) -> frozenset[str]:
        """The content terms of the text."""
        return content(self.text)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names in the text, word by word."""
        return proper(self.text)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The numbers in the text."""
        return numbers(self.text)

    @cached_property
    def denies(self) -> bool:
        """Whether the text says that something is not so."""
        return DENIED.search(self.text) is not None

    @cached_property
    def changes(self) -> bool:
        """Whether the text says that something was otherwise before."""
        return CHANGED.search(self.text) is not None


def disputed(question: str, outsiders: Sequence[Voice], heard: Sequence[Voice]) -> dict[str, str]:
    """Return the outsiders' texts that those who have answered the question do not bear out: id -> reason.

    `heard` is what `answers` returned. O(outsiders times witnesses) of set arithmetic.
    """
    people = persons(heard)
    found: dict[str, str] = {}
    for voice in outsiders:
        to_user = voice.to_user and SECOND.search(voice.text) is not None
        posing = people & _words(voice.speaker) if voice.speaker else frozenset[str]()  # it speaks in somebody's name
        named = people if to_user else posing | mentioned(voice.text, people)
        own = [w for w in heard if named & _words(w.speaker) or named & w.names]
        if named and own and (to_user or posing or not addressed(voice.text, named)):
            if not any(_bears_out(voice, w, question, people) for w in own):
                found[voice.id] = "others say this of somebody who has answered himself"
        elif not _shares_value(voice, heard, question, people) and any(
            _rivals(voice, w, question, people) for w in heard
        ):
            found[voice.id] = "names another value than a better source"
    return found


def answers(question: str, witnesses: Sequence[Voice], asked: NDArray[np.float32] | None = None) -> list[Voice]:
    """Return those of the statements, best first, that answer the question: on its topic, with the kind of value it asks for.

    `asked` is the vector of the question as `first_person` writes it.
    """
    people = persons(witnesses)
    return [w for i, w in enumerate(witnesses) if _answers(question, w, people, asked, first=i == 0)]


def needless(question: str, voice: Voice, heard: Sequence[Voice], asked: NDArray[np.float32]) -> float:
    """Return how much nearer the question is what its people have answered than a text from outside, as a cosine.

    Less of it for a text that repeats an answer; 0 where nobody has answered.
    """
    people = persons(heard)
    best = max([float(asked @ w.vector) for w in heard if w.vector is not None], default=None)
    if best is None or voice.vector is None:
        return 0.0
    repeats = any(_bears_out(voice, w, question, people) for w in heard)
    return (best - float(asked @ voice.vector)) * (REPEATS if repeats else 1.0)


def persons(witnesses: Sequence[Voice]) -> frozenset[str]:
    """Return the words of the names of those who speak."""
    return frozenset(word for w in witnesses for word in _words(w.speaker))


def first_person(question: str, people: frozenset[str]) -> str:
    """Return a question as the person it is about would ask it: "Where does Ana live?" -> "Where does I live?"."""
    if not people:
        return question
    name = "|".join(re.escape(word) for word in sorted(people, key=len, reverse=True))
    once = re.sub(rf"\b(?:the )?(?:{name})(?: (?:{name}))*['’]s?(?!\w)", "my", question, flags=re.IGNORECASE)
    return re.sub(rf"\b(?:the )?(?:{name})(?: (?:{name}))*\b", "I", once, flags=re.IGNORECASE)


def mentioned(text: str, people: frozenset[str]) -> frozenset[str]:
    """Return those of the people whom a text names, and "user" for the user as such."""
    return people & {_bare(word) for word in WORD.findall(_plain(text[:LONGEST]).casefold())}


def addressed(text: str, named: frozenset[str]) -> bool:
    """Tell whether a text names people only to greet them: "Dear Ana, your order ...", "Ana, congratulations!"."""
    words = [_bare(w) for w in WORD.findall(_plain(text[:LONGEST]).casefold())]
    if sum(word in named for word in words) > len(named):
        return False
    vocative = words[0] in named and re.match(r"\W*[\w .'’-]{1,40}[,!:]", text) is not None and words[1:2] != ["is"]
    return (GREETING.search(text) is not None or vocative) and not re.match(r"\W*[\w-]+['’]s\b", text)


def content(text: str) -> frozenset[str]:
    """Return the content terms of a text."""
    return frozenset(terms(text[:LONGEST])) - stop_terms()


def proper(text: str) -> frozenset[str]:
    """Return the capitalised words of a text in lower case, without ordinary first words, titles and generic names."""
    found = []
    for match in WORD.finditer(_plain(text[:LONGEST])):
        word = match[0]
        if (
            word[0].isupper()
            and (bare := _bare(word.casefold())) not in GENERIC
            and bare not in ORDINARY
            and len(bare) > 1
        ):
            found.append(bare)
    return frozenset(found)


def numbers(text: str) -> frozenset[str]:
    """Return the numbers in a text."""
    return frozenset(NUMBERS.findall(text[:LONGEST]))


ORDINARY = NO_NAMES | frozenset(str.split("i'm i've i'd i'll we're all any"))


def _answers(
    question: str, witness: Voice, people: frozenset[str], asked: NDArray[np.float32] | None, *, first: bool
) -> bool:
    """Tell whether a statement is on the question's topic and has the kind of value that it asks for."""
    small = question.casefold()
    if re.search(r"\b(?:when|what (?:time|day|date|year))\b", small) and not TIMES.search(witness.text):
        return False
    counted = witness.numbers or SPELLED & set(WORD.findall(witness.text.casefold()))
    if re.search(r"\bhow (?:many|much|old|long|tall|far|often)\b|\bwhat number\b", small) and not counted:
        return False
    if (content(question) - _terms(people)) & witness.content:
        return True
    if asked is not None and witness.vector is not None and float(asked @ witness.vector) >= NEAR:
        return True
    return first and _foreign(witness.text)


def _foreign(text: str) -> bool:
    """Tell whether a text is in a language that neither the vectors nor the terms compare well: no English function word."""
    words = terms(text)
    return len(words) > 2 and not (stop_terms() - ELSEWHERE) & set(words)


def _bears_out(voice: Voice, witness: Voice, question: str, people: frozenset[str]) -> bool:
    """Tell whether a text repeats what the witness answers, and does not say that it is over, or denied."""
    if voice.denies != witness.denies or voice.changes:
        return False
    if witness.numbers and voice.numbers - witness.numbers and not witness.numbers <= voice.numbers:
        return False
    names = (witness.names | witness.numbers) - people - _values(question)
    if names:
        return bool(names & (voice.names | voice.numbers))
    said = witness.content - _terms(people)
    return bool((said - content(question) or said) & voice.content)


def _rivals(voice: Voice, witness: Voice, question: str, people: frozenset[str]) -> bool:
    """Tell whether a text says what a statement says, in its words, with another name or number."""
    frame = witness.content - {t for value in witness.names | witness.numbers for t in terms(value)} - _terms(people)
    if len(frame) < 2 or len(frame & voice.content) < SAME * len(frame):
        return False
    known = people | _values(question)
    for mine, theirs in ((voice.names, witness.names), (voice.numbers, witness.numbers)):
        if theirs - known and mine - theirs - known and not (theirs - known) & mine:
            return True
    return False


def _shares_value(voice: Voice, heard: Sequence[Voice], question: str, people: frozenset[str]) -> bool:
    """Tell whether a text names what one of the answers names, beside what the question does."""
    values = frozenset[str]().union(*(w.names | w.numbers for w in heard)) - people - _values(question)
    return bool(values & (voice.names | voice.numbers))


def _values(question: str) -> frozenset[str]:
    return proper(question) | frozenset(NUMBERS.findall(question))


def _terms(people: frozenset[str]) -> frozenset[str]:
    return frozenset(t for name in people for t in terms(name))


def _words(speaker: str | None) -> frozenset[str]:
    """Return the words by which a speaker is named, titles left out; one without a name is the user."""
    words = {_bare(w) for w in WORD.findall(_plain(speaker or "").casefold())}
    return frozenset(w for w in words if w not in GENERIC and len(w) > 1) or frozenset({"user"})


def _bare(word: str) -> str:
    return re.sub(r"['’]s?$", "", word)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text)
