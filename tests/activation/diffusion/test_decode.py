"""Decoding by blocks: what a step decodes, in which order, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch")

from mnemos.activation.diffusion.base import NoReuse, ReusePolicy, Step
from mnemos.activation.diffusion.cache import DiffusionCache
from mnemos.activation.diffusion.decode import DecodingSchedule, decode
from mnemos.activation.diffusion.model import MaskedLM, Shape
from mnemos.errors import InvalidInput


def by_hand(model, ids, block, tokens):
    """The reference: one row, everything read in every step, the likeliest masks of the block decoded."""
    ids = ids.clone()
    for start in range(14, 30, block):
        while (ids[start : start + block] == model.mask).any():
            sure, token = model(ids[None])[0].softmax(-1).max(-1)
            left = [i for i in range(start, min(start + block, 30)) if ids[i] == model.mask]
            for i in sorted(left, key=lambda i: -sure[i])[:tokens]:
                ids[i] = token[i]
    return ids


@pytest.mark.parametrize(("block", "tokens"), [(16, 1), (8, 3), (5, 2)])
def test_each_row_is_decoded_as_it_would_be_alone_and_by_hand(model, ids, block, tokens):
    found = decode(model, ids, None, DecodingSchedule(block, tokens)).ids
    assert torch.equal(found, torch.stack([by_hand(model, row, block, tokens) for row in ids]))


def test_a_threshold_takes_all_that_are_as_probable_and_else_the_best(model, ids):
    decoded = []

    def watch(step, positions, logits):
        sure = logits.softmax(-1).max(-1).values[0]
        left = [i for i in range(step.start, step.end) if step.masked[0, i]]
        over = {i for i in left if sure[i] >= 0.5}
        decoded.append(over or {max(left, key=lambda i: sure[i])})

    found = decode(model, ids[:1], None, DecodingSchedule(8, threshold=0.5), watch=watch)
    assert sum(map(len, decoded)) == 16
    assert max(map(len, decoded)) > 1
    assert int(found.steps) == len(decoded)


def test_rows_that_need_fewer_steps_are_not_changed_or_counted_by_the_others(model, ids):
    schedule = DecodingSchedule(8, threshold=0.5)
    together = decode(model, ids, NoReuse(), schedule)
    alone = [decode(model, row[None], NoReuse(), schedule) for row in ids]
    assert torch.equal(together.ids, torch.cat([a.ids for a in alone]))
    assert together.steps.tolist() == [int(a.steps) for a in alone]
    assert together.recomputed.tolist() == [int(a.recomputed) for a in alone]
    assert len(set(together.steps.tolist())) > 1


def test_a_drawn_order_is_known_before_the_step_and_kept(model, ids):
    seen = []
    schedule = DecodingSchedule(8, 2, order="random", seed=3)
    one = decode(model, ids, None, schedule, watch=lambda step, *_: seen.append(step))
    for now, after in zip(seen, seen[1:], strict=False):
        assert torch.equal(now.chosen, now.masked & ~after.masked)
        assert torch.equal(after.masked_before, now.masked)
    assert torch.equal(decode(model, ids, None, schedule).ids, one.ids)
    other = decode(
        model, ids, None, DecodingSchedule(8, 2, order="random", seed=4), watch=lambda step, *_: seen.append(step)
    )
    assert not torch.equal(seen[0].chosen, seen[len(seen) // 2].chosen)
    assert other.calls == one.calls == 8


def test_the_input_stays_and_given_tokens_in_the_answer_too(model, ids):
    given = ids.clone()
    given[:, 20] = 7
    before = given.clone()
    found = decode(model, given, None, DecodingSchedule(8)).ids
    assert torch.equal(given, before)
    assert (found[:, 20] == 7).all()
    assert torch.equal(found[:, :14], ids[:, :14])
    assert (found != model.mask).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"block": 0},
        {"tokens": 0},
        {"threshold": 0.0},
        {"threshold": 1.5},
        {"order": "left"},
        {"order": "random", "threshold": 0.9},
    ],
)
def test_bad_schedules_are_refused(settings):
    with pytest.raises(InvalidInput):
        DecodingSchedule(**settings)


def test_nothing_to_decode_is_refused(model, ids):
    with pytest.raises(InvalidInput, match="nothing to decode"):
        decode(model, ids[:, :14])


@dataclass(frozen=True)
class Blind(ReusePolicy):
    """Computes no more than the prompt from the second step on."""

    def recompute(self, step: Step):
        fresh = step.all_positions()
        fresh[:, step.prompt :] = step.first
        return fresh


@dataclass(frozen=True)
class Hasty(ReusePolicy):
    """Computes a part before anything is held."""

    def recompute(self, step: Step):
        return step.in_block()


def test_a_policy_that_leaves_out_what_is_decoded_or_begins_with_a_part_is_refused(model, ids):
    with pytest.raises(InvalidInput, match="does not compute"):
        decode(model, ids, Blind(), DecodingSchedule(8))
    with pytest.raises(InvalidInput, match="first step must compute all"):
        decode(model, ids, Hasty(), DecodingSchedule(8))


def test_a_model_of_no_size_is_refused():
    with pytest.raises(InvalidInput):
        Shape(20, width=15)
    with pytest.raises(InvalidInput):
        Shape(20, layers=0)


def test_a_part_read_through_the_store_sees_the_rest_exactly(model, ids):
    """Padding is written and never read: rows that compute fewer positions than others get the same logits."""
    whole = torch.arange(30).expand(3, -1)
    step = Step(ids, ids == model.mask, ids == model.mask, None, 14, 14, 22, 0, True)
    cache = DiffusionCache(NoReuse())
    cache.start_step(step, whole)
    all_logits = model(ids, whole, cache)
    assert torch.equal(all_logits, model(ids))
    positions = torch.tensor([[3, 15, 29], [0, 20, 30], [9, 30, 30]])  # 30 pads
    cache.start_step(step, positions)
    padded = torch.cat([ids, torch.full((3, 1), model.mask)], 1)
    for _ in range(2):  # the padding of the first call must not be seen by the second
        part = model(padded.gather(1, positions), positions, cache)
        for row, slots in enumerate(positions.tolist()):
            for i, slot in enumerate(slots):
                if slot < 30:
                    torch.testing.assert_close(part[row, i], all_logits[row, slot], atol=1e-5, rtol=1e-5)


def test_positions_count_and_not_only_the_set_of_tokens():
    torch.manual_seed(0)
    model = MaskedLM(Shape(20, hidden=32, width=16, mlp=32)).eval()
    row = torch.randint(0, 20, (1, 10))
    with torch.no_grad():
        assert not torch.allclose(model(row)[0, 9], model(row[:, [1, 0, *range(2, 10)]])[0, 9], atol=1e-6)
