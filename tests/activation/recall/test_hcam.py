"""HCAM: a few chunks read in full are worth a past read whole, and distance does not wear it out."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from mnemos.activation.recall.hcam import HCAM, Past
from mnemos.bench.kv import ballet
from mnemos.errors import InvalidInput


@torch.no_grad()
def test_it_recalls_a_dance_among_four_times_the_distractions_where_an_lstm_does_not(trained_layer):
    models = {name: trained_layer(f"ballet-{name.split()[0]}", build) for name, build in ballet.MODELS.items()}
    score = {name: ballet.score(model, 400, ballet.MORE) for name, model in models.items()}
    assert score["hcam"]["accuracy"] >= 0.85, score
    assert score["hcam"]["accuracy"] >= score["attention to all of the past"]["accuracy"] - 0.02, score
    assert score["lstm"]["accuracy"] < 0.5, score
    assert score["hcam"]["hit_rate"] >= 0.85, score


def test_the_output_is_the_best_chunks_attention_weighted_by_relevance():
    torch.manual_seed(2)
    memory, states = HCAM(8, heads=2, top=2), torch.randn(3, 20, 8)
    query = torch.randn(3, 8)
    found = memory(query, Past.of(states, 5))
    for row in range(3):
        asked = memory.norm(query[row])
        chunks = states[row].view(4, 5, 8)
        logits = torch.stack([memory.sums(c.mean(0)) @ memory.asks(asked) for c in chunks]) * 8**-0.5
        relevance, expected = logits.softmax(0), query[row]
        for i in relevance.topk(2).indices.tolist():
            expected = (
                expected + relevance[i] * memory.inside(asked[None, None], chunks[i][None], chunks[i][None])[0][0, 0]
            )
        assert torch.allclose(found[row], expected, atol=1e-5)


def test_no_gradient_flows_into_the_past_and_absent_chunks_are_not_chosen():
    states = torch.randn(2, 20, 8, requires_grad=True)
    memory = HCAM(8, heads=2, top=1)
    past = Past.of(states, 5)
    memory(torch.randn(2, 8), past).sum().backward()
    assert states.grad is None
    memory(torch.randn(2, 8), Past(past.chunks, torch.tensor([1, 1])))
    assert memory.chosen.tolist() == [[0], [0]]


def test_half_a_chunk_is_refused():
    with pytest.raises(InvalidInput, match="whole chunks"):
        Past.of(torch.randn(1, 7, 8), 5)
