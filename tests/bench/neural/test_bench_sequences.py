"""The generated sequence tasks: what is asked has one right answer, and it is the one that is given."""

import pytest
import torch

from mnemos.bench.neural.sequences import Copying, Parity, Recall, Words, seeded
from mnemos.neural.training import UNASKED


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("task", [Recall(), Recall(length=96, pairs=16), Recall(changed=5)], ids=["8", "16", "changed"])
def test_a_value_is_the_last_that_its_key_was_told(task):
    batch = task(20, rng())
    told = 2 * (task.pairs + task.changed)
    for row, wanted, first in zip(
        batch.inputs.tolist(), batch.targets.tolist(), task.first(batch).tolist(), strict=True
    ):
        held, begun = {}, {}
        for key, value in zip(row[:told:2], row[1:told:2], strict=True):
            assert 0 < key < 128 <= value < 256
            begun.setdefault(key, value)
            held[key] = value
        assert len(held) == task.pairs
        asked = [(place, token) for place, token in enumerate(row) if place >= told and token]
        assert sorted(token for _, token in asked) == sorted(held)
        assert wanted == [held.get(token, UNASKED) if (p, token) in asked else UNASKED for p, token in enumerate(row)]
        changed = [(p, begun[t]) for p, t in asked if begun[t] != held[t]]
        assert [(p, v) for p, v in enumerate(first) if v != UNASKED] == changed
        assert len(changed) == task.changed


@pytest.mark.parametrize("selective", [False, True])
def test_what_was_shown_is_to_be_said_in_its_order(selective):
    task = Copying(blanks=20, marks=5, selective=selective)
    for row, wanted in zip(*(t.tolist() for t in task(10, rng())), strict=True):
        shown = [token for token in row[:25] if token]
        assert len(shown) == 5
        assert row[25:] == [1] * 5
        assert wanted == [UNASKED] * 25 + shown
        assert selective or row[:5] == shown


def test_parity_counts_the_ones():
    batch = Parity(shortest=7, longest=7)(10, rng())
    for row, wanted in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert wanted == [1 + sum(token - 1 for token in row[: t + 1]) % 2 for t in range(7)]


@pytest.mark.parametrize("elements", [3, 5])
def test_words_are_what_their_permutations_make_together(elements):
    task = Words(elements, shortest=6, longest=6)
    group, batch = task.table().tolist(), task(10, rng())
    assert task.vocabulary == 1 + len(group)
    for row, wanted in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        things = list(range(elements))
        for token, said in zip(row, wanted, strict=True):
            things = [group[token - 1][thing] for thing in things]
            assert group[said - 1] == things


def test_the_same_step_draws_the_same_batch():
    draw = seeded(Recall(), 4, seed=1)
    assert torch.equal(draw(3).inputs, draw(3).inputs)
    assert not torch.equal(draw(3).inputs, draw(4).inputs)
    assert not torch.equal(draw(3).inputs, seeded(Recall(), 4, seed=2)(3).inputs)
