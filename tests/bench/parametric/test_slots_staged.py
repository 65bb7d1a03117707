"""A memory that is switched on later: what the models are made of, and local text."""

import pytest

pytest.importorskip("transformers")

import torch

from mnemos.bench.parametric import slots_staged
from mnemos.bench.parametric.slots_staged import LENGTH, STAGES, WIDTH, active, chain, local, memory_of
from mnemos.bench.parametric.small_models import Texts


def test_local_text_follows_its_chain():
    follow = chain(0)
    text = local(20, torch.Generator().manual_seed(0), follow)
    assert text.shape == (20, LENGTH + 1)
    for row in text.tolist():
        assert row[0] == 1
        for token, successor in zip(row[1:], row[2:], strict=False):
            assert successor - 4 in follow[token - 4].tolist()


@pytest.mark.parametrize("name", STAGES)
def test_all_models_meet_a_token_with_about_as_many_numbers(name):
    stages = tuple((1, on) for _, on in STAGES[name])
    row = slots_staged.one(stages, Texts(), 0.003, 0)
    memory = memory_of(0)
    backbone = sum(p.numel() for p in slots_staged.backbone(WIDTH, 0).parameters())
    assert row["active"] == pytest.approx(backbone + active(memory), rel=0.01)
    assert (row["used"] > 0) == any(on for _, on in stages)
    assert row["parameters"] - row["active"] == (0 if row["used"] == 0 else 1024 * WIDTH - 16 * WIDTH)
