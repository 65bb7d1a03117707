"""`Machine`: stored instructions over an associative memory compute what a simulator does; a changed entry is noticed."""

from datetime import UTC, datetime
from random import Random

import pytest

from mnemos.bench.text.agents_machine import errors, flips_noticed, simulate, stored_program, table, universal
from mnemos.errors import InvalidInput, NotFound, StoreError
from mnemos.text.agent.machine import Machine

T0 = datetime(2025, 3, 1, 12, tzinfo=UTC)


def test_the_universal_machine_runs_as_a_stored_program(space):
    """U15,2, on a tape on which it takes every one of its rules; memory and simulator are equal cell by cell."""
    rng, rules = Random(9), universal()
    start = {at: rng.choice("01") for at in range(-120, 120)}
    assert len(rules) == 29
    state, place, tape = simulate(rules, 600, start)
    machine = stored_program(space, "universal", rules, 600, start)
    assert (machine.get("op"), machine.get("place")) == (state, str(place))
    assert {at: machine.get(f"cell{at}") for at in tape} == tape


def test_a_stored_program_does_what_a_turing_machine_does(space):
    rules = table(3)
    assert errors(space, "first", rules, 1_500) == 0
    stored_program(space, "first", rules, 500)  # goes on where it was
    state, place, tape = simulate(rules, 2_000)
    machine = Machine(space.text, "first")
    assert (machine.get("op"), machine.get("place")) == (state, str(place))
    assert all(machine.get(f"cell{at}") == symbol for at, symbol in tape.items())


def test_a_flipped_entry_is_noticed(space):
    stored_program(space, "m", table(3), 200)
    assert flips_noticed(space, "m", 0, 3) == 3
    cube = next(iter(space.cubes(kind="agent-file", session="m")))
    space.update(cube.id, metadata={**cube.metadata, "value": "x"})
    with pytest.raises(StoreError, match="was changed"):
        Machine(space.text, "m")


def test_it_halts_and_says_what_is_missing(space):
    machine = Machine(space.text, "n")
    machine.put({"op": "a", "a": "Say @{word@{i}}.", "i": "1", "word1": "hello"})
    said = []

    def answer(prompt):
        said.append(prompt)
        return 'i = "@{i}+1" op = "halt"'

    assert machine.run(answer, 5) == 1
    assert (said, machine.get("i")) == (["Say hello."], "2")
    machine.put({"op": "b"})
    with pytest.raises(NotFound, match="no entry 'b'"):
        machine.run(answer, 1)
    machine.put({"b": "?"})
    with pytest.raises(InvalidInput, match="no next instruction"):
        machine.run(lambda prompt: "I do not know.", 1)
