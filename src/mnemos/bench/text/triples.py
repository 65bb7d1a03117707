"""Are facts found by names that are written another way, and does one that changes leave the others? `mnemos bench triples`.

People, invented and partly alike, and three facts of each. A question writes the name as it is, with a typo (a letter
too many, too few, another, or two in the wrong order), or in a short form: an initial, the beginning of the first name, the
surname alone where nobody else has it. Then one fact in ten is told anew: is the answer the new one, and is every other
answer as it was?
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry
from mnemos.system import Mnemos
from mnemos.text.recall.spelling import Triple, match

SYSTEMS = ("memllm", "bm25", "mnemos")
FORMS = ("as told", "typo", "short form")
RELATIONS = (
    ("{who} lives in {what}.", "Where does {who} live?", "live in", "ton"),
    ("{who} works at {what}.", "Where does {who} work?", "work at", "corp"),
    ("{who}'s favourite colour is {what}.", "What is {who}'s favourite colour?", "favourite color", "ish"),
)


@dataclass(frozen=True)
class Options:
    """The size of the world."""

    seed: int = 0  # the first seed
    seeds: int = 3  # worlds
    people: int = 120  # people, with three facts each


def table(result: Result) -> Rows:
    """Return how often the fact is found, by the way a name is written."""
    rows: Rows = [
        ["names are written", "questions", *(f"{s}: hit@1 / recall@5" for s in SYSTEMS), "triples alone: recall@5"]
    ]
    for form, row in result["names"].items():
        cells = [f"{percent(row[s]['1'])} / {percent(row[s]['5'])}" for s in SYSTEMS]
        rows.append([form, row["n"], *cells, percent(row["match"])])
    return rows


def changes(result: Result) -> Rows:
    """Return what a changed fact does to its own answer and to the others."""
    rows: Rows = [["system", "changed facts answered anew", "other answers as they were"]]
    return [*rows, *([name, percent(row["new"]), percent(row["kept"])] for name, row in result["changed"].items())]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return how often facts are found by names written another way."""
    if (entry.form, entry.name) not in (("text", "promote-triples"), ("text", "memllm")):
        return None
    rows = {s: (result["names"]["typo"][s]["5"] + result["names"]["short form"][s]["5"]) / 2 for s in SYSTEMS}
    text = f"finds {percent(rows['memllm'])} of facts by misspelt or shortened names among five"
    return Figure(text, {s: percent(rows[s]) for s in SYSTEMS[1:]})


@benchmark(
    "triples",
    help="Facts found by names with typos and short forms, and whether a changed fact leaves the others.",
    options=Options,
    tables={"triples": table, "triples-changed": changes},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Tell and ask the facts of several worlds, and change some."""
    progress.expect(options.seeds)
    hits: dict[str, dict[str, list[float]]] = {form: {} for form in FORMS}
    changed: dict[str, dict[str, list[float]]] = {name: {"new": [], "kept": []} for name in SYSTEMS}
    for seed in range(options.seed, options.seed + options.seeds):
        world(random.Random(seed), options.people, hits, changed)
        progress(1)
    names = {
        form: {"n": len(rows["match"]), "match": mean(rows["match"])}
        | {s: {k: mean(rows[f"{s} {k}"]) for k in ("1", "5")} for s in SYSTEMS}
        for form, rows in hits.items()
    }
    return {
        "seeds": [options.seed + i for i in range(options.seeds)], "people": options.people, "names": names,
        "changed": {name: {key: mean(values) for key, values in row.items()} for name, row in changed.items()},
    }  # fmt: skip


def world(rng: random.Random, people: int, hits: dict[str, dict[str, list[float]]], changed: dict[str, Any]) -> None:
    """Tell the facts of one world and ask for them; add what was found."""
    who = names(rng, people)
    told = {(n, r): word(rng, 3).capitalize() + RELATIONS[r][3] for n in who for r in range(len(RELATIONS))}
    triples = [Triple(n.lower(), RELATIONS[r][2], what) for (n, r), what in told.items()]
    surnames = [n.split()[1] for n in who]
    asked = [(n, r, form, written(rng, n, form, surnames)) for n, r in told for form in FORMS]
    for n, r, form, name in asked:
        near = match(triples, name.lower(), RELATIONS[r][2])
        hits[form].setdefault("match", []).append(any(t.subject == n.lower() for t, _ in near))
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder="hashing") as memory:
        for system in SYSTEMS:
            space = memory.space(system, system=system)
            ids = {}
            for (n, r), what in told.items():
                ids[n, r] = space.add(RELATIONS[r][0].format(who=n, what=what)).id
            for n, r, form, name in asked:
                found = [h.cube.id for h in space.search(RELATIONS[r][1].format(who=name), 5)]
                for k in (1, 5):
                    hits[form].setdefault(f"{system} {k}", []).append(ids[n, r] in found[:k])
            before = {key: first(space, key) for key in told}
            moved = rng.sample(sorted(told), len(told) // 10)
            new = {(n, r): space.add(RELATIONS[r][0].format(who=n, what=word(rng, 3).capitalize() + RELATIONS[r][3])).id
                   for n, r in moved}  # fmt: skip
            changed[system]["new"] += [first(space, key) == new[key] for key in moved]
            changed[system]["kept"] += [first(space, key) == before[key] for key in told if key not in new]


def first(space: Any, key: tuple[str, int]) -> str | None:
    """Return the id of the first hit for a question."""
    found = space.search(RELATIONS[key[1]][1].format(who=key[0]), 1)
    return str(found[0].cube.id) if found else None


def names(rng: random.Random, count: int) -> list[str]:
    """Return names of people, some with the first name or the surname of another."""
    given, family = ([word(rng, n).capitalize() for _ in range(count // 2)] for n in (2, 3))
    found: set[str] = set()
    while len(found) < count:
        found.add(f"{rng.choice(given)} {rng.choice(family)}")
    return sorted(found)


def word(rng: random.Random, syllables: int) -> str:
    """Return an invented word."""
    return "".join(rng.choice("bdfgklmnprstv") + rng.choice("aeiou") for _ in range(syllables)) + rng.choice("lnrst")


def written(rng: random.Random, name: str, form: str, surnames: Sequence[str]) -> str:
    """Return a name as it is, with a typo, or in a short form."""
    first, last = name.split()
    if form == "as told":
        return name
    if form == "short form":
        ways = [f"{first[0]}. {last}", f"{first[:3]} {last}"] + ([last] if surnames.count(last) == 1 else [])
        return rng.choice(ways)
    place, letter = rng.randrange(1, len(last) - 1), rng.choice("aeioubdgklmnrst")
    ways = [last[:place] + letter + last[place:], last[:place] + last[place + 1 :], last[:place] + letter + last[place + 1 :],
            last[:place] + last[place + 1] + last[place] + last[place + 2 :]]  # fmt: skip
    return f"{first} {rng.choice(ways)}"


def mean(values: Sequence[float]) -> float:
    """Return the mean with four digits."""
    return round(sum(values) / max(len(values), 1), 4)
