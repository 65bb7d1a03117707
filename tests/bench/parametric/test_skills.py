"""The skills that a small transformer learns in turn: each answer is what a person would give."""

import torch

from mnemos.bench.parametric.learning import composition


def drawn(name):
    return composition.SKILLS[name](40, torch.Generator().manual_seed(0))


def test_sums_are_those_of_the_pair():
    x, y = drawn("sums")
    assert [(a + b) % 23 for _, a, b, *_ in x.tolist()] == y.tolist()


def test_the_top_of_the_stack_is_what_was_pushed_and_not_popped():
    x, y = drawn("stacks")
    for row, top in zip(x.tolist(), y.tolist(), strict=True):
        held = []
        for token in row[1:]:
            held.pop() if token == composition.POP else held.append(token)
        assert held[-1] == top


def test_the_most_frequent_number_is_found_and_the_smaller_of_two():
    x, y = drawn("general")
    assert [max(range(6), key=lambda n, row=row: (row[1:].count(n), -n)) for row in x.tolist()] == y.tolist()
