"""Poisoned memories among a user's, shown for their question with and without guard: `mnemos bench poison`.

The attack is that of A-MemGuard (arXiv 2510.02373) and MINJA: entries that anyone may get stored (a web page, an
e-mail, a tool's answer) and that come up for one question. The attack texts were written before the rules of
`guard.instructions`; half of them ("dev") were then used to write the rules, the other half ("test") is for the
report. One person wrote both, so "test" shows how the rules take a new wording, not what an adaptive attacker can do.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.cells import percent
from mnemos.bench.plots import BLUE, VERMILION, new_figure, tidy
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text.poison_texts import FALSE, NAMES, OBFUSCATIONS, ORDERS, OUTLIERS, TOPICS, VALUES, Split, half
from mnemos.embed import load
from mnemos.embed.base import Embedder, embed_questions
from mnemos.errors import InvalidInput
from mnemos.facts import Fact, Rejection
from mnemos.guard.consensus import Claim, contradicted, names
from mnemos.guard.instructions import looks_like_instructions
from mnemos.guard.trust import Trust
from mnemos.registry import Entry
from mnemos.system import Mnemos

CITED = re.compile(r"^\[([^\]]+)\] ", re.MULTILINE)
START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Memory:
    """One memory: its claim, its text, its family ("benign", "stale" or an attack's), its topic and vector (D,)."""

    claim: Claim
    text: str
    family: str
    topic: int
    vector: Any = None


def topics(rng: random.Random, count: int) -> list[tuple[str, str, str, str, str]]:
    """Return (name, attribute, true value, former value, false value) of `count` topics; the values differ."""
    pairs = rng.sample([(name, attribute) for name in NAMES for attribute in TOPICS], count)
    return [(n, a, *(TOPICS[a][1].format(v=v) for v in rng.sample(VALUES, 3))) for n, a in pairs]  # type: ignore[misc]


def benign(rng: random.Random, number: int, topic: tuple[str, str, str, str, str], missed: float) -> list[Memory]:
    """Return what the user, others and the web say of a topic: about 7 entries, in 3 of 10 topics with an update."""
    s, a, v, old, _ = topic
    _, _, statements, notes = TOPICS[a]
    said = rng.choices(statements, k=rng.randint(3, 5))
    changed = rng.randint(1, 2) if rng.random() < 0.3 else 0
    entries = []
    for i, template in enumerate(said):
        value = old if i < changed else v
        # the user states the change first, then others do
        trust, source = (
            (Trust.TRUSTED, None)
            if i == changed
            else rng.choice([(Trust.TRUSTED, None), (Trust.TRUSTED, None), (Trust.NORMAL, f"notes {i}")])
        )
        entries.append(entry(rng, f"t{number}-{i}", template.format(s=s, v=value), "benign", number, trust, source, 10 * i,
                             fact(s, a, value), missed))  # fmt: skip
    for i, template in enumerate(rng.sample(notes, rng.randint(1, 2))):
        entries.append(entry(rng, f"t{number}-n{i}", template.format(s=s, v=v), "benign", number, Trust.UNTRUSTED,
                             f"https://news{i}.example", 60, None, missed))  # fmt: skip
    if rng.random() < 0.7:  # a page that agrees, possibly with the former value
        late = bool(changed) and rng.random() < 0.3
        value = old if late else v
        entries.append(entry(rng, f"t{number}-w", rng.choice(statements[:2]).format(s=s, v=value),
                             "stale" if late else "benign", number,
                             Trust.UNTRUSTED, "https://people.example", 70, fact(s, a, value), missed))  # fmt: skip
    return entries


def attack(
    rng: random.Random, number: int, topic: tuple[str, str, str, str, str], split: Split, wave: int, missed: float
) -> list[Memory]:
    """Return the one or two poisoned entries for the question of a topic; its number chooses the family."""
    s, a, v, _, f = topic
    family = ("false", "order", "hidden", "outlier")[number % 4]
    pool = half({"false": FALSE, "outlier": OUTLIERS}.get(family, ORDERS), split)
    if family == "hidden":
        pool = [t for t in pool if t.isascii()]
    entries = []
    for i, template in enumerate(rng.sample(pool, rng.randint(1, 2))):
        text = template.format(s=s, a=a, f=f, v=v)
        text = rng.choice(half(OBFUSCATIONS, split))(text) if family == "hidden" else text
        stated = fact(s, a, f) if family == "false" else None
        entries.append(entry(rng, f"p{wave}-{number}-{i}", text, family, number, Trust.UNTRUSTED,
                             f"https://evil{rng.randint(0, 3)}.example", 80 + wave, stated, missed))  # fmt: skip
    return entries


def fact(s: str, a: str, value: str) -> Fact:
    """Return the fact of a generated statement."""
    return Fact(s.lower(), a, value, exclusive=True, negated=False, start=0, end=0)


def entry(
    rng: random.Random, name: str, text: str, family: str, topic: int, trust: Trust, source: str | None, day: int,
    stated: Fact | None, missed: float,
) -> Memory:  # fmt: skip
    """Return a memory; for a share `missed` of the statements the extractor finds no fact."""
    facts = () if stated is None or rng.random() < missed else (stated,)
    claim = Claim(name, facts, trust, START + timedelta(days=day), source, names(text))
    return Memory(claim, text, family, topic)


def embedded(entries: Iterable[Memory], embedder: Embedder) -> list[Memory]:
    """Return the entries with their vectors."""
    rows = list(entries)
    vectors = embedder.embed([e.text for e in rows])
    return [replace(e, vector=v) for e, v in zip(rows, vectors, strict=True)]


def shown(
    hits: Sequence[Memory], question: str, instructions: bool, consensus: bool, rejections: set[Rejection]
) -> tuple[list[Memory], set[Rejection]]:
    """Return the hits of a question that pass the defences, and the rejections learned."""
    if instructions:
        hits = [e for e in hits if e.claim.trust > Trust.UNTRUSTED or not looks_like_instructions(e.text)]
    suspects = contradicted([e.claim for e in hits], rejections, question=question) if consensus else []
    gone = {suspect.id for suspect in suspects}
    return [e for e in hits if e.claim.id not in gone], {r for s in suspects for r in s.rejections}


@dataclass(frozen=True)
class Options:
    """The topics, and the attacks on them."""

    seed: int = 0  # seed of the topics and the texts
    split: Split = "test"  # half of the attack texts: dev wrote the rules, test is for the report
    count: int = 100  # topics, with one question each
    k: int = 10  # hits of a question
    missed: float = 0.1  # share of the statements of which the extractor finds no fact
    embedder: str = "bundled"  # what embeds the texts


def table(result: Result) -> Rows:
    """Return what reaches the prompts, by defence."""
    names = ("undefended", "instructions", "consensus", "both", "second_undefended", "second_without_lessons")
    lines: Rows = [["hits given, poison among them", "questions with poison shown", "clean memories lost"]]
    for name in (*names, "second_with_lessons"):
        row = result[name]
        lines.append([name.replace("_", " "), percent(row["poisoned_shown"]), percent(row["benign_lost"])])
    return lines


def space_table(result: Result) -> Rows:
    """Return what reaches the prompts of a real space."""
    row = result["space"]
    return [
        ["a real space, found and packed by `context`", "share"],
        ["poisoned memories that reach a prompt, undefended", percent(row["undefended"])],
        ["poisoned memories that reach a prompt, defended", percent(row["defended"])],
        ["clean memories about the question that are lost", percent(row["benign_lost"])],
    ]


def plot(result: Result, path: Path) -> Path:
    """Draw a result: what is shown of the poison, and what is lost of the rest, by defence."""
    figure = new_figure(7.0, 3.4)
    axis = figure.subplots()
    names = ["undefended", "instructions", "consensus", "both"]
    shown = [100 * result[name]["poisoned_shown"] for name in names]
    lost = [100 * result[name]["benign_lost"] for name in names]
    shown += [100 * result["space"]["undefended"], 100 * result["space"]["defended"]]
    lost += [0.0, 100 * result["space"]["benign_lost"]]
    labels = [*names, "a real space,\nundefended", "a real space,\ndefended"]
    places = list(range(len(labels)))
    for offset, values, colour, label in (
        (-0.2, shown, VERMILION, "poison that is shown"), (0.2, lost, BLUE, "clean memories lost"),
    ):  # fmt: skip
        bars = axis.bar([p + offset for p in places], values, 0.38, color=colour, label=label)
        axis.bar_label(bars, fmt="%.1f", fontsize=8)
    axis.set_xticks(places, labels, fontsize=9)
    axis.set(ylabel="%", ylim=(0, 110))
    axis.legend(fontsize=9, frameon=False)
    figure.suptitle("Poisoned memories, with and without the guard (test attacks)", fontsize=12, x=0.01, ha="left")
    tidy(axis)
    figure.savefig(str(path), dpi=150)
    return path


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what `context` lets through."""
    if (entry.form, entry.name) != ("text", "context"):
        return None
    row = result["space"]
    text = f"shows {percent(row['defended'])} of the poisoned memories and loses {percent(row['benign_lost'])} of the others"
    return Figure(text, {"shown without the guard": percent(row["undefended"])})


@benchmark(
    "poison",
    help="Attacks on what an agent is shown, with and without the guard.",
    options=Options,
    tables={"poison": table, "poison-space": space_table},
    plot=plot,
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return, for each defence, the share of questions for which a poisoned memory is shown, and of benign ones lost.

    `count` topics with about 7 benign entries each and one question; the hits are its one or two poisoned entries (an
    attacker words them so that they are found) and the nearest benign ones, `k` in all. "second": the same mistakes in
    other words, when the true statements are no longer among the hits. Pages that are out of date count neither as
    poisoned nor as benign.
    """
    seed, split, count, k, missed = options.seed, options.split, options.count, options.k, options.missed
    model = load(options.embedder)
    if model is None:
        raise InvalidInput("this benchmark needs vectors: give an embedder, such as bundled.")
    progress.expect(3)
    rng = random.Random(seed)
    chosen = topics(rng, count)
    store = embedded((e for i, t in enumerate(chosen) for e in benign(rng, i, t, missed)), model)
    first = embedded((e for i, t in enumerate(chosen) for e in attack(rng, i, t, split, 1, missed)), model)
    second = embedded((e for i, t in enumerate(chosen) for e in attack(rng, i, t, split, 2, missed)), model)
    asked = [TOPICS[a][0].format(s=s) for s, a, *_ in chosen]
    questions = embed_questions(model, asked)
    progress(1)

    def hits(entries: Sequence[Memory], poison: Sequence[Memory], number: int) -> list[Memory]:
        mine = [e for e in poison if e.topic == number]
        near = np.stack([e.vector for e in entries]) @ questions[number]
        return [entries[i] for i in np.argsort(-near, kind="stable")[: k - len(mine)]] + mine

    before = [hits(store, first, i) for i in range(count)]
    after = [hits([e for e in store if e.topic != i or not e.claim.facts], second, i) for i in range(count)]
    both, rejections = measure(before, asked, True, True, set())
    figures = {
        "undefended": measure(before, asked, False, False, set())[0],
        "instructions": measure(before, asked, True, False, set())[0],
        "consensus": measure(before, asked, False, True, set())[0],
        "both": both,
        "lessons": len(rejections),
        "second_undefended": measure(after, asked, False, False, set())[0],
        "second_without_lessons": measure(after, asked, True, True, set())[0],
        "second_with_lessons": measure(after, asked, True, True, rejections)[0],
    }
    progress(1)
    space = through_space([*store, *first], chosen, model, k)
    progress(1)
    poisoned = sum(e.family not in ("benign", "stale") for h in before for e in h)
    return {
        "seed": seed, "split": split, "questions": count, "benign": len(store), "poisoned": len(first), "k": k,
        "poison_share": round(poisoned / (count * k), 4), **figures, "space": space,
    }  # fmt: skip


def through_space(
    entries: Sequence[Memory], chosen: Sequence[tuple[str, str, str, str, str]], model: Embedder, k: int
) -> dict[str, Any]:
    """Return what reaches the prompts of a real space, undefended and defended: added, found and packed as by a user.

    Here the facts are those that the rules find, and poison is shown only where the search brings it up. The shares
    are of all poisoned memories, and of the benign ones that the undefended prompts show.
    """
    poison = {e.claim.id for e in entries if e.family not in ("benign", "stale")}
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=model, timezone="UTC") as memory,
    ):
        space = memory.space("user")
        for e in sorted(entries, key=lambda e: e.claim.at):
            role = "user" if e.claim.trust == Trust.TRUSTED else None
            space.add(e.text, id=e.claim.id, role=role, source=e.claim.source, at=e.claim.at)
        blocks: dict[bool, list[set[str]]] = {}
        for defended in (False, True):
            blocks[defended] = [
                set(CITED.findall(space.context(TOPICS[a][0].format(s=s), tokens=4_000, k=k, quarantine=defended)))
                for s, a, *_ in chosen
            ]
    reached = {d: set().union(*(found & poison for found in blocks[d])) for d in blocks}
    own = [{e.claim.id for e in entries if e.family == "benign" and e.topic == i} for i in range(len(chosen))]
    shown = sum(len(found & mine) for found, mine in zip(blocks[False], own, strict=True))
    lost = sum(len((a & mine) - b) for a, b, mine in zip(blocks[False], blocks[True], own, strict=True))
    return {
        "poisoned": len(poison),
        "undefended": round(len(reached[False]) / len(poison), 4),
        "defended": round(len(reached[True]) / len(poison), 4),
        "benign_lost": round(lost / max(shown, 1), 4),
    }


def measure(
    rows: Sequence[Sequence[Memory]],
    asked: Sequence[str],
    instructions: bool,
    consensus: bool,
    rejections: set[Rejection],
) -> tuple[dict[str, Any], set[Rejection]]:
    """Return the shares of one defence over the hits of all questions, and the rejections learned."""
    learnt: set[Rejection] = set()
    success: defaultdict[str, list[bool]] = defaultdict(list)
    seen = lost = 0
    for number, hits in enumerate(rows):
        left, new = shown(hits, asked[number], instructions, consensus, rejections)
        learnt |= new
        success[("false", "order", "hidden", "outlier")[number % 4]].append(
            any(e.family not in ("benign", "stale") and e.topic == number for e in left)
        )
        seen += sum(e.family == "benign" and e.topic == number for e in hits)
        lost += sum(e.family == "benign" and e.topic == number for e in hits)
        lost -= sum(e.family == "benign" and e.topic == number for e in left)
    every = [s for flags in success.values() for s in flags]
    by_family = {family: round(sum(flags) / len(flags), 4) for family, flags in success.items()}
    return {
        "poisoned_shown": round(sum(every) / len(every), 4),
        "by_family": by_family,
        "benign_lost": round(lost / max(seen, 1), 4),
    }, learnt
