"""CItruS: an instruction chooses which entries stay, and is removed again."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import attached
from mnemos.activation.forget.citrus import Citrus
from mnemos.bench.kv import tasks
from mnemos.bench.kv.answers import ask
from mnemos.errors import InvalidInput


def test_no_more_than_the_budget_and_a_chunk_is_held(llama, ids, positions):
    reader = Citrus(budget=6, chunk=8, instruction=ids[:, :3])
    cache = reader.read(llama, ids)
    assert cache.held == [[14]] * 3
    assert cache.tokens_read == 40
    assert positions(cache)[0, 0, -8:].tolist() == list(range(32, 40))


def test_the_best_by_the_instruction_stay(llama, ids, positions):
    """One chunk is cut once: what the instruction gives each entry can be computed beside it."""
    instruction = ids[:, :3]
    cache = Citrus(budget=4, chunk=20, instruction=instruction, reindex_positions=False).read(llama, ids)
    llama.set_attn_implementation("eager")
    with torch.no_grad():
        given = llama(torch.cat((ids, instruction), 1), output_attentions=True).attentions[0][:, :, 40:, :20]
    llama.set_attn_implementation("sdpa")
    best = given.mean((1, 2)).topk(4, dim=1).indices.sort(1).values
    assert positions(cache)[0, 0, :4].tolist() == best[0].tolist()


def test_the_text_is_read_as_without_an_instruction_when_there_are_two_caches(llama, ids):
    plain, two = Citrus(6, 8), Citrus(6, 8, ids[:, :3], two=True)
    plain.read(llama, ids)
    cache = two.read(llama, ids)
    assert two.losses == plain.losses
    assert cache.held == [[14]] * 3


@pytest.mark.parametrize("two", [False, True])
def test_an_instruction_keeps_its_answer(small_model, two):
    task = tasks.key_value(8, 64, 8, 5)
    context, question = task.context.repeat_interleave(8, 0), task.questions.flatten(0, 1)
    found = {}
    for name, reader in (("asked", Citrus(8, 8, question, two)), ("chunk", Citrus(8, 8))):
        cache = reader.read(small_model, context)
        with attached(small_model):
            found[name] = float(ask(small_model, cache, question, task.answers.flatten(0, 1)).float().mean())
    assert found["asked"] >= 0.95
    assert found["chunk"] < 0.5


def test_invalid_settings_are_refused(llama, ids):
    for make in (lambda: Citrus(0), lambda: Citrus(4, two=True), lambda: Citrus(4).read(llama, ids[:, :0])):
        with pytest.raises(InvalidInput):
            make()
