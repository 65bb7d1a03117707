"""Layers that keep chosen tokens, pass over others, or mix them before a state space layer reads them."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.model import LM
from mnemos.neural.statespace import pool
from mnemos.neural.statespace.bmojo import BMojo
from mnemos.neural.statespace.chimera import Chimera
from mnemos.neural.statespace.long_mamba import LongMamba
from mnemos.neural.statespace.mamba import Mamba
from mnemos.neural.statespace.mem_mamba import MemMamba
from mnemos.neural.statespace.mimetic import mimetic
from mnemos.neural.statespace.replay import StateMemoryReplay
from mnemos.neural.statespace.s4d import S4D


def tokens(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_pool_holds_the_best_up_to_each_token():
    places, worth = 3, torch.randint(-1, 6, (4, 15), generator=torch.Generator().manual_seed(0)).double()
    until = torch.arange(places - 1, 15)
    found = pool.held(worth, places, until)
    for row in range(4):
        for t, last in enumerate(until.tolist()):
            ranked = sorted(range(last + 1), key=lambda i: (-worth[row, i], i))[:places]
            assert found[row, t].nonzero().flatten().tolist() == sorted(i for i in ranked if worth[row, i] >= 0)
    offered = [worth[:, :places]]
    for t in range(places, 15):
        offered = pool.offer(offered, [worth[:, t : t + 1]])
    torch.testing.assert_close(offered[0], pool.take(worth, pool.kept(worth, places)))


@pytest.mark.parametrize("choice", ["innovation", "newest", "random"])
def test_every_choice_of_the_store_is_the_formula(choice, monkeypatch):
    monkeypatch.setattr(pool, "CHUNK", 12)
    torch.manual_seed(0)
    layer = BMojo(4, window=3, store=4, heads=2, choice=choice, fading=choice != "newest").double()
    x, begun = tokens(2, 30, 4), layer(tokens(2, 5, 4, seed=1))[1]
    fast, after = layer(x, begun)
    slow, wanted = layer.naive(x, begun)
    torch.testing.assert_close(fast, slow)
    for name in wanted:
        torch.testing.assert_close(after[name], wanted[name])


def test_a_surprise_is_kept_word_for_word_and_a_repetition_is_not():
    torch.manual_seed(0)
    layer = BMojo(4, window=3, store=2).double()
    x = torch.ones(1, 60, 4, dtype=torch.float64)
    x[:, 10], x[:, 25] = torch.tensor([9.0, -9.0, 9.0, -9.0]), torch.tensor([-9.0, -9.0, 9.0, 9.0])
    held = layer(x)[1]["store.tokens"][0]
    wanted = layer.to_qkv(x)[0, [10, 25], 4:]
    torch.testing.assert_close(held, wanted)


@pytest.mark.parametrize("options", [{"layers": 3, "every": 3}, {"evict": "oldest"}, {"notes": 1, "summary": 3}])
def test_every_kind_of_notes_is_the_formula(options, monkeypatch):
    monkeypatch.setattr(pool, "CHUNK", 12)
    torch.manual_seed(0)
    layer = MemMamba(4, threshold=0.5, **options).double()
    x, begun = tokens(2, 20, 4), layer(tokens(2, 5, 4, seed=1))[1]
    torch.testing.assert_close(layer(x, begun)[0], layer.naive(x, begun)[0])


def test_a_note_outlasts_the_state():
    """What an early token changes 300 tokens later, with its note and in a layer that takes none."""
    torch.manual_seed(0)
    reach = {}
    for threshold in (0.0, 1.0):  # all is noted, or nothing is
        torch.manual_seed(1)
        layer = MemMamba(8, layers=1, notes=4, threshold=threshold).double()
        with torch.no_grad():
            layer.layers[0].mamba.to_step.bias += 4  # which forgets quickly
            layer.layers[0].to_score.weight.copy_(torch.tensor([[9.0, *[0.0] * 7]]))
        x = tokens(1, 300, 8) / 4
        x[:, 5] = torch.tensor([9.0, *[0.0] * 7])
        changed = x.clone()
        changed[:, 5, 1:] += 1
        reach[threshold] = float((layer(x)[0][:, -1] - layer(changed)[0][:, -1]).detach().norm())
    assert reach[0.0] > 1e-3
    assert reach[1.0] < 1e-3 * reach[0.0]


def test_long_mamba_is_mamba_until_it_is_calibrated_and_then_keeps_longer():
    torch.manual_seed(0)
    plain, long = Mamba(8, 4), LongMamba(8, 4)
    long.load_state_dict(plain.state_dict())
    x = torch.randn(2, 512, 8)
    assert torch.equal(plain(x)[0], long(x)[0])
    lasts = long.calibrate(x, 64)
    assert 0 < int(lasts.sum()) <= long.inner
    assert torch.equal(long.threshold > 0, lasts)
    left = long.steps(x) * (long.steps(x) >= long.threshold)
    total = long.steps(x)[:, :64].mean((0, 1)) * 64
    torch.testing.assert_close(left.sum(1).mean(0)[lasts], total[lasts], rtol=0.1, atol=0.0)
    long.calibrate(x[:, :64], 64)
    assert not long.threshold.any()


def test_mimetic_layers_begin_as_linear_attention():
    torch.manual_seed(0)
    layer = Mamba(8, 4)
    mimetic(layer)
    x = torch.randn(1, 6, 8)
    u = torch.nn.functional.silu(layer.enter(x).chunk(2, -1)[0])
    step, B, C = layer.parts(u, torch.float32, None)
    torch.testing.assert_close(step, torch.ones_like(step))
    torch.testing.assert_close(B, C)
    scores = (C @ B.transpose(1, 2)).tril()
    h = layer(x)[1]["system"]
    torch.testing.assert_close(h, torch.einsum("btn,bte->bne", B, u), atol=0.02, rtol=0.05)
    assert bool((scores.diagonal(dim1=1, dim2=2) > 0).all())
    lm = LM(16, 8, ["mamba", "s4d"])
    mimetic(lm)
    assert float(lm.stack.layers[1]["mixer"].log_rate.detach().max()) < -6


def test_replay_adds_gated_earlier_inputs():
    torch.manual_seed(0)
    inner = S4D(4, 4).double()
    layer = StateMemoryReplay(4, 3, inner).double()
    x = tokens(1, 9, 4)
    with torch.no_grad():
        layer.memories.zero_()
    torch.testing.assert_close(layer(x)[0], inner(x)[0])
    with torch.no_grad():
        layer.memories[2] = 1.0
        layer.to_gates.weight.zero_()
        layer.to_gates.bias.fill_(50.0)  # gates are 1
    shifted = torch.nn.functional.pad(x, (0, 0, 2, 0))[:, :-2]
    torch.testing.assert_close(layer(x)[0], inner(x + shifted)[0])


def test_variates_of_chimera_meet_only_where_they_may():
    torch.manual_seed(0)
    x, changed = tokens(1, 12, 3), tokens(1, 12, 3)
    changed[:, 4, 0] += 1
    for options, others in (({}, True), ({"across": False}, False), ({"both": False}, True)):
        layer = Chimera(3, 4, **options).double()
        moved = (layer(x)[0] - layer(changed)[0]).abs().amax(1)[0]
        assert moved[0] > 0
        assert bool((moved[1:] > 0).all()) == others
        torch.testing.assert_close(layer(x)[0], layer.naive(x, layer.init_state(1))[0])
    backwards = Chimera(3, 4, both=False).double()
    last = x.clone()
    last[..., 2] += 1
    assert torch.equal(backwards(x)[0][..., :2], backwards(last)[0][..., :2])


@pytest.mark.parametrize(
    ("make", "said"),
    [(lambda: BMojo(4, heads=3), "divisor"), (lambda: BMojo(4, window=1), "at least 2"),
     (lambda: MemMamba(4, notes=0), "notes 0"), (lambda: Chimera(3, 5), "even number")],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(make, said):
    with pytest.raises(InvalidInput, match=said):
        make()
