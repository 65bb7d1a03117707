"""Does a cache of answers serve more with rules by category than with one threshold? `mnemos bench semantic-cache`.

A month of questions. Real ones: CLINC150, where people ask for 150 things in ten domains, in their own words, and for much
else ("out of scope": no two of those have the same answer). Beside them questions made from templates, which are dense:
prices and the weather change, code and balances differ in a word or a number from what means something else, definitions
last. A domain or a template is a category, which the application names.

An answer is right where it was made for the same question and is still so. Rules are chosen on one half (CLINC150's
training split; things of which the templates speak) and measured on another (its test split; other things) so that at most 1 %
of what is served is wrong or stale. The one threshold and the one time to live are chosen the same way, and once more in
hindsight, on the questions that are measured. The number of answers kept is the same.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text.kept import kept
from mnemos.bench.text.task import checksum, existing
from mnemos.embed.base import Embedder
from mnemos.registry import Entry
from mnemos.text.recall.semantic_cache import WRONG, Category, Log, Served, choose, count, particulars, replay

DAYS = 30.0
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.84, 0.88, 0.91, 0.94, 0.96, 0.98, 0.99, 0.999)
TIMES = (0.04, 0.25, 1.0, 4.0, 30.0)  # days to live that are tried
ALL = "one threshold"
SEPARATE = "one threshold, apart"
OURS = "by category"
THINGS = {
    "item": "lamp desk chair kettle toaster backpack bicycle helmet tent jacket scarf camera tripod blender fan heater sofa rug "
    "mirror printer router monitor keyboard headset drill ladder hammer saw bucket hose",
    "town": "Lisbon Porto Berlin Vienna Madrid Dublin Oslo Rome Paris Lyon Ghent Turin Graz Basel Cork Bergen Malmo Prague "
    "Sofia Athens Riga Vilnius Zagreb Split Nice Seville Bilbao Bari",
    "language": "Python Rust Go Java Kotlin Swift Ruby Perl Haskell Scala Lua Julia PHP Dart Elixir Clojure",
    "term": "inflation latency entropy escrow osmosis metaphor liquidity quorum tariff catalyst torque isotope equity annuity "
    "dialect plateau glacier sonnet fugue tempo genome enzyme photon vector tensor cipher parser kernel socket thread",
    "number": " ".join(str(n) for n in range(4101, 4900, 27)),
}


@dataclass(frozen=True)
class Template:
    """Questions that are made: their wordings, the things they are about, and how long an answer holds."""

    wordings: tuple[str, ...]
    thing: str
    holds: float  # days, on average
    asked: int  # questions of a month
    detail: tuple[str, ...] = ("",)  # each of them makes it another question


TEMPLATES = {
    "prices": Template(
        ("What is the price of the {thing}?", "How much does the {thing} cost?", "What do you want for the {thing}?",
         "Price of the {thing} please"), "item", 2.0, 400),
    "weather": Template(
        ("What will the weather be like in {thing} {detail}?", "Give me the forecast for {thing} {detail}",
         "How is the weather in {thing} {detail}?"), "town", 0.5, 400, ("tomorrow", "at the weekend")),
    "code": Template(
        ("How do I {detail} in {thing}?", "Show me how to {detail} in {thing}", "What is the {thing} way to {detail}?"),
        "language", 1e4, 400,
        ("reverse a list", "sort a list", "read a file", "write a file", "parse a date", "join two strings")),
    "balances": Template(
        ("What is the balance of account {thing}?", "How much money is in account {thing}?"), "number", 0.1, 250),
    "definitions": Template(
        ("What does {thing} mean?", "Can you explain {thing} to me?", "What is the meaning of {thing}?", "Define {thing}"),
        "term", 1e4, 400),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The data, and what embeds them."""

    clinc150: Path  # the folder of CLINC150 with train.jsonl, test.jsonl and domains.json; it is not part of Mnemos
    seed: int = 0  # seed of the order and of the templates
    seeds: int = 3  # months measured
    room: int = 2_000  # answers kept in all
    embedder: str = "bundled"  # what compares questions
    vectors: Path | None = None  # a file that keeps its vectors, so that another run embeds nothing


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: its category, its text, when it was asked, what it means, and which answer is right then."""

    category: str
    text: str
    day: float
    meaning: str
    answer: str


def table(result: Result) -> Rows:
    """Return how many questions were served, how many wrongly, for each way."""
    rows: Rows = [["rules", "served", "right", "wrong of those served", "stale of those served"]]
    for name, row in result["ways"].items():
        served = row["right"] + row["wrong"] + row["stale"]
        shares = (row["wrong"] / max(served, 1e-9), row["stale"] / max(served, 1e-9))
        rows.append([name, *(percent(x) for x in (served, row["right"], *shares))])
    return rows


def categories(result: Result) -> Rows:
    """Return the same by category, with the rules."""
    rows: Rows = [
        ["category", "questions", "rules", f"served right, {OURS}", "bad", f"served right, {ALL}", "bad of these"]
    ]
    for name, row in result["categories"].items():
        r = row["rules"]
        rules = f"{r['threshold']:g}, {r['days']:g} d" if r["on"] else "off"
        ours, one = row[OURS], row[ALL]
        rows.append([name, row["asked"], rules, percent(ours["right"]), percent(ours["bad"]), percent(one["right"]),
                     percent(one["bad"])])  # fmt: skip
    return rows


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return how much is served by the rules of categories."""
    if (entry.form, entry.name) != ("text", "semantic-cache"):
        return None
    text = {
        name: f"{percent(row['right'])} (bad: {percent(bad_share(row))} of those served)"
        for name, row in result["ways"].items()
    }
    return Figure(f"serves {text[OURS]}", {ALL: text[ALL], f"{ALL}, in hindsight": text[f"{ALL}, in hindsight"]})


def bad_share(row: Mapping[str, float]) -> float:
    """Return the share of what is served that is wrong or stale."""
    bad = row["wrong"] + row["stale"]
    return float(bad / max(bad + row["right"], 1e-9))


@benchmark(
    "semantic-cache",
    help="A cache of answers with rules by category against one threshold: what is served, and wrongly.",
    options=Options,
    tables={"semantic-cache": table, "semantic-cache-category": categories},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Choose the rules on one half and measure them on the other, for several months."""
    clinc = existing(options.clinc150, "the folder of CLINC150")
    progress.expect(2 + options.seeds)
    with kept(options.embedder, options.vectors) as embedder:
        months = [month(clinc, half, options.seed + i, embedder)
                  for half, times in (("train", 1), ("test", options.seeds)) for i in range(times)]  # fmt: skip
    progress(1)
    learn, *measured = months
    shares = {name: len(log.days) for name, log in learn.items()}
    room = {name: max(options.room * n // sum(shares.values()), 20) for name, n in shares.items()}
    rules = choose({name: tried(learn[name], room[name]) for name in learn})
    one = choose({"": tried(joined(learn.values()), options.room)})[""]
    apart = best_apart(learn, room)
    progress(1)
    ways: dict[str, list[dict[str, Served]]] = {}
    for logs in measured:
        known = tried(joined(logs.values()), options.room)
        hindsight = choose({"": known}, sure=0.0)[""]
        ours = {c: served(log, replace(rules[c], most=room[c])) for c, log in logs.items()}
        enough = [row for row in known if row[1].right >= total(ours.values()).right] or known
        as_much = min(enough, key=lambda row: row[1].bad)[0]
        for name, row in {
            OURS: ours,
            SEPARATE: {c: served(log, replace(apart, most=room[c])) for c, log in logs.items()},
            ALL: split(logs, one),
            f"{ALL}, in hindsight": split(logs, hindsight),
            f"{ALL} that serves as much": split(logs, as_much),
        }.items():
            ways.setdefault(name, []).append(row)
        progress(1)
    return {
        "data": {"file": clinc.name, "sha256": checksum(clinc / "test.jsonl")}, "embedder": options.embedder,
        "seeds": [options.seed + i for i in range(options.seeds)], "room": options.room, "wrong": WRONG,
        "one": {"threshold": one.threshold, "days": one.days},
        "ways": {name: summary([total(row.values()) for row in rows]) for name, rows in ways.items()},
        "categories": {
            name: {"asked": ways[OURS][0][name].asked, "rules": {k: getattr(rules[name], k) for k in ("threshold", "days", "on")}}
            | {way: summary([row[name] for row in ways[way]]) for way in (OURS, ALL)}
            for name in learn
        },
    }  # fmt: skip


Logs = Mapping[str, Log]  # by category


def month(clinc: Path, half: str, seed: int, embedder: Embedder) -> dict[str, Log]:
    """Return the questions of a month by category."""
    asked = sorted([*people(clinc, half, seed), *made(half, seed)], key=lambda a: a.day)
    vectors = embedder.embed([a.text for a in asked])
    numbers: dict[Any, int] = {}

    def number(value: object) -> int:
        return numbers.setdefault(value, len(numbers))

    found = {}
    for name in sorted({a.category for a in asked}):
        places = [i for i, a in enumerate(asked) if a.category == name]
        rows = [asked[i] for i in places]
        found[name] = Log(
            vectors[places],
            np.array([number(particulars(a.text)) for a in rows]),
            np.array([a.day for a in rows]),
            np.array([number(a.answer) for a in rows]),
            np.array([number(a.meaning) for a in rows]),
        )
    return found


def people(clinc: Path, half: str, seed: int) -> Iterable[Asked]:
    """Yield what people asked, on random days; each question out of scope has an answer of its own."""
    rng = random.Random(f"{seed} people {half}")
    domain = {
        intent: name for name, intents in json.loads((clinc / "domains.json").read_text()).items() for intent in intents
    }
    for name in (half, f"oos_{half}"):
        for i, line in enumerate((clinc / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()):
            row = json.loads(line)
            intent = row["label"] if row["label"] in domain else f"other {i}"
            yield Asked(domain.get(intent, "out of scope"), row["text"], rng.uniform(0, DAYS), intent, intent)


def made(half: str, seed: int) -> Iterable[Asked]:
    """Yield the questions of the templates: things of one half, the popular ones more often (Zipf)."""
    rng = random.Random(f"{seed} templates {half}")
    for name, template in TEMPLATES.items():
        things = THINGS[template.thing].split()[half == "test" :: 2]
        subjects = [(thing, detail) for thing in things for detail in template.detail]
        rng.shuffle(subjects)
        weights = [1 / (i + 1) for i in range(len(subjects))]
        changes = {s: _changes(rng, template.holds) for s in subjects}
        for thing, detail in rng.choices(subjects, weights, k=template.asked):
            day = rng.uniform(0, DAYS)
            version = int(np.searchsorted(changes[thing, detail], day))
            text = rng.choice(template.wordings).format(thing=thing, detail=detail)
            meaning = f"{name} {thing} {detail}"
            yield Asked(name, text, day, meaning, f"{meaning} {version}")


def _changes(rng: random.Random, holds: float) -> list[float]:
    """Return the days on which an answer changes, a Poisson process."""
    days, now = [], rng.expovariate(1 / holds)
    while now < DAYS:
        days.append(now)
        now += rng.expovariate(1 / holds)
    return days


def served(log: Log, rules: Category) -> Served:
    """Return what rules serve of a log."""
    return count(log, replay(log, rules))


def tried(log: Log, most: int) -> list[tuple[Category, Served]]:
    """Return what each threshold and time to live serve."""
    grid = [Category(threshold, days, most) for threshold in THRESHOLDS for days in TIMES]
    similar = log.vectors @ log.vectors.T
    return [(rules, count(log, replay(log, rules, similar))) for rules in grid]


def joined(parts: Iterable[Log]) -> Log:
    """Return the questions of all categories as one log, in the order of time."""
    logs = list(parts)
    order = np.argsort(np.concatenate([log.days for log in logs]), kind="stable")
    return Log(*(np.concatenate([getattr(log, f.name) for log in logs])[order] for f in fields(Log)))


def best_apart(learn: Logs, room: Mapping[str, int]) -> Category:
    """Return the one threshold and time to live for all categories, each of which has its own answers."""
    every = {name: tried(learn[name], room[name]) for name in learn}
    sums = [(rows[0][0], total(s for _, s in rows)) for rows in zip(*every.values(), strict=True)]
    return choose({"": sums})[""]


def split(logs: Logs, rules: Category) -> dict[str, Served]:
    """Return what one cache for all categories serves, by category of the question."""
    log = joined(logs.values())
    group = np.concatenate([np.full(len(one.days), i) for i, one in enumerate(logs.values())])
    group = group[np.argsort(np.concatenate([one.days for one in logs.values()]), kind="stable")]
    given = replay(log, rules)
    return {name: count(log, given, group == i) for i, name in enumerate(logs)}


def total(parts: Iterable[Served]) -> Served:
    """Return the sum of what was served."""
    rows = list(parts)
    return Served(*(sum(getattr(s, f) for s in rows) for f in ("asked", "right", "wrong", "stale")))


def summary(parts: Sequence[Served]) -> dict[str, float]:
    """Return the shares of the questions, over the months, with the spread of those served right."""
    asked = sum(s.asked for s in parts)
    shares = {
        name: round(sum(getattr(s, name) for s in parts) / max(asked, 1), 4)
        for name in ("right", "wrong", "stale", "bad")
    }
    return shares | {"spread": round(float(np.std([s.right / max(s.asked, 1) for s in parts])), 4)}
