"""Three experiments that reviews of memory suggest, on a text memory: `mnemos bench cognition`.

Feedback (132): a stream of memories with a score each; whether one of this score is of use changes three times. What is
shown is worth 1 where it is of use and costs 1 where it is not. A controller that sees only the outcomes of what it showed
against every fixed threshold, the best one in hindsight.

Surprise (147): people tell 60 things in several wordings, some of them once and some a hundred times (Zipf). Everything in
search, against what the gate leaves in, a random choice of as many, and the newest as many: is the thing that a question
asks for told by one of the five first hits?

Keys (114): (a) patterns that share most of their direction in an outer-product memory, addressed by themselves, by whitened and
by pattern-separated keys, at equal capacity; (b) texts about the same few people, asked with a partial cue: is what it
does not find lost, or found with a better one?
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text.kept import kept
from mnemos.embed.base import Embedder
from mnemos.registry import Entry
from mnemos.system import Mnemos
from mnemos.text.consolidate.surprise import ArchivePredicted
from mnemos.text.recall.controller import Controller
from mnemos.text.recall.snapshot import SearchMethod
from mnemos.text.recall.whitened import Whitened, reach, separate, whiten
from mnemos.text.system import DEFAULT

Floats = NDArray[np.float32]
PHASES = ((0.30, 0.12), (0.75, 0.12), (0.45, 0.08), (0.85, 0.06))  # middle and width of the curve of use in each phase
FIXED = tuple(i / 20 for i in range(21))
THINGS = (  # what is told, how it is asked, and two ways to tell it
    ("bakes bread", "What does {who} bake?", "{who} bakes sourdough bread on Sundays", "on Sundays {who} bakes bread"),
    ("avoids walnuts", "What is {who} allergic to?", "{who} is allergic to walnuts", "walnuts make {who} ill"),
    (
        "plays the cello",
        "Which instrument does {who} play?",
        "{who} plays the cello",
        "{who} practises the cello daily",
    ),
    (
        "keeps bees",
        "Which animals does {who} keep?",
        "{who} keeps bees behind the house",
        "the beehives are those of {who}",
    ),
    ("drives a van", "What does {who} drive?", "{who} drives an old van", "the van of {who} is quite old"),
    ("collects stamps", "What does {who} collect?", "{who} collects stamps", "{who} has albums full of stamps"),
)
OPENINGS = ("", "You know, ", "As I said, ", "By the way, ", "I think I told you that ", "It is true that ")
PEOPLE = ("Ilse", "Marko", "Priya", "Tomas", "Yuki", "Wanda", "Omar", "Greta", "Luis", "Nadia")
ACTIVE = 10  # units of a pattern-separated key
CORRELATED = (0.0, 0.5, 0.8, 0.9)  # share of the direction that patterns have in common


@dataclass(frozen=True)
class Options:
    """The sizes, and what embeds the texts."""

    seed: int = 0  # the first seed
    seeds: int = 5  # streams of each kind
    outcomes: int = 4_000  # memories of a stream of feedback
    told: int = 900  # texts of a stream in which 60 things are told
    embedder: str = "bundled"  # what makes the vectors
    vectors: Path | None = None  # a file that keeps them, so that another run embeds nothing


def feedback_table(result: Result) -> Rows:
    """Return what each threshold earns."""
    rows: Rows = [["threshold", "worth of 1,000 memories", "shown", "of use, of those shown"]]
    for name, row in result["feedback"].items():
        rows.append([name, f"{row['worth']:.0f} ± {row['spread']:.0f}", percent(row["shown"]), percent(row["useful"])])
    return rows


def surprise_table(result: Result) -> Rows:
    """Return recall with the writes that each way leaves."""
    rows: Rows = [["in search", "texts", "share of the writes", "recall@5"]]
    for name, row in result["surprise"].items():
        rows.append([name, f"{row['texts']:.0f}", percent(row["share"]), f"{row['recall']:.3f} ± {row['spread']:.3f}"])
    return rows


def keys_table(result: Result) -> Rows:
    """Return how many correlated patterns each kind of key brings back."""
    rows: Rows = [["patterns share", *(f"{name}" for name in next(iter(result["keys"].values())))]]
    for shared, row in result["keys"].items():
        rows.append([percent(float(shared)), *(percent(value) for value in row.values())])
    return rows


def reach_table(result: Result) -> Rows:
    """Return what a partial cue finds and why not."""
    rows: Rows = [["keys", "found by the partial cue", "not reached: a better cue finds it", "lost"]]
    for name, row in result["reach"].items():
        rows.append([name, *(percent(row[state]) for state in ("found", "not reached", "lost"))])
    return rows


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what an experiment says of its part."""
    if entry.form != "text":
        return None
    if entry.name == "adaptive-threshold":
        rows = {name: row["worth"] for name, row in result["feedback"].items()}
        text = f"earns {rows['adaptive']:.0f} a thousand memories where what is of use changes"
        return Figure(text, {"the best fixed threshold": f"{max(v for n, v in rows.items() if n != 'adaptive'):.0f}"})
    if entry.name == "surprise":
        row, every = result["surprise"]["surprise"], result["surprise"]["everything"]
        text = f"keeps {percent(row['share'])} of what is told in search, with recall@5 {row['recall']:.3f}"
        return Figure(
            text,
            {
                "everything": f"{every['recall']:.3f}",
                "as many at random": f"{result['surprise']['random']['recall']:.3f}",
            },
        )
    if entry.name == "whitened":
        row = result["keys"]["0.9"]
        return Figure(
            f"brings back {percent(row['whitened'])} of patterns that share 90 %",
            {"the value as its key": percent(row["value as key"])},
        )
    return None


@benchmark(
    "cognition",
    help="Thresholds that learn from feedback, writing by surprise, and keys apart from values.",
    options=Options,
    tables={
        "cognition-feedback": feedback_table,
        "cognition-surprise": surprise_table,
        "cognition-keys": keys_table,
        "cognition-reach": reach_table,
    },
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Run the three experiments with every seed."""
    seeds = range(options.seed, options.seed + options.seeds)
    progress.expect(3)
    fed = feedback(seeds, options.outcomes)
    progress(1)
    with kept(options.embedder, options.vectors) as embedder:
        gated = surprise(seeds, options.told, embedder)
        progress(1)
        reached = partial_cues(embedder)
    found = keys(seeds)
    progress(1)
    return {
        "seeds": list(seeds),
        "embedder": options.embedder,
        "feedback": fed,
        "surprise": gated,
        "keys": found,
        "reach": reached,
    }


def feedback(seeds: Sequence[int], outcomes: int) -> dict[str, Any]:
    """Return what the controller and every fixed threshold earn on streams whose curve of use shifts."""
    earned: dict[str, list[tuple[float, float, float]]] = {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        scores = rng.uniform(0, 1, outcomes)
        middle, width = np.repeat(PHASES, outcomes // len(PHASES), axis=0).T
        helps = rng.uniform(size=len(middle)) < 1 / (1 + np.exp(-(scores[: len(middle)] - middle) / (width / 4)))
        controller = Controller()
        known, shown = controller.start(), np.zeros(len(helps), dtype=bool)
        for i, (score, helped) in enumerate(zip(scores, helps, strict=False)):
            shown[i] = score >= controller.threshold(known)
            if shown[i]:  # what is not shown has no outcome
                known = controller.observe(known, float(score), bool(helped))
        ways = {"adaptive": shown} | {f"fixed, {t:g}": scores[: len(helps)] >= t for t in FIXED}
        for name, way in ways.items():
            worth = 1_000 * float((way & helps).sum() - (way & ~helps).sum()) / len(helps)
            earned.setdefault(name, []).append(
                (worth, float(way.mean()), float(helps[way].mean()) if way.any() else 0.0)
            )
    means = {
        name: {"worth": float(np.mean([r[0] for r in rows])), "spread": float(np.std([r[0] for r in rows])),
               "shown": float(np.mean([r[1] for r in rows])), "useful": float(np.mean([r[2] for r in rows]))}
        for name, rows in earned.items()
    }  # fmt: skip
    best = sorted((n for n in means if n != "adaptive"), key=lambda n: -means[n]["worth"])[:3]
    return {name: rounded(means[name]) for name in ("adaptive", *best)}


def telling(seed: int, told: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return (thing, text) of what is told, in random order, and (thing, question)."""
    rng = random.Random(seed)
    things = [(who, what, question, wordings) for who in PEOPLE for what, question, *wordings in THINGS]
    rng.shuffle(things)
    weights = [1 / (i + 1) for i in range(len(things))]
    texts = []
    for who, what, _, wordings in [*things, *rng.choices(things, weights, k=told - len(things))]:
        text = rng.choice(OPENINGS) + rng.choice(wordings).format(who=who)
        texts.append((f"{who} {what}", text[0].upper() + text[1:] + "."))
    questions = [(f"{who} {what}", question.format(who=who)) for who, what, question, _ in things]
    rng.shuffle(texts)
    return texts, questions


def surprise(seeds: Sequence[int], told: int, embedder: Embedder) -> dict[str, Any]:
    """Return recall with everything in search, with what the gate leaves, and with as many others."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in seeds:
        texts, questions = telling(seed, told)
        with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder=embedder) as memory:
            space = memory.space("gated", system=replace(DEFAULT, phases=(ArchivePredicted(),)))
            cubes = space.add_many(
                [{"content": text, "metadata": {"thing": thing}} for thing, text in texts], reconcile=False
            )
            whole = recall(space, questions)
            space.consolidate()
            left = {cube.id for cube in space.cubes(limit=10_000)}
            gated = recall(space, questions)
            rng = random.Random(seed)
            ways = {
                "random": set(rng.sample([c.id for c in cubes], len(left))),
                "newest": {c.id for c in cubes[-len(left) :]},
            }
            others = {}
            for name, ids in ways.items():
                space.unarchive([c.id for c in cubes])
                space.archive([c.id for c in cubes if c.id not in ids])
                others[name] = recall(space, questions)
        n = len(cubes)
        for name, count, value in (("everything", n, whole), ("surprise", len(left), gated),
                                   *((name, len(left), value) for name, value in others.items())):  # fmt: skip
            found.setdefault(name, []).append((count, count / n, value))
    return {
        name: {"texts": float(np.mean([r[0] for r in rows])), "share": round(float(np.mean([r[1] for r in rows])), 4),
               "recall": round(float(np.mean([r[2] for r in rows])), 4), "spread": round(float(np.std([r[2] for r in rows])), 4)}
        for name, rows in found.items()
    }  # fmt: skip


def recall(space: Any, questions: Sequence[tuple[str, str]]) -> float:
    """Return the share of questions of which the thing is told by one of five hits."""
    right = [any(hit.cube.metadata["thing"] == thing for hit in space.search(text, 5)) for thing, text in questions]
    return sum(right) / len(right)


def keys(seeds: Sequence[int], patterns: int = 60, width: int = 128, noise: float = 0.3) -> dict[str, dict[str, float]]:
    """Return the share of patterns that an outer-product memory M = sum v k' brings back from a noisy cue, by correlation.

    All keys have `width` numbers, so that M is as large for each; the values are the patterns themselves.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for shared in CORRELATED:
        row = found.setdefault(f"{shared:g}", {})
        for seed in seeds:
            rng = np.random.default_rng(seed)
            common = rng.normal(size=(1, width))
            values = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=(patterns, width))
            values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
            away = rng.normal(size=values.shape) * np.sqrt(1 - shared)  # noise as large as what differs
            cues = (values + noise * away / np.sqrt(width)).astype(np.float32)
            ways = {
                "value as key": (values, cues),
                "whitened": whiten(values, cues, Whitened().shrink),
                "pattern-separated": tuple(
                    separate(rows - values.mean(axis=0), width, ACTIVE, seed) for rows in (values, cues)
                ),
            }
            for name, (stored, asked) in ways.items():
                back = asked @ (values.T @ stored).T
                best = np.argmax(back @ values.T / np.linalg.norm(back, axis=1, keepdims=True), axis=1)
                row.setdefault(name, []).append(float((best == np.arange(patterns)).mean()))
    return {shared: {name: round(float(np.mean(v)), 4) for name, v in row.items()} for shared, row in found.items()}


def partial_cues(embedder: Embedder) -> dict[str, dict[str, float]]:
    """Return what partial cues find of what is told of ten people, and what better ones do, with plain and whitened keys."""
    texts = [(f"{who} {what}", f"{who} {what}.") for who in PEOPLE for what, *_ in THINGS]
    asked = {f"{who} {what}": (f"Something about {what.split()[-1]}", question.format(who=who)) for who in PEOPLE
             for what, question, *_ in THINGS}  # fmt: skip
    found = {}
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder=embedder) as memory:
        space = memory.space("s")
        names = {
            cube.id: thing
            for cube, (thing, _) in zip(
                space.add_many([{"content": t} for _, t in texts], reconcile=False), texts, strict=True
            )
        }
        for name, system in (("plain", DEFAULT), ("whitened", replace(DEFAULT, retrieve=Whitened(), rerank=()))):
            space.text.use(system)
            method: SearchMethod = "vectors" if name == "plain" else "hybrid"
            ranks = {
                thing: [place([names[h.cube.id] for h in space.search(cue, 10, method=method)], thing) for cue in cues]
                for thing, cues in asked.items()
            }
            states = list(reach(ranks, k=5).values())
            found[name] = {
                state: round(states.count(state) / len(states), 4) for state in ("found", "not reached", "lost")
            }
    return found


def place(order: Sequence[str], thing: str) -> int | None:
    """Return where a thing is in an order."""
    return order.index(thing) if thing in order else None


def rounded(row: dict[str, float]) -> dict[str, float]:
    """Return the figures with four digits."""
    return {name: round(value, 4) for name, value in row.items()}
