"""Faults by stage: extraction, update and answer scored apart on one stream: `mnemos bench stage-faults`.

After HaluMem (arXiv 2511.03506), with statements of `synthetic_people` instead of dialogues written by a model.
Extraction: which gold facts of every message are found (recall), how many of those found are gold (precision), and how
many planted false memories (hearsay, denials, suppositions) are not taken for facts (resistance). Update: of the
changes whose new value was extracted, how many ended the old value (correct), left it current (omitted) or left the
attribute with another value (wrong). Answer: is the current value of every attribute given (correct), another value of
somebody (hallucinated), or none (omitted). An answer can only be as good as what is stored, so the score of its own
stage is `answer_given_state`: the share that is correct of the answers whose stored state is.

A fault may be injected: "dropped updates" (no fact is ever ended), "hallucinating writer" (a fifth of the messages get
a fact that they do not state), "weak retriever" (a third of the answers have nothing to answer from). Each must show
in the score of its own stage (`OWN`), in none of the other stages', and in the answers. What the three scores together
predict of the answers is `answer_predicted`: extracted, nothing else taken for a fact, updated if it ever changed, found.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.facts import START, Event, State, make
from mnemos.bench.text.synthetic_people import ATTRIBUTES, PEOPLE, say
from mnemos.facts import Fact
from mnemos.reason.base import Judgement
from mnemos.reason.questions import asked
from mnemos.reason.rules import RuleReasoner
from mnemos.space import Space
from mnemos.system import Mnemos

Fault = Literal["none", "dropped updates", "hallucinating writer", "weak retriever"]
FAULTS: tuple[Fault, ...] = ("none", "dropped updates", "hallucinating writer", "weak retriever")
OWN = {"extraction": "extraction_f1", "update": "update_correct", "answer": "answer_given_state"}
STAGE_OF = {"dropped updates": "update", "hallucinating writer": "extraction", "weak retriever": "answer"}
WEAK = 1 / 3  # share of answers that a weak retriever leaves empty
INVENTED = 0.2  # share of messages to which a hallucinating writer adds a fact
FALSE = (
    ("city", "Somebody told me that {s} lives in {v}."), ("city", "I would move to {v} if I could."), ("employer",
    "I heard that {s} works for {v}."),
    ("employer", "If I worked at {v}, I would be rich."), ("job", "Perhaps I will become {a}."), ("car",
    "I wish I drove a {v}."),
    ("food", "Maybe {v} is my favourite food, who knows."), ("color", "They say that {s}'s favourite colour is {v}."),
    ("partner", "I dreamed that I married {v}."),
    ("gym", "Rumour has it that {s} works out at {v}."), ("dog", "Imagine my dog is called {v}."), ("editor",
    "I could switch my editor to {v}."),
    ("film", "Suppose my favourite film is {v}."), ("diet", "I might go {v}."), ("phone",
    "If my phone number is {v}, I am a goose."),
    ("email", "Is my email {v}?"), ("city", "{s} said that I live in {v}."), ("car", "I almost bought a {v}."),
    ("employer", "I never worked at {v}."), ("city", "I want to move to {v}."),
)  # fmt: skip


class Faulty(RuleReasoner):
    """The rules with a fault injected."""

    def __init__(self, fault: Fault, rng: random.Random) -> None:
        self.fault = fault
        self.rng = rng

    def facts(self, text: str, speaker: str | None, at: datetime) -> list[Fact]:
        """Return the facts of a text; a hallucinating writer sometimes adds one."""
        found = super().facts(text, speaker, at)
        if self.fault == "hallucinating writer" and self.rng.random() < INVENTED:
            attribute = self.rng.choice([a for a in ATTRIBUTES if "{" not in a.key and a.subject == "{s}"])
            value = self.rng.choice(attribute.values)
            found.append(Fact((speaker or "user").lower(), attribute.key, value, True, False, 0, 0))
        return found

    def compare(self, new: Fact, old: Fact) -> Judgement:
        """Judge as the rules do; a writer that drops updates never sees a contradiction."""
        judged = super().compare(new, old)
        if self.fault == "dropped updates" and judged.verdict == "contradicts":
            return Judgement("compatible", "dropped")
        return judged


def stream(seed: int, people: Sequence[str], planted: int) -> tuple[list[Event], set[str]]:
    """Return the messages in the order of time, and the texts of those that are planted false memories."""
    events = make(seed, people, "test", 20)
    rng = random.Random(f"stages{seed}")
    false = []
    for _ in range(planted):
        name, template = rng.choice(FALSE)
        attribute = next(a for a in ATTRIBUTES if a.name == name)
        speaker = rng.choice(people)
        other = rng.choice([p for p in people if p != speaker] or ["Zoe"])
        text = say(attribute, template, rng.choice(attribute.values), other, "", "")
        false.append(replace(rng.choice(events), speaker=speaker, text=text, state=None))
    return sorted([*events, *false], key=lambda e: e.at), {e.text for e in false}


@dataclass(frozen=True)
class Options:
    """The stream, and the faults."""

    seed: int = 0  # seed of the texts and of the faults
    people: int = 6  # people who talk, at most 24
    planted: int = 100  # false memories among the messages
    faults: tuple[Fault, ...] = FAULTS  # faults to inject, one after the other
    embedder: str = "none"  # what embeds the texts


def table(result: Result) -> Rows:
    """Return the scores of each stage, by the fault that was put in."""
    faults = result["faults"]
    names = list(next(iter(faults.values())))
    lines: Rows = [["fault", *(name.replace("_", " ") for name in names)]]
    return lines + [[fault, *(f"{row[name]:.3f}" for name in names)] for fault, row in faults.items()]


def own(result: Result) -> Rows:
    """Return how far each fault moves the own score of every stage, and the answers beside what the stages predict."""
    faults = result["faults"]
    lines: Rows = [["fault", "its stage", *OWN, "answers", "answers, as predicted"]]
    for fault in (f for f in faults if f != "none"):
        moved = [f"{faults[fault][name] - faults['none'][name]:+.3f}" for name in OWN.values()]
        ends = [f"{faults[fault][name]:.3f}" for name in ("answer_correct", "answer_predicted")]
        lines.append([fault, STAGE_OF[fault], *moved, *ends])
    return lines


@benchmark(
    "stage-faults",
    help="Extraction, update and answer scored apart, with faults injected into each.",
    options=Options,
    tables={"stage-faults": table, "stage-faults-own": own},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the scores of every stage for each fault: flat numbers, shares between 0 and 1."""
    progress.expect(len(options.faults))
    events, false = stream(options.seed, PEOPLE[: options.people], options.planted)
    scores: dict[str, dict[str, float]] = {}
    for fault in options.faults:
        scores[fault] = play(events, false, fault, options.embedder, options.seed)
        progress(1)
    return {"seed": options.seed, "messages": len(events), "faults": scores}


def play(events: Sequence[Event], false: set[str], fault: Fault, embedder: str, seed: int) -> dict[str, float]:
    """Write the stream with a fault and return the scores of the stages."""
    now = [START]
    reasoner = Faulty(fault, random.Random(f"{fault}{seed}"))
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, clock=lambda: now[0], reasoner=reasoner, timezone="UTC") as memory,
    ):
        space = memory.space("stages")
        told: list[tuple[str, Event]] = []
        for event in events:
            now[0] = event.at
            told.append((space.add(event.text, speaker=event.speaker, session="s", reconcile=True).id, event))
        scores = extraction(space, told, false) | update(space, told) | answers(space, told, fault, seed)
        return scores | {"answer_predicted": predicted(scores, told)}


def extraction(space: Space, told: Sequence[tuple[str, Event]], false: set[str]) -> dict[str, float]:
    """Score the extracted facts of each message. Facts of distractors do not count."""
    facts: dict[str, list[tuple[str, str, str]]] = {}
    for f in space.facts(include_ended=True):
        if not f.negated:
            facts.setdefault(f.cube, []).append((f.subject, f.attribute, f.value.casefold()))
    gold = right = found = resisted = planted = 0
    for cube, event in told:
        got = facts.get(cube, [])
        if event.state is not None:
            gold += 1
            found += len(got)
            right += _gold(event.state) in got
        elif event.text in false:
            planted += 1
            resisted += not got
            found += len(got)
    recall, precision = right / max(gold, 1), right / max(found, 1)
    return {
        "extraction_recall": round(recall, 4),
        "extraction_precision": round(precision, 4),
        "extraction_f1": round(2 * recall * precision / max(recall + precision, 1e-9), 4),
        "extraction_resistance": round(resisted / max(planted, 1), 4),
    }


def update(space: Space, told: Sequence[tuple[str, Event]]) -> dict[str, float]:
    """Score the old value at each change whose values were both extracted."""
    ends: dict[tuple[str, tuple[str, str, str]], datetime | None] = {}
    for f in space.facts(include_ended=True):
        if not f.negated:
            ends[f.cube, (f.subject, f.attribute, f.value.casefold())] = f.valid_to
    last: dict[tuple[str, str], tuple[str, State]] = {}
    correct = wrong = omitted = 0
    for cube, event in told:
        state = event.state
        if state is None or (cube, _gold(state)) not in ends:
            continue
        if state.key in last:
            end = ends[last[state.key][0], _gold(last[state.key][1])]
            gone = ends[cube, _gold(state)]
            if end is None or end > event.at:
                omitted += 1
            elif end == event.at:  # a value that ended earlier could not be updated: a fault of extraction
                correct += gone is None or gone > event.at
                wrong += gone is not None and gone <= event.at
        last[state.key] = cube, state
    changes = max(correct + wrong + omitted, 1)
    return {
        "update_correct": round(correct / changes, 4),
        "update_wrong": round(wrong / changes, 4),
        "update_omitted": round(omitted / changes, 4),
    }


def answers(space: Space, told: Sequence[tuple[str, Event]], fault: Fault, seed: int) -> dict[str, float]:
    """Ask for the current value of every attribute; the answer is what the facts found for the question agree on."""
    rng = random.Random(f"answers{seed}")
    current = {event.state.key: event.state for _, event in told if event.state is not None}
    correct = hallucinated = given = stored = 0
    for state in current.values():
        values: set[str] = set()
        lost = rng.random() < WEAK and fault == "weak retriever"
        for subject, attribute in [] if lost else asked(state.question()):
            values |= {f.value.casefold() for f in space.facts(subject, attribute) if not f.negated}
        subject, attribute = state.fact()
        kept = {f.value.casefold() for f in space.facts(subject, attribute) if not f.negated}
        stored += kept == {state.value.casefold()}
        given += kept == values == {state.value.casefold()}
        correct += values == {state.value.casefold()}
        hallucinated += bool(values) and values != {state.value.casefold()}
    n = max(len(current), 1)
    return {
        "answer_correct": round(correct / n, 4),
        "answer_hallucinated": round(hallucinated / n, 4),
        "answer_omitted": round((n - correct - hallucinated) / n, 4),
        "answer_given_state": round(given / max(stored, 1), 4),
    }


def predicted(scores: Mapping[str, float], told: Sequence[tuple[str, Event]]) -> float:
    """Return the share of right answers that the stages' scores predict, as if they failed independently."""
    last = {event.state.key: event.state.changes for _, event in told if event.state is not None}
    changed = sum(n > 0 for n in last.values()) / max(len(last), 1)
    read = scores["extraction_recall"] * scores["extraction_precision"]
    updated = changed * scores["update_correct"] + 1 - changed
    return round(read * updated * scores["answer_given_state"], 4)


def _gold(state: State) -> tuple[str, str, str]:
    subject, attribute = state.fact()
    return subject, attribute, state.value.casefold()
