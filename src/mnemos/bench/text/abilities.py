"""Four abilities of a memory that is told once and asked often: `mnemos bench abilities`.

After MemoryAgentBench (arXiv 2507.05257), on the generated histories of `abilities_made.py`; its own conflict set is
measured by `mnemos bench factconsolidation`. The readers are scripted: the newest value about the subject; the label of
the examples with the most words of the question; the fruit that is named most; the suspect that nobody excludes; and for
two hops the newest home and then the newest mayor of that town, in what was shown for the one question. "first" is the
value of the best ranked passage: whether the memory itself puts the latest of two conflicting facts first.
"versions" is the default with the judgements of `add` (`reconcile`), "mnemos" only appends.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.abilities_made import ABILITIES, MAYORS, TOWNS
from mnemos.bench.text.arms import Arm, Shower, Tally, pooled, tokens, told
from mnemos.bench.text.factconsolidation import words
from mnemos.bench.text.facts import cached
from mnemos.bench.text.reader import Passage, ScriptedReader, blame, concerns, mentioned, right
from mnemos.bench.text.task import Expected, Haystack, Question, Task

VERSIONS = "versions"
ARMS = ("everything", "window", "words", "vectors", "mnemos", VERSIONS)
KINDS = ("accurate retrieval", "test-time learning", "whole, count", "whole, culprit", "conflicts, one hop",
         "conflicts, two hops")  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The histories, and what is shown of them."""

    noise: int = 300  # lines of small talk in each history
    k: int = 10  # lines that a search shows
    window: int = 2_000  # tokens of the newest lines that "window" shows
    seeds: int = 3  # histories of each ability
    arms: tuple[str, ...] = ARMS  # what is compared
    embedder: str = "bundled"  # what embeds the texts


class AbilityReader:
    """Reads by the kind of the question; see the module."""

    name = "scripted, by ability"

    def answer(self, question: Question, shown: Sequence[Passage]) -> str:
        """Return the answer, or "" where what is shown has none."""
        expected = question.expected or Expected()
        about = [p for p in shown if concerns(p, expected)]
        if question.category == "test-time learning":
            return label(question.text, about, expected.choices)
        named = Counter(value for p in about for value in mentioned(p.text, expected.choices))
        if question.category == "whole, count":
            return named.most_common(1)[0][0] if named else ""
        if question.category == "whole, culprit":
            left = [suspect for suspect in expected.choices if suspect not in named]
            return left[0] if len(left) == 1 else ""
        if question.category == "conflicts, two hops":
            home = ScriptedReader().answer(replace(question, expected=replace(expected, choices=TOWNS)), shown)
            mayor = Expected((), MAYORS, ("mayor", home))
            return ScriptedReader().answer(replace(question, expected=mayor), shown) if home else ""
        return ScriptedReader().answer(question, shown)


def label(question: str, shown: Sequence[Passage], labels: Sequence[str]) -> str:
    """Return the label of the passages that share the most words with a question; each counts by its share, squared."""
    votes: Counter[str] = Counter()
    wanted = words(question)
    for each in shown:
        mine = words(each.text)
        for named in mentioned(each.text, labels):
            votes[named] += int(1e6 * (len(wanted & mine) / len(wanted | mine)) ** 2)
    return votes.most_common(1)[0][0] if votes else ""


def table(result: Result) -> Rows:
    """Return the share of right answers by ability and arm."""
    lines: Rows = [["shown", *KINDS, "conflicts, one hop: latest first", "tokens a question"]]
    for arm, rows in result["arms"].items():
        cells = [percent(rows[kind]["right"], 0) for kind in KINDS]
        first = rows["conflicts, one hop"]["first"]
        lines.append(
            [arm, *cells, "–" if arm in ("everything", "window") else percent(first, 0), f"{rows['all']['tokens']:.0f}"]
        )
    return lines


@benchmark(
    "abilities",
    help="Four abilities of a memory: find, learn from examples, grasp the whole, take the latest of two facts.",
    options=Options,
    tables={"abilities": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return by arm and ability the shares of answers by stage, and of latest values that come first."""
    embedder = cached(options.embedder)
    haystacks = task(options.noise, options.seeds).haystacks
    progress.expect(len(haystacks))
    parts: dict[str, list[dict[str, dict[str, float]]]] = {arm: [] for arm in options.arms}
    for haystack in haystacks:
        for versions in (False, True):
            with told(haystack, embedder, reconcile=versions) as space:
                shower = Shower(space, "line", options.k, options.window)
                for arm in (a for a in options.arms if (a == VERSIONS) == versions):
                    parts[arm].append(measure(shower, haystack, "mnemos" if versions else arm))  # type: ignore[arg-type]
        progress(1)
    kinds = (*KINDS, "all")
    arms = {
        arm: {kind: pooled([p[kind] for p in found if kind in p]) for kind in kinds} for arm, found in parts.items()
    }
    return {"seeds": options.seeds, "noise": options.noise, "k": options.k, "arms": arms}


def task(noise: int = 300, seeds: int = 3) -> Task:
    """Return the histories of all abilities as one task: gold are the lines that an answer needs, if it can be said."""
    haystacks = []
    for seed in range(seeds):
        for ability in ABILITIES:
            haystack = ability(random.Random(f"{ability.__name__}{seed}"), noise)
            haystacks.append(replace(haystack, name=f"{haystack.name.replace(' ', '-')}-{seed}"))
    return Task("abilities", {"line": "cubes"}, haystacks, {"made": "abilities", "seeds": seeds})


def measure(shower: Shower, haystack: Haystack, arm: Arm) -> dict[str, dict[str, float]]:
    """Return the figures of one arm on one history, by category and of all."""
    reader, stored = AbilityReader(), {p.id for p in shower.every}
    tallies: dict[str, Tally] = {}
    firsts: Counter[str] = Counter()
    for question in haystack.questions:
        shown = shower.show(arm, question)
        expected, gold, ids = question.expected or Expected(), question.gold["line"], {p.id for p in shown}
        first = right(ScriptedReader(newest=False).answer(question, shown), expected)
        for name in (question.category, "all"):
            tally = tallies.setdefault(name, Tally())
            tally.stages[blame(reader.answer(question, shown), expected, gold, stored, ids)] += 1
            tally.tokens += tokens(shown)
            firsts[name] += first
    return {name: tally.row() | {"first": firsts[name] / tally.stages.total()} for name, tally in tallies.items()}
