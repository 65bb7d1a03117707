"""Retrieval heads and CompressKV: the scores of heads, and what they are used for."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation.forget.compresskv import CompressKV, ErrorBudgets, layer_errors, semantic_scores, top_heads
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.forget.probe import ablate_heads, attention_probe
from mnemos.activation.forget.retrieval_heads import RetrievalHeads, retrieval_scores
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.method import CacheMethod
from mnemos.bench.kv import tasks
from mnemos.bench.kv.answers import accuracy
from mnemos.errors import InvalidInput


@pytest.fixture(scope="module")
def asked():
    """Contexts, questions, answers, and the positions of the answers and of the whole evidence."""
    task = tasks.records(20, 64, 4, 3)
    positions = task.evidence[:, 0]
    return task.context, task.questions[:, 0], task.answers[:, 0], positions[:, 1:], positions


def test_scores_are_those_of_a_loop(llama, ids):
    context, question, answer = ids[:, :20], ids[:, 20:22], ids[:, 5:8]
    needle = torch.tensor([[5, 6, 7]] * 2)
    llama.set_attn_implementation("eager")
    with torch.no_grad():
        whole = torch.cat((context, question, answer[:, :-1]), 1)
        attention = llama(whole, output_attentions=True).attentions
    llama.set_attn_implementation("sdpa")
    copied = retrieval_scores(llama, context, question, answer, needle)
    mass = semantic_scores(llama, context, question, answer, needle)
    for layer in range(3):
        for head in range(4):
            given = attention[layer][:, head, 21:24]  # the queries from which the three tokens come
            hits = torch.stack([given[:, step].argmax(-1) == needle[:, step] for step in range(3)])
            assert float(copied[layer].flatten()[head]) == pytest.approx(float(hits.float().mean()), abs=1e-6)
            share = given[:, :, 5:8].sum(-1).mean()
            assert float(mass[layer].flatten()[head]) == pytest.approx(float(share), abs=1e-5)


def test_heads_that_copy_are_in_one_layer_and_recall_dies_without_them(small_model, asked):
    scores = retrieval_scores(small_model, *asked[:4])
    assert scores.max() > 0.9
    assert scores[0].max() < 0.1  # the first layer only looks at the token before
    task = tasks.key_value(20, 64, 8, 4)
    with ablate_heads(small_model, scores.flatten(1) > 0.1):
        silenced = accuracy(small_model, task)
    assert silenced < 0.3
    assert accuracy(small_model, task) == 1.0  # the model is as it was


def test_the_heads_that_retrieve_get_the_budget(small_model, answered, asked):
    scores = retrieval_scores(small_model, *asked[:4])
    task = tasks.key_value(20, 64, 8, 4)
    even = answered(small_model, CacheMethod(KeyDiff(), prompt=0.125), task)
    given = answered(
        small_model, CacheMethod(KeyDiff(), prompt=0.125, allocation=RetrievalHeads(scores, least=1)), task
    )
    assert given > even + 0.1
    allocation = RetrievalHeads(torch.tensor([[0.0, 1.0], [0.05, 0.5]]), least=2)
    needs = [allocation.need(type("V", (), {"layer": i, "layers": 2}), None) for i in range(2)]
    assert torch.stack(allocation.counts(needs, 8, 99)).tolist() == [[2, 18], [2, 10]]


def test_top_heads_are_those_of_each_layer():
    scores = torch.tensor([[[0.1, 0.9], [0.5, 0.2]], [[0.3, 0.0], [0.1, 0.2]]])
    assert top_heads(scores, 2).tolist() == [[[False, True], [True, False]], [[True, False], [False, True]]]


def test_compresskv_lets_the_chosen_heads_vote(look, naive):
    view = look(held=130, queries=130, layer=1)
    heads = torch.zeros(3, 2, 2, dtype=torch.bool)
    heads[:, 1, 0] = True
    votes = naive(view)[:, 1, 0, -2:].sum(1)
    score = CompressKV(heads, kernel=1)(view)
    assert torch.allclose(score[:, 0, :128], votes[:, :128] * 1.001, atol=1e-5)
    assert torch.equal(score[:, 0], score[:, 1])


def test_the_error_of_a_layer_is_the_difference_of_attention_over_what_is_kept(llama, ids):
    method = CacheMethod(KeyDiff())
    errors = layer_errors(llama, method, ids[:, :30], ids[:, 30:], 0.5)
    view = attention_probe(llama, ids[:, :30], ids[:, 30:])[1]
    keep = method.keep(KeyDiff()(view), 20)
    full, part = torch.zeros(2, 4, 10, 16), torch.zeros(2, 4, 10, 16)
    weights = view.weights()
    for row in range(2):
        for head in range(4):
            kept = keep[row, head // 2]
            values = view.entries.values[row, head // 2]
            for q in range(10):
                given = weights[row, head // 2, head % 2, q]
                full[row, head, q] = given @ values
                part[row, head, q] = given[kept] @ values[kept] / given[kept].sum()
    assert float(errors[1]) == pytest.approx(float((full - part).norm() / full.norm()), abs=1e-4)
    counts = ErrorBudgets(torch.tensor([1.0, 3.0]), least=0.5).counts([torch.tensor(1.0), torch.tensor(3.0)], 8, 99)
    assert [int(c) for c in counts] == [6, 10]


def test_compresskv_keeps_what_its_heads_need(small_model, answered, asked):
    heads = top_heads(semantic_scores(small_model, *asked[:3], asked[4]), 1)
    task = tasks.records(10, 64, 4, 6).known()
    found = answered(small_model, CacheMethod(CompressKV(heads, kernel=5), prompt=0.075), task)
    others = answered(small_model, CacheMethod(CompressKV(~heads, kernel=5), prompt=0.075), task)
    assert found >= answered(small_model, CacheMethod(SnapKV(kernel=5), prompt=0.075), task)
    assert found > others


def test_heads_of_another_model_are_refused(look):
    with pytest.raises(InvalidInput):
        CompressKV(torch.ones(2, 2, 2, dtype=torch.bool))(look(held=64, queries=64))
    with pytest.raises(InvalidInput):
        CompressKV(torch.zeros(3, 2, 2, dtype=torch.bool))
    with pytest.raises(InvalidInput):
        RetrievalHeads(torch.ones(2, 2)).need(look(), torch.empty(0))
