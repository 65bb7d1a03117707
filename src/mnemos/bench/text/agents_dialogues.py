"""Scripted dialogues with edits and reverts, and what remembers their state: a task's tree, the last turns, or all turns.

Five scenarios (trip, cart, form, recipe, meeting) fill steps, change values that others depend on, take changes back, and ask
for values all along. Turns are as an agent's tool calls put them; no model reads them. What reads a transcript, the last
turns or all of it, takes the value that was said last; one more reader of all turns goes back where a change is taken
back. The truth is kept beside, by a dict and a list of earlier dicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from mnemos.space import Space
from mnemos.text.agent.task import Task
from mnemos.text.recall.context import estimate_tokens

LAST = 8  # turns that a short history has
SCENARIOS: Mapping[str, Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {  # step: parent, needs, slots
    "trip": {
        "trip": ("", (), ("city", "budget")),
        "dates": ("trip", (), ("start", "end")),
        "people": ("trip", (), ("number",)),
        "flight": ("trip", ("dates", "people"), ("airline", "seat")),
        "hotel": ("trip", ("dates", "people"), ("name", "room")),
        "transfer": ("flight", ("hotel",), ("pickup",)),
        "dinner": ("hotel", (), ("table",)),
    },
    "cart": {
        "order": ("", (), ("currency",)),
        "address": ("order", (), ("street", "country")),
        "shoes": ("order", (), ("size", "colour")),
        "coat": ("order", (), ("size", "colour")),
        "gift": ("coat", (), ("paper",)),
        "shipping": ("order", ("address",), ("carrier",)),
        "payment": ("order", ("shipping", "shoes", "coat"), ("card",)),
    },
    "form": {
        "claim": ("", (), ("kind",)),
        "person": ("claim", (), ("name", "birthday")),
        "policy": ("claim", ("person",), ("number",)),
        "event": ("claim", (), ("day", "place")),
        "damage": ("event", (), ("sum",)),
        "witness": ("event", (), ("name",)),
        "bank": ("claim", ("person",), ("account",)),
    },
    "recipe": {
        "meal": ("", (), ("guests",)),
        "soup": ("meal", (), ("litres", "spice")),
        "dough": ("meal", (), ("flour", "water")),
        "bread": ("dough", (), ("minutes", "heat")),
        "shopping": ("meal", ("soup", "dough"), ("shop",)),
        "wine": ("meal", (), ("bottles",)),
    },
    "meeting": {
        "meeting": ("", (), ("subject",)),
        "time": ("meeting", (), ("day", "hour")),
        "guests": ("meeting", (), ("number",)),
        "room": ("meeting", ("time", "guests"), ("name",)),
        "agenda": ("meeting", (), ("length",)),
        "food": ("room", ("guests",), ("kind",)),
        "invitation": ("meeting", ("time", "room"), ("sent",)),
    },
}


@dataclass(frozen=True)
class Turn:
    """One turn: set a slot to a value, take the last change of a step back, or ask for a slot."""

    kind: str  # set, revert or ask
    step: str
    slot: str = ""
    value: str = ""

    @property
    def text(self) -> str:
        """The turn as a line of a transcript."""
        if self.kind == "set":
            return f"Set {self.slot} of {self.step} to {self.value}."
        return (
            f"Take the last change of {self.step} back."
            if self.kind == "revert"
            else f"What is {self.slot} of {self.step}?"
        )


@dataclass
class Score:
    """How often each memory was right, how large its prompt was by turn, and whether the stale steps were exact."""

    right: dict[str, list[bool]] = field(default_factory=dict)
    tokens: dict[str, list[int]] = field(default_factory=dict)
    wrong: dict[str, list[int]] = field(default_factory=dict)  # values that are read and are not so, by turn
    stale_exact: list[bool] = field(default_factory=list)


def script(name: str, seed: int, turns: int) -> Iterator[Turn]:
    """Yield a dialogue: every slot is filled, then values change, changes are taken back and values are asked for."""
    rng, steps = Random(f"{name} {seed}"), SCENARIOS[name]
    values: dict[str, list[dict[str, str]]] = {step: [{}] for step in steps}

    def put(step: str, slot: str) -> Turn:
        value = f"v{rng.randrange(1000)}"
        while value == values[step][-1].get(slot):
            value = f"v{rng.randrange(1000)}"
        values[step].append({**values[step][-1], slot: value})
        return Turn("set", step, slot, value)

    for step, (_, _, slots) in steps.items():
        for slot in slots:
            yield put(step, slot)
    for _ in range(turns):
        step = rng.choice(list(steps))
        draw = rng.random()
        if draw < 0.35:
            yield put(step, rng.choice(steps[step][2]))
        elif draw < 0.55 and len(values[step]) > len(steps[step][2]) + 1:
            values[step].pop()
            yield Turn("revert", step)
        else:
            yield Turn("ask", step, rng.choice(steps[step][2]))


def play(space: Space, name: str, seed: int, turns: int) -> Score:
    """Play one dialogue to a task's tree and to two transcripts; ask for the whole state after each turn."""
    score, steps = Score(), SCENARIOS[name]
    task = space.task(f"{name} {seed}")
    for step, (parent, needs, _) in steps.items():
        task.add(step, f"The {step}", parent=parent or (), needs=needs)
    truth: dict[str, list[dict[str, str]]] = {step: [{}] for step in steps}
    said: list[Turn] = []
    for turn in script(name, seed, turns):
        said.append(turn)
        before = set(task.stale()) if turn.kind != "ask" else set()
        fresh = turn.kind == "set" and turn.slot not in truth[turn.step][-1]
        _do(task, truth, turn)
        if turn.kind != "ask":
            reached = set() if fresh else _reached(steps, turn.step)
            score.stale_exact.append(set(task.stale()) == (before - {turn.step}) | reached)
        state: dict[str, Any] = {step: past[-1] for step, past in truth.items()}
        short = said[-LAST:]
        read = {
            "task tree": task.state(), "last turns": _read(short, steps), "all turns": _read(said, steps),
            "all turns, taken back too": _read(said, steps, taken_back=True),
        }  # fmt: skip
        prompts = {"task tree": task.prompt(turn.step), "last turns": _lines(short)}
        for memory, found in read.items():
            score.right.setdefault(memory, []).append(found == state)
            wrong = sum(state[step].get(slot) != v for step, slots in found.items() for slot, v in slots.items())
            score.wrong.setdefault(memory, []).append(wrong)
            score.tokens.setdefault(memory, []).append(estimate_tokens(prompts.get(memory) or _lines(said)))
    return score


def _do(task: Task, truth: dict[str, list[dict[str, str]]], turn: Turn) -> None:
    if turn.kind == "set":
        task.set(turn.step, {turn.slot: turn.value})
        truth[turn.step].append({**truth[turn.step][-1], turn.slot: turn.value})
    elif turn.kind == "revert":
        truth[turn.step].pop()
        wanted = truth[turn.step][-1]
        back = next(n for n in reversed(task.history(turn.step)) if n.slots == wanted)
        task.revert(turn.step, back.cube.version if back.cube else None)


def _read(turns: list[Turn], steps: Mapping[str, Any], *, taken_back: bool = False) -> dict[str, dict[str, str]]:
    """Return the state that turns say: the last value of each slot.

    What takes a change back names no value: a reader learns it only if it keeps all earlier values in mind (`taken_back`).
    """
    found: dict[str, list[dict[str, str]]] = {step: [{}] for step in steps}
    for turn in turns:
        if turn.kind == "set":
            found[turn.step].append({**found[turn.step][-1], turn.slot: turn.value})
        elif turn.kind == "revert" and taken_back and len(found[turn.step]) > 1:
            found[turn.step].pop()
    return {step: past[-1] for step, past in found.items()}


def _lines(turns: list[Turn]) -> str:
    return "\n".join(turn.text for turn in turns)


def _reached(steps: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]], name: str) -> set[str]:
    """Return by brute force what depends on a step."""
    found = {name}
    for _ in steps:
        found |= {step for step, (parent, needs, _) in steps.items() if {parent, *needs} & found}
    return found - {name}
