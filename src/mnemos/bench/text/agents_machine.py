"""Turing machines with 15 states and 2 symbols, run by stored instructions over the memory, beside a plain simulator."""

from __future__ import annotations

import re
from random import Random

from mnemos.errors import StoreError
from mnemos.space import Space
from mnemos.text.agent.machine import COUNTER, Machine

STATES = "ABCDEFGHIJKLMNO"
Rule = tuple[str, int, str]  # the symbol to write, where to move, the next state
Table = dict[tuple[str, str], Rule]


def table(seed: int) -> Table:
    """Return a random table of 15 states and 2 symbols that never halts."""
    rng = Random(seed)
    return {(q, s): (rng.choice("01"), rng.choice((-1, 1)), rng.choice(STATES)) for q in STATES for s in "01"}


def simulate(rules: Table, steps: int) -> tuple[str, int, dict[int, str]]:
    """Return state, place and tape after some steps from state A on an empty tape."""
    state, place, tape = "A", 0, dict[int, str]()
    for _ in range(steps):
        tape[place], move, state = rules[state, tape.get(place, "0")]
        place += move
    return state, place, tape


def stored_program(space: Space, name: str, rules: Table, steps: int) -> Machine:
    """Run the same machine by instructions that are stored in the space and a reader with a finite table."""
    machine = Machine(space.text, name)
    if not machine.get(COUNTER, ""):
        machine.put({COUNTER: "A", "place": "0"} | {q: f"State {q} sees @{{cell@{{place}}}}." for q in STATES})

    def answer(prompt: str) -> str:
        state, symbol = re.findall(r"State (\w) sees (\d)\.", prompt)[0]
        write, move, following = rules[state, symbol]
        return f'cell@{{place}} = "{write}" place = "@{{place}}{move:+d}" op = "{following}"'

    machine.run(answer, steps)
    return machine


def errors(space: Space, name: str, rules: Table, steps: int) -> int:
    """Return how many entries of the memory differ from the simulator's after some steps, read back from the store."""
    stored_program(space, name, rules, steps)
    machine = Machine(space.text, name)
    state, place, tape = simulate(rules, steps)
    wrong = sum(machine.get(f"cell{at}", "0") != symbol for at, symbol in tape.items())
    return wrong + (machine.get(COUNTER) != state) + (machine.get("place") != str(place))


def flips_noticed(space: Space, name: str, seed: int, tries: int) -> int:
    """Return how many of some flipped entries are noticed when the memory is read; each is put back."""
    rng, noticed = Random(seed), 0
    cells = [c for c in space.cubes(kind="agent-file", session=name) if str(c.metadata["name"]).startswith("cell")]
    for cube in rng.sample(cells, min(tries, len(cells))):
        value = "1" if cube.metadata["value"] == "0" else "0"
        space.update(cube.id, metadata={**cube.metadata, "value": value})
        try:
            Machine(space.text, name)
        except StoreError:
            noticed += 1
        space.rollback(cube.id, cube.version)
    return noticed
