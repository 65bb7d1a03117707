"""KVMerger: runs, pivots and weights, against loops."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn.functional import cosine_similarity

from mnemos.activation.consolidate.kvmerger import Runs
from mnemos.activation.forget.h2o import H2O
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput


def runs(keys, score, count, exempt):
    """Link neighbours, the most alike first, until `count` runs of (T, D) keys are left; exempt ones last."""
    alone = set(score.topk(int(exempt * count)).indices.tolist())
    like = [(-2.0 if {i, i + 1} & alone else float(cosine_similarity(keys[i], keys[i + 1], dim=0)), i)
            for i in range(len(keys) - 1)]  # fmt: skip
    linked = {i for _, i in sorted(like, reverse=True)[: len(keys) - count]}
    found = [[0]]
    for i in range(1, len(keys)):
        if i - 1 in linked:
            found[-1].append(i)
        else:
            found.append([i])
    return found, alone


@pytest.mark.parametrize("weigh", ["gauss", "mean"])
@pytest.mark.parametrize("count", [3, 6, 11])
def test_runs_are_merged_round_the_entry_that_scores_most(look, chosen, count, weigh):
    view, (keep, score) = look(), chosen(count=count)
    found = Runs(weigh=weigh)(view, keep, score)
    assert len(found) == count
    for b in range(2):
        for h in range(2):
            keys, values = view.entries.keys[b, h], view.entries.values[b, h]
            parts, alone = runs(keys, score[b, h], count, 0.4)
            for at, part in enumerate(parts):
                assert len(part) == 1 or not alone & set(part)
                pivot = max(part, key=lambda i, b=b, h=h: float(score[b, h, i]))
                far = [float((keys[i] - keys[pivot]).norm()) for i in part]
                sigma = sum(far) / len(far)
                g = [math.exp(-(d**2) / (2 * sigma**2)) if sigma and weigh == "gauss" else 1.0 for d in far]
                for all_, merged in ((keys, found.keys), (values, found.values)):
                    expected = sum(w * all_[i] for w, i in zip(g, part, strict=True)) / sum(g)
                    assert torch.allclose(merged[b, h, at], expected, atol=1e-5)
                assert int(found.position_ids[b, h, at]) == pivot


def test_padding_is_merged_with_padding_first(look, chosen):
    valid = torch.ones(2, 2, 12, dtype=torch.bool)
    valid[0, :, :4] = False
    view, (keep, score) = look(valid=valid), chosen(count=8)
    score[0, :, :4] = -1.0
    found = Runs()(view, keep, score)
    assert found.valid[0].sum(1).tolist() == [7, 7]
    assert found.position_ids[0, :, 0].tolist() == [0, 0]


def test_invalid_options_are_refused():
    for given in ({"exempt": 0.5}, {"weigh": "all"}):
        with pytest.raises(InvalidInput):
            Runs(**given)


@pytest.mark.parametrize("share", [0.5, 0.35])
def test_more_is_answered_than_by_eviction_with_the_same_score(small_model, answered, share):
    task = tasks.key_value(25, 64, 8, seed=37)
    assert answered(small_model, Runs.at_share(share), task) > answered(small_model, H2O.at_share(share), task)
