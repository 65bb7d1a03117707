"""Turing machines with 15 states and 2 symbols, run by stored instructions over the memory, beside a plain simulator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from mnemos.errors import StoreError
from mnemos.space import Space
from mnemos.text.agent.machine import COUNTER, Machine

STATES = "ABCDEFGHIJKLMNO"
Rule = tuple[str, int, str]  # the symbol to write, where to move, the next state
Table = dict[tuple[str, str], Rule]


# The universal machine U15,2 (Neary & Woods 2009, table 16): by state what is done at 0 and at 1; the one missing rule halts.
UNIVERSAL = """
A 0+B 1+A|B 1+C 1+A|C 0-G 0-E|D 0-F 1-E|E 1+A 1-D|F 1-D 1-D|G 0-H 1-G|H 1-I 1-G
I 0+A 1-J|J 1-K|K 0+L 1+N|L 0+M 1+L|M 0-B 1+L|N 0-C 0+O|O 0+N 1+N
"""


def universal() -> Table:
    """Return the 29 rules of the universal machine U15,2."""
    rows = [row.split() for row in UNIVERSAL.replace("|", "\n").split("\n") if row]
    return {(q, s): (x[0], int(f"{x[1]}1"), x[2]) for q, *found in rows for s, x in zip("01", found, strict=False)}


def table(seed: int) -> Table:
    """Return a random table of 15 states and 2 symbols that never halts."""
    rng = Random(seed)
    return {(q, s): (rng.choice("01"), rng.choice((-1, 1)), rng.choice(STATES)) for q in STATES for s in "01"}


def simulate(rules: Table, steps: int, start: Mapping[int, str] | None = None) -> tuple[str, int, dict[int, str]]:
    """Return state, place and tape after some steps from state A at place 0 of a tape, which is empty by default."""
    state, place, tape = "A", 0, dict(start or {})
    for _ in range(steps):
        tape[place], move, state = rules[state, tape.get(place, "0")]
        place += move
    return state, place, tape


def stored_program(
    space: Space, name: str, rules: Table, steps: int, start: Mapping[int, str] | None = None
) -> Machine:
    """Run the same machine by instructions that are stored in the space and a reader with a finite table."""
    machine = Machine(space.text, name)
    if not machine.get(COUNTER, ""):
        program = {q: f"State {q} sees @{{cell@{{place}}}}." for q in STATES}
        machine.put({COUNTER: "A", "place": "0"} | program | {f"cell{at}": s for at, s in (start or {}).items()})

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
