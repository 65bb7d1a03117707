"""Facts that change: `mnemos bench facts`.

A year of several people's lives, in worlds of three who talk about themselves and each other (see `synthetic_people`):
every attribute changes 0 to 10 times, on random days, among small talk, questions, wishes, hearsay and other people's
facts. Each state is asked for just before it changes, or at the end: after how many changes is the current value still
the first hit? A hit is right when it is a statement of that state; it is not enough that it mentions the value.
Compared are the space as it is ("search"), the same with `reconcile=False` ("append_only"), the facts table looked up
with the gold key ("facts_table"). At the end every question is asked again with `as_of` the moment at which it was
asked ("as_of_as_then": is the answer the same?), and every earlier state is asked for with `as_of` a moment at which
it held.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import facts_tables
from mnemos.bench.text.synthetic_people import ATTRIBUTES, PEOPLE, PROJECTS, THINGS, Attribute, Split, half, say
from mnemos.cube import MemCube
from mnemos.embed import Embedder, load
from mnemos.embed.base import Progress as EmbedProgress
from mnemos.embed.base import Vectors, embed_questions
from mnemos.space import Space
from mnemos.system import Mnemos

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 365
CHANGES = 10  # of an attribute in the year, at most
WORLD = 3  # people in one space
THIRD = 0.25  # share of attributes of which somebody else tells
LEADS = (
    "Big news: ", "By the way, ", "Quick update: ", "Just so you know: ", "Honestly, ", "Guess what! ", "So, ",
    "Hey! ", "It took me a while, but ", "FYI: ",
)  # fmt: skip
TAILS = (
    " It took a while.", " More on that soon!", " Long story.", " I still have to get used to it.",
    " The whole family is surprised.", ", and I am quite happy about it.", ", which was overdue.",
    ", and my mother is proud.", " Can you believe it?", ", because the old one made no sense.",
)  # fmt: skip
SMALL = (
    "What a day.", "The rain does not stop.", "Thanks for listening!", "I slept badly last night.",
    "How was your weekend, {s}?", "I watched the match with friends.", "The traffic was terrible this morning.",
    "Do you want to grab lunch on Friday?", "I have to do my taxes soon.", "My back hurts a bit today.",
    "That was a lovely evening, {s}.", "I read a long article on bees.", "The neighbours are loud again.",
    "Remind me to water the plants.", "We had a great time at the lake.", "I left the house without my keys.",
    "I could use a holiday.", "It is getting cold outside.", "I like how you put that, {s}.",
    "I joined a club for board games once.",
)  # fmt: skip
UNREAL = (
    ("city", "I would love to live in {v} one day."), ("city", "Does {s} still live in {v}?"), ("employer",
    "Somebody said that {s} works for {v}."),
    ("employer", "If I worked at {v}, I would earn more."), ("job", "I used to dream of becoming {a}."), ("car",
    "I'm thinking about buying a {v}."),
    ("city", "My cousin lives in {v}."), ("car", "My uncle drives a {v}."), ("food", "My aunt cooked {v} for us."),
    ("city", "I was in {v} for a weekend."),
    ("diet", "My brother went {v} years ago."), ("partner", "I met {v} at the market."), ("employer",
    "I read about {v} in the paper."),
    ("film", "We watched {v} last night."), ("editor", "Have you ever tried {v}?"), ("job", "My neighbour is {a}."),
    ("gym", "Is {v} any good?"),
    ("dog", "My grandmother's cat is called {v}."), ("phone", "Some unknown number called me, {v}."), ("city",
    "I might move to {v} next year."),
    ("employer", "I almost joined {v}."), ("city", "I never lived in {v}."), ("color", "The new bus is {v}."),
    ("food", "I had {v} for lunch."),
)  # fmt: skip
SEVERAL = (
    "I'm allergic to {n}.", "I speak {l} at home.", "I'm allergic to {n}, by the way.", "I speak some {l}.",
    "I play the {i}.", "I also play the {i}.",
)  # fmt: skip
NUTS, TONGUES, INSTRUMENTS = (
    ("peanuts", "shrimp", "pollen", "cats", "latex", "penicillin", "mangoes", "dust"),
    ("Dutch", "Thai", "Catalan", "Turkish", "Polish", "Danish", "Welsh", "Greek"),
    ("cello", "drums", "piano", "banjo", "flute", "ukulele", "trumpet", "organ"),
)


@dataclass(frozen=True, slots=True)
class State:
    """What a statement says: the value of a person's attribute after a number of changes."""

    person: str
    attribute: Attribute
    value: str
    changes: int
    project: str
    thing: str

    @property
    def key(self) -> tuple[str, str]:
        """Person and attribute, which has one value at a time."""
        return self.person, self.attribute.name

    def question(self) -> str:
        """Return a natural question for it; which one depends on the number of changes."""
        asked = self.attribute.questions[self.changes % len(self.attribute.questions)]
        return asked.format(s=self.person, p=self.project, x=self.thing)

    def fact(self) -> tuple[str, str]:
        """Return subject and attribute under which the rules keep it."""
        subject = self.attribute.subject.format(s=self.person, p=self.project).lower()
        return subject, self.attribute.key.format(x=self.thing)


@dataclass(frozen=True, slots=True)
class Event:
    """One message. `state` is None for what changes nothing."""

    at: datetime
    speaker: str
    text: str
    state: State | None


class CachedEmbedder:
    """An embedder that computes each text once: the spaces that are compared get the same ones."""

    def __init__(self, inner: Embedder) -> None:
        self.inner = inner
        self.name, self.revision, self.dimension = inner.name, inner.revision, inner.dimension
        self.texts: dict[str, Vectors] = {}
        self.questions: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str], *, progress: EmbedProgress | None = None) -> Vectors:
        """Return (n, D) unit rows; see `Embedder`."""
        return _once(self.texts, texts, partial(self.inner.embed, progress=progress))

    def embed_questions(self, texts: Sequence[str], *, progress: EmbedProgress | None = None) -> Vectors:
        """Return (n, D) unit rows; see `EmbedsQuestions`."""
        return _once(self.questions, texts, partial(embed_questions, self.inner))


def cached(spec: str) -> CachedEmbedder | Literal["none"]:
    """Return the embedder of a spec, which computes each text once; "none" where there is none."""
    inner = load(spec)
    return "none" if inner is None else CachedEmbedder(inner)


def _once(known: dict[str, Vectors], texts: Sequence[str], embed: Callable[[Sequence[str]], Vectors]) -> Vectors:
    import numpy as np

    new = [t for t in dict.fromkeys(texts) if t not in known]
    if new:
        known.update(zip(new, embed(new), strict=True))
    return np.stack([known[t] for t in texts])


def make(seed: int, people: Sequence[str], split: Split, distractors: int = 60) -> list[Event]:
    """Return the year of one world in the order of time; `distractors` messages a person change nothing."""
    rng = random.Random(f"{seed}{split}{people[0]}")
    events: list[Event] = []
    for person in people:
        i = PEOPLE.index(person)
        for j, attribute in enumerate(ATTRIBUTES):
            count = (3 * i + 7 * j + seed) % (CHANGES + 1)
            events += _life(rng, attribute, person, people, split, count, PROJECTS[i], THINGS[i])
        for _ in range(distractors):
            at = START + timedelta(days=rng.uniform(0, DAYS - 1))
            events.append(Event(at, person, _distractor(rng, person, people, split), None))
    return sorted(events, key=lambda e: e.at)


def _life(
    rng: random.Random,
    attribute: Attribute,
    person: str,
    people: Sequence[str],
    split: Split,
    count: int,
    project: str,
    thing: str,
) -> list[Event]:
    days = [rng.uniform(0, 20), *sorted(rng.sample(range(25, DAYS - 2), count))]
    values: list[str] = []
    for _ in days:
        unused = [v for v in attribute.values if v not in values] or [v for v in attribute.values if v != values[-1]]
        values.append(rng.choice(unused))
    events = []
    others = [p for p in people if p != person]
    third = bool(others) and rng.random() < THIRD  # all of it: nobody's claim ends what one said of himself
    for changes, (day, value) in enumerate(zip(days, values, strict=True)):
        template = rng.choice(half(attribute.third if third else attribute.first, split))
        text = say(attribute, template, value, person, project, thing)
        if rng.random() < 0.2 and not text.startswith("New "):
            lead = rng.choice(half(LEADS, split))
            keep = (
                text.split()[0] in ("I", "I'm", "I've")
                or text.startswith((person, value, project))
                or lead.endswith("! ")
            )
            text = lead + (text if keep else text[0].lower() + text[1:])
        if rng.random() < 0.2:
            tail = rng.choice(half(TAILS, split))
            text = (text[:-1] if tail.startswith(",") else text) + tail
        at = START + timedelta(days=day + rng.uniform(0, 0.9))
        speaker = rng.choice(others) if third else person
        events.append(Event(at, speaker, text, State(person, attribute, value, changes, project, thing)))
    return events


def _distractor(rng: random.Random, person: str, people: Sequence[str], split: Split) -> str:
    other = rng.choice([p for p in people if p != person] or ["Zoe"])
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(half(SMALL, split)).format(s=other)
    if kind < 0.6:
        return rng.choice(SEVERAL).format(n=rng.choice(NUTS), l=rng.choice(TONGUES), i=rng.choice(INSTRUMENTS))
    name, template = rng.choice(UNREAL[0::2] if split == "dev" else UNREAL[1::2])
    attribute = next(a for a in ATTRIBUTES if a.name == name)
    value = rng.choice(attribute.values)
    if template.startswith("My "):  # so that the same cousin keeps one value
        value = attribute.values[PEOPLE.index(person) % len(attribute.values)]
    return say(attribute, template, value, other, "", "")


@dataclass(frozen=True)
class Options:
    """The people, the texts, and the searches."""

    seed: int = 0  # seed of the data
    people: int = 12  # people, at most 24
    splits: tuple[Split, ...] = ("dev", "test")  # halves of the templates
    distractors: int = 60  # messages per person that change nothing
    embedder: str = "bundled"  # what embeds the texts
    k: int = 10  # hits of a search, of which the first counts; with 1 no current fact can move up


@benchmark(
    "facts",
    help="Facts that change over a year: is the latest value first, and as-of the one of that day?",
    options=Options,
    tables={"facts": facts_tables.facts, "facts-endings": facts_tables.endings},
    plot=facts_tables.plot,
    figure=facts_tables.figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the shares that are right, by number of changes, for each split of the templates."""
    seed, people, k = options.seed, options.people, options.k
    embedder = cached(options.embedder)
    progress.expect(len(options.splits) * -(-people // WORLD))
    result: dict[str, Any] = {"seed": seed, "people": people, "k": k, "splits": {}}
    for split in options.splits:
        score = Score()
        for first in range(0, people, WORLD):
            world = PEOPLE[first : min(first + WORLD, people)]
            live(make(seed, world, split, options.distractors), embedder, k, score)
            progress(1)
        result["splits"][split] = score.summary()
    return result


class Score:
    """Count right answers by contestant and number of changes, and wrong and missed endings."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[int, list[int]]] = {}
        self.statements = self.false_endings = self.missed_endings = 0
        self.misses: list[tuple[str, str, str, str]] = []

    def note(self, name: str, state: State, right: bool, found: str = "") -> None:
        """Count one question."""
        row = self.counts.setdefault(name, {}).setdefault(state.changes, [0, 0])
        row[0] += right
        row[1] += 1
        if not right:
            self.misses.append((name, state.question(), state.value, found))

    def summary(self) -> dict[str, Any]:
        """Return flat numbers: shares in all and by number of changes."""
        rows: dict[str, Any] = {}
        for name, by in sorted(self.counts.items()):
            right, asked = sum(r for r, _ in by.values()), sum(n for _, n in by.values())
            rows[name] = {
                "all": round(right / asked, 4), "asked": asked,
                "by_changes": {c: round(r / n, 4) for c, (r, n) in sorted(by.items())},
            }  # fmt: skip
        return rows | {
            "statements": self.statements, "falsely_ended": self.false_endings, "not_ended": self.missed_endings,
            "falsely_ended_share": round(self.false_endings / max(self.statements, 1), 5),
        }  # fmt: skip


def live(events: Sequence[Event], embedder: str | Embedder, k: int, score: Score) -> None:
    """Store the year of one world in a space and in one that only appends, and ask."""
    now = [START]
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, clock=lambda: now[0], timezone="UTC") as memory,
    ):
        spaces = {"search": memory.space("ours"), "append_only": memory.space("append")}
        said: dict[str, dict[str, State | None]] = {name: {} for name in spaces}
        current: dict[tuple[str, str], State] = {}
        starts: list[tuple[datetime, State]] = []
        answers: list[tuple[datetime, State, str]] = []
        for event in events:
            now[0] = event.at
            state = event.state
            if state is not None:
                if (old := current.get(state.key)) is not None:
                    answers.append((now[0] - timedelta(microseconds=1), old, ask(spaces, said, old, k, score)))
                current[state.key] = state
                starts.append((event.at, state))
            for name, space in spaces.items():
                cube = space.add(event.text, speaker=event.speaker, reconcile=name == "search")
                said[name][cube.id] = state
        now[0] = START + timedelta(days=DAYS)
        for state in current.values():
            ask(spaces, said, state, k, score)
        _ask_past(spaces["search"], said["search"], starts, k, score)
        for moment, state, answer in answers:  # as_of must give the answer of then, right or wrong
            again = spaces["search"].search(state.question(), k=k, as_of=moment)
            first = again[0].cube.text if again else ""
            score.note("as_of_as_then", state, first == answer, first)
        _count_endings(spaces["search"], said["search"], current, score)


def ask(spaces: dict[str, Space], said: dict[str, dict[str, State | None]], state: State, k: int, score: Score) -> str:
    """Ask every contestant for the current value; return the answer of `search`."""
    answer = ""
    for name, space in spaces.items():
        hits = space.search(state.question(), k=k)
        _note(score, name, state, hits[0].cube if hits else None, said[name])
        answer = hits[0].cube.text if hits and name == "search" else answer
    subject, attribute = state.fact()
    values = [f.value.casefold() for f in spaces["search"].facts(subject, attribute) if not f.negated]
    score.note("facts_table", state, values == [state.value.casefold()], str(values))
    return answer


def _note(score: Score, name: str, state: State, cube: MemCube | None, said: dict[str, State | None]) -> None:
    score.note(name, state, cube is not None and _states(said.get(cube.id), state), cube.text if cube else "")


def _states(found: State | None, wanted: State) -> bool:
    return found is not None and (found.key, found.value) == (wanted.key, wanted.value)


def _ask_past(
    space: Space, said: dict[str, State | None], starts: Sequence[tuple[datetime, State]], k: int, score: Score
) -> None:
    """Ask for every state that has ended, as of the middle of its time."""
    last: dict[tuple[str, str], tuple[datetime, State]] = {}
    for at, state in starts:
        if state.key in last:
            begun, old = last[state.key]
            moment = begun + (at - begun) / 2
            hits = space.search(old.question(), k=k, as_of=moment)
            first = hits[0].cube if hits else None
            _note(score, "search_as_of", old, first, said)
            subject, attribute = old.fact()
            values = [f.value.casefold() for f in space.facts(subject, attribute, as_of=moment) if not f.negated]
            score.note("facts_table_as_of", old, values == [old.value.casefold()], str(values))
        last[state.key] = at, state


def _count_endings(
    space: Space, said: dict[str, State | None], current: dict[tuple[str, str], State], score: Score
) -> None:
    """Count facts ended although they hold, and facts not ended although they do not."""
    ended = {f.cube for f in space.facts(include_ended=True) if f.valid_to is not None}
    going = {f.cube for f in space.facts()}
    for cube_id, state in said.items():
        score.statements += 1
        over = cube_id in ended and cube_id not in going
        holds = state is None or state.changes == current[state.key].changes
        score.false_endings += over and holds
        score.missed_endings += not over and not holds
