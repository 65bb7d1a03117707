"""What `mnemos bench slots` writes: tables and figures of a result, cells that are kept, spreads over seeds."""

import json

import pytest
import torch

from mnemos.bench.parametric import slots, slots_heads, slots_keys, slots_layers
from mnemos.bench.parametric.facts import make_world
from mnemos.bench.parametric.small_models import Shape, Texts, make_model, recalled
from mnemos.bench.parametric.spread import kept, over_seeds
from mnemos.errors import InvalidInput
from mnemos.registry import get


def test_means_come_with_their_spread_and_constants_without():
    found = over_seeds([{"known": 0.2, "bytes": 8.0}, {"known": 0.4, "bytes": 8.0}], ("bytes",))
    assert found == {"known": 0.3, "known_sd": pytest.approx(0.14142), "bytes": 8.0}
    assert slots.cell("known", found) == "30.0 ± 14.1 %"
    assert slots.cell("bytes", found) == "8"
    assert slots.cell("missing", found) == "–"


def test_a_kept_cell_is_not_made_again(tmp_path):
    made = []
    for _ in range(2):
        assert kept(tmp_path, "layers product keys 0", lambda: made.append(1) or {"known": 1.0}) == {"known": 1.0}
    assert len(made) == 1
    assert kept(None, "x", lambda: {"known": 2.0}) == {"known": 2.0}


def test_a_result_says_of_a_method_what_its_part_found():
    result = {"parts": {"facts": {"memory slots": {"old_lost": 0.05, "old_lost_sd": 0.01}, "LoRA": {"old_lost": 0.9}}}}
    found = slots.figure(result, get("memory-slots", form="parametric"))
    assert (found.text, found.others) == ("loses 5.0 ± 1.0 % of the old facts", {"LoRA": "90.0 %"})
    assert slots.figure(result, get("product-keys", form="parametric")) is None
    assert slots.table("facts", "beside")(result)[1] == ["memory slots", "5.0 ± 1.0 %"]


def test_look_ups_equal_brute_force(monkeypatch):
    monkeypatch.setattr(slots_keys, "TABLES", (8, 16))
    monkeypatch.setattr(slots_keys, "ROUNDS", 1)
    rows = slots_keys.measure(slots.Options(seeds=1))
    assert [row["exact"] for row in rows.values()] == [1.0, 1.0]
    assert list(rows) == ["64", "256"]


def test_a_memory_layer_costs_fewer_multiplications_than_the_block_it_replaces():
    costs = {}
    for name in ("feed-forward", "product keys", "memory layer", "ultramem"):
        shape, blocks = (slots_layers.MODELS | slots_layers.VARIANTS)[name]()
        costs[name] = slots_layers.cost(make_model(shape, 0, blocks).eval())[0]
    block = 3 * 64 * 128  # of one layer, by hand
    assert costs["feed-forward"] == 2 * block
    assert max(costs.values()) == costs["feed-forward"]


def test_a_fact_is_known_when_all_its_tokens_are(monkeypatch):
    texts, facts = Texts(), make_world(2, ["home"]).facts
    model = make_model(Shape(8, 8), 0)
    ids = texts.batch([fact.prompt() + fact.answer for fact in facts])
    says = torch.nn.functional.one_hot(ids.roll(-1, 1), model.config.vocab_size).float()
    says[1, len(texts.ids(facts[1].prompt()))] = 0  # the second token of the second answer
    monkeypatch.setattr(model, "forward", lambda *_, **__: type("Out", (), {"logits": says}))
    assert recalled(model, facts, texts).tolist() == [True, False]


def test_classes_come_one_after_the_other_or_shuffled():
    labels = torch.tensor([0, 1, 2] * 30)
    ordered = torch.cat(list(slots_heads.batches(labels, True, 1, seed=0)))
    assert sorted(ordered.tolist()) == list(range(90))
    assert (labels[ordered].diff() != 0).sum() == 2
    assert (labels[torch.cat(list(slots_heads.batches(labels, False, 1, seed=0)))].diff() != 0).sum() > 20
    with pytest.raises(InvalidInput, match="--mnist"):
        slots_heads.measure(slots.Options())


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    result = {"parts": {"layers": {"a": {"known": 0.5, "known_sd": 0.1}}, "bank": {"b": {"rare": 0.1, "common": 0.2}}}}
    json.dumps(result)
    from mnemos.bench.parametric.slots_plot import plot

    assert plot(result, tmp_path / "x.png").stat().st_size > 1000
