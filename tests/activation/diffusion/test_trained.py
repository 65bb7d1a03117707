"""The papers' claims on the trained model: caches lose little, the delay matters, sparse entries are the right ones."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from mnemos.activation.diffusion.base import NoReuse
from mnemos.activation.diffusion.decode import DecodingSchedule, decode
from mnemos.activation.diffusion.dkv import DkvDecode
from mnemos.activation.diffusion.fast_dllm import FastDllm, parallel
from mnemos.activation.diffusion.sparse_dllm import SparseDllm
from mnemos.bench.kv.diffusion_policies import NearestEntries, RandomEntries, likeness
from mnemos.bench.kv.masked_lm import ANSWER, BLOCK, PROMPT, right, texts


@pytest.fixture(scope="module")
def asked(small_masked):
    """Sixty prompts with masks after them, and how they are completed without a cache."""
    ids = torch.cat([texts(60, seed=9)[0], torch.full((60, ANSWER), small_masked.model.mask)], 1)
    return ids, decode(small_masked.model, ids, NoReuse(), DecodingSchedule(BLOCK))


def accuracy(found):
    return right(found.ids[:, :PROMPT], found.ids[:, PROMPT:]).float().mean().item()


def agreement(found, plain):
    return (found.ids == plain.ids)[:, PROMPT:].float().mean().item()


def test_without_a_cache_the_answers_are_right(asked):
    assert accuracy(asked[1]) >= 0.99


@pytest.mark.parametrize("policy", [FastDllm(), FastDllm(dual=False), DkvDecode()], ids=str)
def test_caches_halve_the_work_and_answer_alike(small_masked, asked, policy):
    ids, plain = asked
    found = decode(small_masked.model, ids, policy, DecodingSchedule(BLOCK))
    assert (2 * found.recomputed <= plain.recomputed).all()
    assert agreement(found, plain) > 0.95


def test_the_delay_is_worth_more_than_the_positions_it_costs(small_masked, asked):
    ids, plain = asked
    delayed = decode(small_masked.model, ids, DkvDecode(refresh=8), DecodingSchedule(BLOCK))
    immediate = decode(small_masked.model, ids, DkvDecode(refresh=7, delay=False), DecodingSchedule(BLOCK))
    assert (immediate.recomputed >= delayed.recomputed).all()
    assert accuracy(delayed) > accuracy(immediate) + 0.05
    assert agreement(delayed, plain) > agreement(immediate, plain) + 0.05


def test_half_of_the_entries_suffice_if_attention_chooses_them(small_masked, asked):
    ids, plain = asked
    sparse, random, nearest = (
        decode(small_masked.model, ids, p, DecodingSchedule(BLOCK))
        for p in (SparseDllm(), RandomEntries(), NearestEntries())
    )
    assert sparse.attended == random.attended == nearest.attended < plain.attended / 2
    assert agreement(sparse, plain) > 0.95
    assert accuracy(sparse) > max(accuracy(random), accuracy(nearest)) + 0.05


def test_a_threshold_decodes_several_tokens_a_step_and_loses_little(small_masked, asked):
    ids, plain = asked
    sure = decode(small_masked.model, ids, FastDllm(), parallel(block=BLOCK))
    assert sure.steps.float().mean() < 0.7 * ANSWER
    assert agreement(sure, plain) > 0.95


def test_keys_and_values_are_alike_from_step_to_step_and_least_where_a_token_was_decoded(small_masked, asked):
    found = likeness(small_masked.model, asked[0][:10, :PROMPT])
    assert found["around"] > 0.95
    assert found["just decoded"] < min(found["decoded"], found["masked"])
