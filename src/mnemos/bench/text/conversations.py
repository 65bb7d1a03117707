"""Conversations of one user with an assistant, with facts of six classes among small talk, seeded.

The classes are those of ConvoMem (arXiv 2511.10523): what the user said of himself, what the assistant said, what changed,
what was never said, what the user prefers, and what only follows from what he said.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from mnemos.bench.text.chatter import answered, said
from mnemos.bench.text.synthetic_people import ATTRIBUTES, PEOPLE, PROJECTS, THINGS, Attribute, say
from mnemos.bench.text.task import Expected, Haystack, Question, Task

Class = Literal["user fact", "assistant fact", "changing fact", "abstention", "preference", "implicit"]
CLASSES: tuple[Class, ...] = ("user fact", "assistant fact", "changing fact", "abstention", "preference", "implicit")
START = datetime(2024, 1, 1, 9, tzinfo=UTC)
USER = PEOPLE[0]
TURNS = 6  # of a conversation
FACTS = ("city", "employer", "job", "car", "gym", "dog", "diet", "partner", "editor")
PREFERENCES = ("food", "color", "film")
ADVISED = (  # what the assistant says, what is asked, the values
    ("For the hike I suggest the {v} trail.", "Which trail did you suggest for the hike?",
     ("Eagle Ridge", "Fern Valley", "Salt Marsh", "Old Quarry", "Three Lakes", "Heather Moor")),
    ("You could read {v} next.", "Which book did you tell me to read next?",
     ("Middlemarch", "Stoner", "Dubliners", "Beloved", "Solaris", "Emma")),
    ("My advice is to plant {v} in the shady bed.", "What did you advise me to plant in the shady bed?",
     ("hostas", "foxgloves", "lungwort", "bleeding hearts", "astilbes", "primroses")),
    ("The best day to call them is {v}.", "Which day did you say is best to call them?",
     ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")),
)  # fmt: skip
IMPLICIT = (  # a state, and a question that it bears on, with no word in common
    ("The doctor says I must not eat any nuts, my throat swells up.", "Can you suggest a dessert for me?"),
    ("I broke my ankle on the stairs, six weeks in plaster.", "What could I do for exercise this month?"),
    ("Our baby wakes up every two hours now.", "Why am I so tired lately?"),
    ("I handed in my notice, my last pay cheque comes in June.", "Should I book the expensive cruise?"),
    ("I cannot tell red from green, never could.", "Which chart style suits my slides?"),
    ("Lifts make me panic since I got stuck in one.", "Which floor should the hotel room be on?"),
    ("The landlord does not allow any animals.", "Shall I adopt a kitten?"),
    ("I promised my sister to be at her wedding on 8 June.", "Am I free for the conference in early summer?"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """A question and the messages that answer it, of which the last holds."""

    kind: Class
    question: str
    told: tuple[tuple[str, str], ...]  # (role, text), in the order of time
    expected: Expected


def facts(rng: random.Random, each: int) -> list[Fact]:
    """Return up to `each` facts of every class, each about something else."""
    attributes = {a.name: a for a in ATTRIBUTES}
    names = rng.sample(FACTS, len(FACTS))
    changing, plain, absent = names[:each], names[each : 2 * each], names[2 * each : 3 * each]
    found = [_stated(rng, attributes[n], "changing fact", 1 + rng.randrange(1, 4)) for n in changing]
    found += [_stated(rng, attributes[n], "user fact", 1) for n in plain]
    found += [_stated(rng, attributes[n], "abstention", 0) for n in absent]
    found += [
        _stated(rng, attributes[n], "preference", 1) for n in rng.sample(PREFERENCES, min(each, len(PREFERENCES)))
    ]
    for sentence, question, values in rng.sample(ADVISED, min(each, len(ADVISED))):
        value = rng.choice(values)
        told = (("assistant", sentence.format(v=value)),)
        found.append(Fact("assistant fact", question, told, Expected((value,), values)))
    for state, question in rng.sample(IMPLICIT, min(each, len(IMPLICIT))):
        found.append(Fact("implicit", question, (("user", state),), Expected((state,), (state,))))
    return found


def _stated(rng: random.Random, attribute: Attribute, kind: Class, times: int) -> Fact:
    others = " ".join(value for a in ATTRIBUTES if a is not attribute for value in a.values).split()
    known = [value for value in attribute.values if value not in others]  # no dog that is named as a firm is
    values = rng.sample(known, min(max(times, 1), len(known)))
    template = rng.choice(attribute.first)
    told = tuple(("user", say(attribute, template, v, USER, PROJECTS[0], THINGS[0])) for v in values[:times])
    question = rng.choice(attribute.questions).format(s=USER, p=PROJECTS[0], x=THINGS[0])
    return Fact(kind, question, told, Expected(tuple(values[-1:]) if times else (), tuple(known)))


def history(conversations: int, each: int, seed: int) -> Haystack:
    """Return conversations, a day each, in which the facts are told at random places, and a question for each fact."""
    rng = random.Random(f"conversations{seed}/{conversations}")
    chosen = facts(random.Random(f"facts{seed}"), each)
    lines: list[tuple[float, str, str, int]] = []  # (place in days, role, text, the fact that it tells or -1)
    for turn in range(conversations * TURNS):
        lines.append((turn / TURNS, *_small_talk(rng, turn), -1))
    for number, fact in enumerate(chosen):
        places = sorted(rng.uniform(0, conversations) for _ in fact.told)
        lines += [(place, role, text, number) for place, (role, text) in zip(places, fact.told, strict=True)]
    told, holds = messages(sorted(lines))
    end = START + timedelta(days=conversations + 1)
    questions = []
    for number, fact in enumerate(chosen):
        gold = (holds[number],) if number in holds else ()
        unit = {"turn": gold, "session": tuple(f"day {g.partition('/')[0]}" for g in gold)}
        name = f"{seed}/{number}"
        questions.append(Question(name, fact.question, unit, fact.kind, "made", end, expected=fact.expected))
    return Haystack(f"user-{seed}", told, questions)


def _small_talk(rng: random.Random, turn: int) -> tuple[str, str]:
    return ("user", said(rng)) if turn % 2 == 0 else ("assistant", answered(rng))


def messages(lines: Sequence[tuple[float, str, str, int]]) -> tuple[list[dict[str, object]], dict[int, str]]:
    """Return turns in their order as `add_many` takes them, and the id of the last turn that tells each fact."""
    made: list[dict[str, object]] = []
    holds: dict[int, str] = {}
    for number, (place, role, text, fact) in enumerate(lines):
        day = int(place)
        speaker = USER if role == "user" else "assistant"
        at = START + timedelta(days=day, hours=8 * (place - day))
        told = {"id": f"{day}/{number}", "content": text, "role": role, "speaker": speaker, "session": f"day {day}"}
        made.append(told | {"at": at})
        if fact >= 0:
            holds[fact] = f"{day}/{number}"
    return made, holds


def task(conversations: int = 100, each: int = 3, seeds: int = 3) -> Task:
    """Return histories of several users as a retrieval task: gold is the turn that holds, and its session."""
    haystacks = [history(conversations, each, seed) for seed in range(seeds)]
    return Task("growth", {"turn": "cubes", "session": "sessions"}, haystacks, {"made": "growth", "seeds": seeds})
