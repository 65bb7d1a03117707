"""Fast-dLLM, dKV-Cache and Sparse-dLLM: exact without reuse, and what they compute, read and hold with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch")

from mnemos.activation.diffusion.base import NoReuse, ReusePolicy, Step
from mnemos.activation.diffusion.cache import DiffusionCache
from mnemos.activation.diffusion.decode import DecodingSchedule, decode
from mnemos.activation.diffusion.dkv import DkvDecode, DkvGreedy, shifted
from mnemos.activation.diffusion.fast_dllm import FastDllm, parallel
from mnemos.activation.diffusion.sparse_dllm import SparseDllm
from mnemos.errors import InvalidInput

PROMPT, LENGTH, BLOCK = 14, 30, 8  # two blocks of 8


def logits_of(model, ids, policy, schedule):
    """What the model says in each step about what it may decode, by step."""
    seen = []

    def watch(step: Step, positions, logits):
        full = torch.full((*ids.shape, logits.shape[-1]), float("nan"), dtype=logits.dtype)
        for row, slots in enumerate(positions.tolist()):
            for i, slot in enumerate(slots):
                if slot < LENGTH:
                    full[row, slot] = logits[row, i]
        seen.append(full[:, step.start : step.end])

    return decode(model, ids, policy, schedule, watch=watch), seen


@pytest.mark.parametrize(
    ("policy", "schedule"),
    [
        (NoReuse(), DecodingSchedule(BLOCK)),
        (NoReuse(), DecodingSchedule(BLOCK, threshold=0.5)),
        (DkvDecode(refresh=1), DecodingSchedule(BLOCK)),
        (DkvDecode(refresh=1, delay=False), DecodingSchedule(BLOCK, 3)),
        (DkvGreedy(refresh=1), DecodingSchedule(BLOCK, order="random")),
        (FastDllm(), DecodingSchedule(1)),  # a block of one token is read again each time
        (FastDllm(dual=False), DecodingSchedule(BLOCK, BLOCK)),
        (SparseDllm(delay=7), DecodingSchedule(BLOCK)),  # nothing is evicted before the last step
    ],
    ids=str,
)
def test_a_cache_that_is_refreshed_in_every_step_is_no_cache(model, ids, policy, schedule):
    plain, expected = logits_of(model, ids, None, schedule)
    cached, found = logits_of(model, ids, policy, schedule)
    assert torch.equal(cached.ids, plain.ids)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("policy", "schedule"),
    [
        (FastDllm(), DecodingSchedule(BLOCK)),
        (FastDllm(dual=False), DecodingSchedule(BLOCK)),
        (DkvDecode(), DecodingSchedule(BLOCK)),
        (DkvDecode(delay=False), DecodingSchedule(BLOCK)),
        (DkvDecode(prompt=False), DecodingSchedule(BLOCK)),
        (DkvGreedy(), DecodingSchedule(BLOCK, order="random")),
        (SparseDllm(), DecodingSchedule(BLOCK)),
    ],
    ids=str,
)
def test_reuse_is_no_silent_no_op_and_the_same_each_time(model, ids, policy, schedule):
    plain = decode(model, ids, None, schedule)
    cached, found = logits_of(model, ids, policy, schedule)
    again, same = logits_of(model, ids, policy, schedule)
    assert torch.equal(cached.ids, again.ids)
    assert all(torch.equal(a.nan_to_num(0), b.nan_to_num(0)) for a, b in zip(found, same, strict=True))
    assert (cached.recomputed < plain.recomputed).all()
    assert cached.attended < decode(model, ids, NoReuse(), schedule).attended
    _, expected = logits_of(model, ids, None, schedule)
    assert any((a - b).abs().nan_to_num(0).max() > 1e-3 for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("tokens", [1, 2, 3])
@pytest.mark.parametrize("refresh", [2, 3, 8])
def test_delayed_caching_computes_what_was_masked_one_step_before(model, ids, refresh, tokens):
    """The closed form: T on every N-th step of a block, else all masks but those decoded up to the step before last."""
    steps = -(-BLOCK // tokens)
    for delay in (True, False):
        expected = 0
        for block in range(2):
            masks = LENGTH - PROMPT - block * BLOCK
            for t in range(steps):
                expected += LENGTH if t % refresh == 0 else masks - tokens * (t - delay)
        found = decode(model, ids, DkvDecode(refresh, delay), DecodingSchedule(BLOCK, tokens))
        assert found.recomputed.tolist() == [expected] * 3
        assert found.attended == 3 * expected * LENGTH * 3  # rows, layers


def test_the_prompt_is_read_once_by_dkv_cache_pd(model, ids):
    reads = Counter()
    decode(
        model,
        ids,
        DkvDecode(2, prompt=False),
        DecodingSchedule(BLOCK),
        watch=lambda _, positions, __: reads.update(positions[0].tolist()),
    )
    assert [reads[slot] for slot in range(PROMPT)] == [1] * PROMPT
    assert min(reads[slot] for slot in range(PROMPT, LENGTH)) > 1


@pytest.mark.parametrize("dual", [True, False])
def test_fast_computes_all_once_a_block_and_then_the_block(model, ids, dual):
    after = [0, 0] if dual else [BLOCK, 0]  # slots after the block
    expected = sum(LENGTH + (BLOCK - 1) * (BLOCK + rest) for rest in after)
    assert decode(model, ids, FastDllm(dual), DecodingSchedule(BLOCK)).recomputed.tolist() == [expected] * 3


def test_sparse_computes_all_twice_a_block_and_holds_half_of_what_is_around(model, ids):
    found = decode(model, ids, SparseDllm(), DecodingSchedule(BLOCK))
    assert found.recomputed.tolist() == [2 * (2 * LENGTH + (BLOCK - 2) * BLOCK)] * 3
    entries = int(0.5 * (LENGTH - BLOCK)) + BLOCK
    assert found.attended == 3 * 3 * 2 * (2 * LENGTH * LENGTH + (BLOCK - 2) * BLOCK * entries)


def test_what_sparse_evicts_is_freed(model, ids):
    held = {}
    for keep in (1.0, 0.5, 0.1):
        step = Step(ids, ids == model.mask, ids == model.mask, None, PROMPT, 14, 22, 1, False)
        cache = DiffusionCache(SparseDllm(keep))
        cache.start_step(step, torch.arange(LENGTH).expand(3, -1))
        model(ids, torch.arange(LENGTH).expand(3, -1), cache)
        held[keep] = cache.nbytes
    for keep, nbytes in held.items():
        entries = int(keep * (LENGTH - BLOCK)) + BLOCK + 1  # one for padding
        assert nbytes == 3 * 3 * 2 * 2 * entries * 16 * 8  # rows, layers, keys and values, heads, entries, width, bytes


@pytest.mark.parametrize("softmax", [True, False])
def test_sparse_keeps_the_neighbourhoods_that_the_block_attends_to(ids, softmax):
    """By hand: scores by loops over heads and queries, the block cut out, the maximum of three, the best half."""
    rng = torch.Generator().manual_seed(2)
    query, key = torch.randn(2, 3, 2, LENGTH, 16, generator=rng, dtype=torch.float64)
    masked = torch.zeros(3, LENGTH, dtype=torch.bool)
    step = Step(ids, masked, masked, None, PROMPT, 14, 22, 1, False)
    found = SparseDllm(softmax=softmax).retain(step, 0, query, key)
    around = [*range(14), *range(22, 30)]
    for row in range(3):
        score = [0.0] * LENGTH
        for head in range(2):
            for q in range(14, 22):
                products = torch.stack([query[row, head, q] @ key[row, head, slot] / 4 for slot in range(LENGTH)])
                weights = products.exp() / products.exp().sum() if softmax else products
                score = [a + float(b) / 16 for a, b in zip(score, weights, strict=True)]
        outside = [score[slot] for slot in around]
        pooled = [max(outside[max(0, i - 1) : i + 2]) for i in range(len(around))]
        # neighbours share a maximum, so that the best half is only determined up to those that tie
        kept = [pooled[around.index(slot)] for slot in found[row].tolist()]
        assert sorted(kept) == pytest.approx(sorted(pooled)[-11:], abs=1e-9)
        assert found[row].tolist() == sorted(set(found[row].tolist()))


def test_all_kept_and_no_delay_is_the_dual_cache(model, ids):
    (sparse, a), (fast, b) = (
        logits_of(model, ids, p, DecodingSchedule(BLOCK)) for p in (SparseDllm(1.0, delay=0), FastDllm())
    )
    assert torch.equal(sparse.ids, fast.ids)
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@dataclass(frozen=True)
class Watched(ReusePolicy):
    """Another policy, and a note of which token each reused entry was computed from."""

    inner: ReusePolicy
    source: torch.Tensor  # (B, T) ids that the held entries come from
    stale: list

    def recompute(self, step: Step):
        fresh = self.inner.recompute(step)
        self.source[fresh] = step.ids[fresh]
        self.stale.append(int((self.source != step.ids).sum()))
        return fresh


@pytest.mark.parametrize("settings", [{}, {"tokens": 3}, {"threshold": 0.5}], ids=str)
def test_delayed_caching_never_reads_the_entry_of_a_mask_for_a_token(model, ids, settings):
    schedule = DecodingSchedule(BLOCK, **settings)
    for policy in (DkvDecode(), DkvDecode(100), DkvDecode(prompt=False)):
        watched = Watched(policy, ids.clone(), [])
        decode(model, ids, watched, schedule)
        assert set(watched.stale) == {0}
    watched = Watched(DkvDecode(delay=False), ids.clone(), [])
    decode(model, ids, watched, schedule)
    assert max(watched.stale) > 0


def test_greedy_computes_what_is_decoded_now_and_before_and_the_window(model, ids):
    seen = []
    policy = DkvGreedy(refresh=100, window=3)
    decode(
        model,
        ids[:1],
        policy,
        DecodingSchedule(BLOCK, order="random"),
        watch=lambda step, positions, _: seen.append((step, positions)),
    )
    for (step, positions), (last, _) in zip(seen[1:], seen, strict=False):
        if step.number:
            (before,), (now,) = last.chosen[0].nonzero().flatten().tolist(), step.chosen[0].nonzero().flatten().tolist()
            around = {i for i in range(before - 2, before + 2) if i < LENGTH}  # ⌈3/2⌉ before, ⌊3/2⌋ after
            assert set(positions[0].tolist()) == around | {now}


def test_greedy_without_a_known_order_is_refused(model, ids):
    with pytest.raises(InvalidInput, match="order='random'"):
        decode(model, ids, DkvGreedy(), DecodingSchedule(BLOCK))


def test_marks_that_are_moved_out_of_the_sequence_are_lost():
    marks = torch.tensor([[True, False, False, True]])
    assert shifted(marks, 1).tolist() == [[False, True, False, False]]
    assert shifted(marks, -1).tolist() == [[False, False, True, False]]
    assert shifted(marks, 0).tolist() == marks.tolist()


@pytest.mark.parametrize(
    "make",
    [
        lambda: DkvDecode(refresh=0), lambda: DkvGreedy(refresh=0), lambda: DkvGreedy(window=-1),
        lambda: SparseDllm(keep=0.0), lambda: SparseDllm(keep=1.1), lambda: SparseDllm(kernel=2),
        lambda: SparseDllm(kernel=0), lambda: SparseDllm(delay=-1),
        lambda: parallel(0.0),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(make):
    with pytest.raises(InvalidInput):
        make()


def test_the_paper_s_settings_are_the_defaults_and_the_methods_registered():
    from mnemos import registry

    assert (DkvDecode().refresh, DkvGreedy().refresh, DkvGreedy().window) == (8, 2, 4)
    assert (SparseDllm().keep, SparseDllm().kernel, SparseDllm().delay) == (0.5, 3, 1)
    assert parallel() == DecodingSchedule(block=32, threshold=0.9)
    expected = {
        "dkv-decode": "2505.15781", "dkv-greedy": "2505.15781", "fast-dllm": "2505.22618", "sparse-dllm": "2508.02558"
    }  # fmt: skip
    assert {name: registry.get(name).papers[0].arxiv for name in expected} == expected
