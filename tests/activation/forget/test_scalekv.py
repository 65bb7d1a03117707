"""ScaleKV: roles by measured attention, budgets by roles."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.forget.scalekv import ScaleKV, dispersion, scaled
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.errors import InvalidInput


@torch.no_grad()
def test_a_layer_that_attends_evenly_is_wide_and_one_that_attends_to_little_is_narrow(make_llama):
    model = make_llama(layers=4)
    for layer, factor in zip(model.model.layers, (0.0, 200.0, 0.0, 200.0), strict=True):
        layer.self_attn.q_proj.weight *= factor
    texts = list(torch.randint(3, 99, (2, 60), generator=torch.Generator().manual_seed(2)))
    spread = dispersion(model, texts)
    assert spread[[0, 2]].min() > 0.6
    assert spread[[1, 3]].max() < 0.4
    scale = ScaleKV.of(model, texts, refiner=0.25)
    assert scale == ScaleKV((0, 2), 0.25)
    cache = MemoryCache(model, scaled(0.25, scale, window=4))
    read(model, texts[0][None], cache)
    (wide, *_), (narrow, *_), *others = cache.held
    assert others == [[wide], [narrow]]
    assert 3 * narrow < wide < 4 * narrow + 1
    even = MemoryCache(model, CacheMethod(SnapKV(window=4, kernel=5), prompt=0.25))
    read(model, texts[0][None], even)
    assert 2 * (wide + narrow) == sum(layer[0] for layer in even.held), "shared out, not more"
    with attached(model):
        assert model(torch.tensor([[5]]), past_key_values=cache).logits.isfinite().all()


def test_nonsense_is_refused(llama):
    with pytest.raises(InvalidInput, match="drafter"):
        ScaleKV(())
    with pytest.raises(InvalidInput, match="no text"):
        dispersion(llama, [])
