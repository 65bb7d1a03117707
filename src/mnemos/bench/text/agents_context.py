"""Worlds for working contexts: scripted agents that know only what stands in their prompt.

`inspect_valves`: each step reads a valve (a third of the readings revise an earlier one) among sentences that say nothing, and
then asks for the pressure of any valve read so far. The agent answers with the last reading that its prompt has. `count_along`:
each step gives an order for a register; the agent reads the registers in its prompt, and writes them down again, or keeps them
to itself. `find_for_goal`: most results are of no use for the goal, which names what will be asked at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from mnemos.space import Space
from mnemos.system import Mnemos
from mnemos.text.agent.working import Working
from mnemos.text.compress.base import ContextPolicy, KeepAll
from mnemos.text.recall.context import estimate_tokens, records

START = datetime(2025, 1, 6, 9, tzinfo=UTC)
FULL = 10_000_000  # tokens: everything fits
WORDS = (
    "the north corridor was dry and somebody had left a ladder", "a gull sat on the railing and would not move",
    "the lamp at the gate flickers again", "two painters were at work near the stairs", "the wind came from the sea all day",
    "lunch was late and the coffee was cold", "the radio played the same song three times", "a crate of apples stood in the hall",
    "the porter asked about the holidays", "dust lay on the rail and on the boxes",
)  # fmt: skip


@dataclass
class Trial:
    """What one policy did in one world."""

    tokens: list[int] = field(default_factory=list)  # of the prompt, by step
    right: list[bool] = field(default_factory=list)  # by question
    late: list[bool] = field(default_factory=list)  # of the questions about what was said more than 20 steps ago


@contextmanager
def opened(policy: ContextPolicy, tokens: int) -> Iterator[tuple[Space, Working, list[datetime]]]:
    """Yield a new space, found by words alone, a working context of it, and the clock as a list of one moment."""
    now = [START]
    with (
        TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder="none", clock=lambda: now[0], timezone="UTC") as memory,
    ):
        space = memory.space("agent")
        budget = FULL if isinstance(policy, KeepAll) else tokens
        yield space, space.working("job", tokens=budget, policy=policy), now


def step(context: Working, now: list[datetime], text: str, **more: Any) -> None:
    """Add what the agent saw or thought, a minute later."""
    now[0] += timedelta(minutes=1)
    context.add(text, reconcile=False, **more)


def inspect_valves(policy: ContextPolicy, seed: int, steps: int, valves: int, tokens: int) -> Trial:
    """Read valves and answer questions about them; see the module."""
    rng, trial = Random(seed), Trial()
    known: dict[int, tuple[str, int]] = {}
    with opened(policy, tokens) as (_, context, now):
        step(context, now, "The task: keep track of the pressure of every valve.", pin=True)
        for i in range(steps):
            again = bool(known) and (len(known) == valves or rng.random() < 1 / 3)
            valve = rng.choice(list(known) if again else [v for v in range(valves) if v not in known])
            known[valve] = str(rng.randrange(100, 1000)), i
            filler = ", ".join(rng.sample(WORDS, 3))
            step(context, now, f"Valve {valve} pressure: {known[valve][0]}. {filler.capitalize()}.")
            asked = rng.choice(list(known))
            prompt = context.prompt(f"What is the pressure of valve {asked}?")
            trial.tokens.append(estimate_tokens(prompt))
            right = _last(prompt, rf"valve {asked} pressure: (\d+)") == known[asked][0]
            trial.right.append(right)
            if i - known[asked][1] > 20:
                trial.late.append(right)
    return trial


def count_along(policy: ContextPolicy, seed: int, steps: int, tokens: int, *, writes: bool) -> Trial:
    """Keep four registers in mind over many orders; see the module."""
    rng, trial = Random(seed), Trial()
    truth = dict.fromkeys("abcd", 0)
    with opened(policy, tokens) as (_, context, now):
        step(context, now, "The task: carry out orders on the registers a, b, c and d, which are 0 at first.", pin=True)
        for _ in range(steps):
            name, other, number = rng.choice("abcd"), rng.choice("abcd"), rng.randrange(1, 90)
            copies = rng.random() < 0.2
            order = f"Order: set {name} to {other}." if copies else f"Order: add {number} to {name}."
            truth[name] = truth[other] if copies else (truth[name] + number) % 997
            step(context, now, f"{order} {rng.choice(WORDS).capitalize()}.")
            prompt = context.prompt("Which orders and which registers are there?")
            trial.tokens.append(estimate_tokens(prompt))
            known = _carried_out(prompt)
            trial.right.append(known == truth)
            if writes:
                step(context, now, "Registers: " + ", ".join(f"{r} is {v}" for r, v in known.items()) + ".")
    return trial


def _carried_out(prompt: str) -> dict[str, int]:
    """Return the registers that follow from the last ones in a prompt and the orders after them, or from 0 and all orders."""
    texts = [record.text for record in records(prompt)] if prompt else []
    found = dict.fromkeys("abcd", 0)
    for text in texts:
        if "Registers:" in text:
            found |= {name: int(value) for name, value in re.findall(r"([abcd]) is (\d+)", text)}
        for name, value in re.findall(r"set ([abcd]) to ([abcd])\.", text):
            found[name] = found[value]
        for number, name in re.findall(r"add (\d+) to ([abcd])\.", text):
            found[name] = (found[name] + int(number)) % 997
    return found


@dataclass(frozen=True)
class Depots:
    """A goal that names what is asked at the end, and the results that come in, most of them of no use for it."""

    goal: str
    texts: list[str]
    wanted: dict[str, str]  # what is asked -> the answer

    @staticmethod
    def draw(seed: int, steps: int) -> Depots:
        """Draw a world of `steps` results, of which 8 are wanted; two of these are corrected later."""
        rng = Random(seed)
        names = rng.sample(range(400), steps - 2)
        places = sorted(rng.sample(range(steps - 2), 8))
        wanted = [names[i] for i in places]
        names += rng.sample(wanted[:4], 2)
        values: dict[str, str] = {}
        texts = []
        for name in names:
            values[f"depot{name} holds"] = value = str(rng.randrange(100, 1000))
            filler = ", ".join(rng.sample(WORDS, rng.choice((1, 3, 5))))
            texts.append(f"Depot{name} holds {value} crates, {filler}.")
        goal = "The task: report the stock of " + " and ".join(f"depot{name}" for name in wanted) + "."
        return Depots(goal, texts, {key: values[key] for key in (f"depot{name} holds" for name in wanted)})


def find_for_goal(policy: ContextPolicy, seed: int, steps: int, tokens: int) -> Trial:
    """Collect what a goal names among results of no use, and answer for all of it at the end; see the module."""
    world, trial = Depots.draw(seed, steps), Trial()
    with opened(policy, tokens) as (_, context, now):
        step(context, now, world.goal, pin=True)
        for text in world.texts:
            step(context, now, text)
            trial.tokens.append(sum(item.tokens for item in context.items()))
        prompt = context.prompt("What are the stocks?", fetch=0)
        trial.right += [_last(prompt, rf"{key} (\d+)") == value for key, value in world.wanted.items()]
    return trial


def _last(prompt: str, pattern: str) -> str | None:
    found = re.findall(pattern, prompt, re.IGNORECASE)
    return found[-1] if found else None
