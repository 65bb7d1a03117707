"""Calibrated heads as a file: what comes with Mnemos, a round trip, damage, and other models."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod
from mnemos.activation.forget.calibrated import SHIPPED, Calibration
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.errors import InvalidInput, StoreCorrupt


def test_the_heads_of_smollm2_are_few_and_the_same_ones_retrieve_and_attend():
    found = Calibration.load("smollm2")
    assert found.retrieval.shape == found.semantic.shape == (30, 3, 3)
    assert found.errors.shape == (30,)
    assert 0 < float((found.retrieval > 0.1).float().mean()) < 0.15  # few, as the paper says
    best = found.retrieval.flatten().topk(10).indices
    assert float(found.semantic.flatten()[best].mean()) > 3 * float(found.semantic.mean())
    assert SHIPPED["smollm2"].stat().st_size < 10_000


def test_a_file_comes_back_as_it_was_and_a_damaged_one_is_refused(tmp_path):
    rng = torch.Generator().manual_seed(1)
    made = Calibration(torch.rand(3, 2, 2, generator=rng), torch.rand(3, 2, 2, generator=rng), torch.rand(3), "a test")
    made.save(tmp_path / "heads.json")
    back = Calibration.load(tmp_path / "heads.json")
    for name in ("retrieval", "semantic", "errors"):
        assert torch.allclose(getattr(back, name), getattr(made, name), atol=1e-4)
    assert back.found_on == "a test"
    (tmp_path / "heads.json").write_text('{"retrieval": [1, 2]}')
    with pytest.raises(StoreCorrupt, match="fit it again"):
        Calibration.load(tmp_path / "heads.json")
    with pytest.raises(InvalidInput, match="smollm2"):
        Calibration.load("smollm3")


def test_heads_that_retrieve_hold_the_budget_and_another_model_is_refused(llama, ids, read_in):
    scores = torch.zeros(3, 2, 2)
    scores[1, 0, 1] = 0.9
    found = Calibration(scores, torch.rand(3, 2, 2), torch.tensor([0.1, 0.2, 0.7]), "a test")
    cache, _ = read_in(llama, CacheMethod(SnapKV(), prompt=10, allocation=found.heads()), ids, (40,))
    assert max(cache.held[1]) == 40
    assert cache.held[0] == [4]
    cache, _ = read_in(llama, CacheMethod(found.votes(2), prompt=10, allocation=found.budgets()), ids, (40,))
    assert [held for (held,) in cache.held] == sorted(held for (held,) in cache.held)
    assert sum(held for (held,) in cache.held) == 30
    with pytest.raises(InvalidInput, match="layers"):
        read_in(llama, CacheMethod(SnapKV(), prompt=10, allocation=Calibration.load("smollm2").heads()), ids, (40,))
