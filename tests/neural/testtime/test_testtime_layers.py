"""What the layers that learn while they read claim beyond the contract."""

import pytest
import torch
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.linear import rules
from mnemos.neural.linear.delta_net import DeltaNet
from mnemos.neural.linear.gated_delta_net import GatedDeltaNet
from mnemos.neural.testtime.atlas import Atlas
from mnemos.neural.testtime.hybrid import TitansHybrid
from mnemos.neural.testtime.lattice import Lattice
from mnemos.neural.testtime.miras import Memora, Miras
from mnemos.neural.testtime.rule import Rule, orthogonal
from mnemos.neural.testtime.titans import TTT, Titans

CLOSE = {"atol": 1e-9, "rtol": 1e-7}


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(layer):
    return layer.double().eval()


def gates(layer, x, state):
    """Return steps, what is kept, and what is kept of the momentum, (B, H, T, 1) each."""
    told = layer.told(x, state, None)
    return told.theta, told.log_keep.exp(), told.log_eta.exp()


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


OPTIONS = [
    Miras(8, 2, loss="dot"),
    Miras(8, 2, 3, 5, chunk=4, loss="lp", retention="kl", optimiser="momentum"),
    Miras(8, 1, chunk=5, memory="mlp", loss="huber", retention="lq", optimiser="muon"),
    Miras(8, 1, chunk=5, faded=True, learned=True, optimiser="momentum"),
    Atlas(8, 2, 3, 4, chunk=4, memory="mlp", window=3, optimiser="momentum"),
    Atlas(8, chunk=3, window=6, degree=1),
    Titans(8, chunk=1, momentum=False, forget=False),
    TTT(8, memory="mlp", chunk=7),
    TitansHybrid(8, "mac", 3),
    TitansHybrid(8, "mal", 3, memory="atlas"),
    Lattice(8, 2, 3, 5, forget=False),
]


@pytest.mark.parametrize("layer", OPTIONS, ids=lambda layer: type(layer).__name__)
def test_options_keep_the_fast_form_equal_to_the_formula(layer):
    made(layer)
    first = torch.tensor([[True] * 7, [True] * 3 + [False] * 4])  # so that their chunks end at different tokens
    begun = layer(drawn(2, 7, 8), mask=first)[1]
    x = drawn(2, 13, 8, seed=1)
    fast, after = layer(x, begun)
    slow, wanted = layer.naive(x, begun)
    torch.testing.assert_close(fast, slow, **CLOSE)
    for name in wanted:
        torch.testing.assert_close(after[name], wanted[name], **CLOSE)


def test_a_dot_product_loss_without_forgetting_is_linear_attention():
    layer, x = made(Miras(8, 2, loss="dot", forget=False)), drawn(2, 29, 8)
    told = layer.told(x, layer.init_state(2), None)
    read, S = rules.additive_naive(told.q, told.theta * told.k, told.v, 0 * told.theta, drawn(2, 2, 4, 4) * 0)
    y, state = layer(x)
    torch.testing.assert_close(y, layer.answer(read, x), **CLOSE)
    torch.testing.assert_close(state["memory0"], S, **CLOSE)


@pytest.mark.parametrize(("faded", "other"), [(False, DeltaNet), (True, GatedDeltaNet)])
def test_a_squared_loss_token_by_token_is_the_delta_rule(faded, other):
    layer, twin = made(Miras(8, 2, chunk=1, forget=faded, faded=faded)), made(other(8, 2))
    weights = {name: t for name, t in layer.state_dict().items() if name in twin.state_dict()}
    twin.load_state_dict(weights, strict=False)
    with torch.no_grad():  # the same gates
        for gate, rows in ((twin.to_beta, slice(0, 2)), *(((twin.to_decay, slice(2, 4)),) if faded else ())):
            gate.weight.copy_(layer.to_gates.weight[rows])
            gate.bias.copy_(layer.to_gates.bias[rows])
        if faded:
            twin.log_rate.zero_()
    x = drawn(2, 21, 8)
    y, state = layer(x)
    wanted, after = twin(x)
    torch.testing.assert_close(y, wanted, **CLOSE)
    torch.testing.assert_close(state["memory0"], after["memory"], **CLOSE)


def test_ttt_is_gradient_descent_in_batches_from_a_learned_beginning():
    layer, x, C = made(TTT(8, chunk=4)), drawn(1, 12, 8), 4
    told = layer.told(x, layer.init_state(1), None)
    W, out = layer.begin[0][0].detach(), []
    for first in range(0, 12, C):
        start = W
        for t in range(first, first + C):
            k, v = told.k[0, 0, t], told.v[0, 0, t]
            W = W - told.theta[0, 0, t] * torch.outer(k, start.T @ k - v)
            out.append(told.q[0, 0, t] @ W)
    torch.testing.assert_close(layer(x)[0], layer.answer(torch.stack(out)[None, None], x), **CLOSE)


def test_titans_is_gradient_descent_with_momentum_and_forgetting_of_a_deep_memory():
    layer, x = made(Titans(8, chunk=1)), drawn(1, 9, 8)
    told, (theta, keep, eta) = layer.told(x, layer.init_state(1), None), gates(layer, x, layer.init_state(1))
    M, S, out = [torch.zeros(8, 16).double(), torch.zeros(16, 8).double()], [0, 0], []
    begin = [b[0].detach() for b in layer.begin]
    for t in range(9):
        held = [(b + m).requires_grad_() for b, m in zip(begin, M, strict=True)]
        loss = ((F.gelu(told.k[0, 0, t] @ held[0]) @ held[1] - told.v[0, 0, t]) ** 2).sum() / 2
        slopes = torch.autograd.grad(loss, held)
        S = [eta[0, 0, t] * s - theta[0, 0, t] * g for s, g in zip(S, slopes, strict=True)]
        M = [(keep[0, 0, t] * m + s).detach() for m, s in zip(M, S, strict=True)]
        out.append(F.gelu(told.q[0, 0, t] @ (begin[0] + M[0])) @ (begin[1] + M[1]))
    torch.testing.assert_close(layer(x)[0], layer.answer(torch.stack(out)[None, None], x), **CLOSE)


def test_atlas_with_one_token_and_plain_keys_and_momentum_is_titans():
    atlas = made(Atlas(8, key=8, memory="mlp", window=1, degree=1, optimiser="momentum"))
    titans, x = made(Titans(8)), drawn(2, 30, 8)
    titans.load_state_dict(atlas.state_dict())
    assert torch.equal(titans(x)[0], atlas(x)[0])


def test_muon_steps_are_orthogonal():
    x = torch.linalg.qr(drawn(6, 4))[0] @ torch.diag(torch.tensor([4.0, 2, 1, 0.5]).double())
    values = torch.linalg.svdvals(orthogonal(x))
    assert ((values > 0.65) & (values < 1.35)).all()  # as near to 1 as Muon's five steps come
    torch.testing.assert_close(orthogonal(x.T), orthogonal(x).T)


def test_kl_retention_keeps_shares():
    layer = made(Memora(8, 2))
    state = layer(drawn(2, 40, 8))[1]
    (W,) = layer.learning.held([state["memory0"]], layer.started(state["memory0"]))
    assert (W > 0).all()
    torch.testing.assert_close(W.sum(-2), torch.ones_like(W.sum(-2)))
    assert W.std() > 0.01  # it has learned something


def test_an_outlier_moves_a_memory_by_huber_no_further_than_its_limit():
    q = k = F.normalize(drawn(1, 4), dim=-1)
    v, limit = drawn(1, 3), torch.ones(1, 1).double()
    assert (q @ k.T).item() == pytest.approx(1)
    huber, l2 = Rule(loss="huber"), Rule(loss="l2")
    for times in (1.0, 1e3):
        bounded, free = (r.slope(torch.zeros(1, 3).double(), times * v, limit) for r in (huber, l2))
        assert (bounded.abs() <= 1).all()
        torch.testing.assert_close(free, -times * v)


@pytest.mark.parametrize("loss", ["dot", "l2", "lp", "huber"])
def test_slopes_are_the_derivatives_of_the_losses(loss):
    rule, read, value, limit = Rule(loss=loss), drawn(5, 4).requires_grad_(), drawn(5, 4, seed=1), torch.ones(5, 1) / 2
    (wanted,) = torch.autograd.grad(rule.penalty(read, value, limit).sum(), read)
    torch.testing.assert_close(rule.slope(read, value, limit), wanted)


def test_a_slot_is_told_only_what_it_does_not_say():
    layer, x = made(Lattice(8, 2, forget=False)), drawn(3, 5, 8)
    state = layer(x)[1]
    S, after = state["slots"], layer(x[:, :1], state)[1]["slots"]
    change = after - S
    assert (change.norm(dim=-1) > 1e-4).any()
    assert ((S * change).sum(-1).abs() / S.norm(dim=-1) < 1e-9).all()


def test_what_the_slots_say_already_changes_nothing():
    layer, x = made(Lattice(8, 1, forget=False)), drawn(1, 1, 8)
    state = layer(drawn(1, 5, 8, seed=2))[1]
    k = layer.said(x, state, None)[1][:, :, 0]
    says = torch.einsum("bhk,bhkv->bhv", k, F.normalize(state["slots"], dim=-1))[0, 0]
    with torch.no_grad():  # a value that is what the slots answer
        layer.to_v.weight.copy_(torch.outer(says, x[0, 0]) / (x[0, 0] @ x[0, 0]))
    torch.testing.assert_close(layer(x, state)[1]["slots"], state["slots"], **CLOSE)


def test_wirings_see_the_window_and_the_memory():
    for wiring in ("mac", "mag", "mal"):
        layer, x = made(TitansHybrid(8, wiring, 2)), drawn(1, 9, 8)
        y, changed = layer(x)[0], x.clone()
        changed[:, 0] += 1
        assert not torch.allclose(layer(changed)[0][:, -1], y[:, -1], atol=1e-12)  # far beyond the window


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Miras(8, loss="l1"), "loss"),
        (lambda: Miras(8, chunk=0), "chunk"),
        (lambda: Miras(8, memory="mlp", faded=True), "faded"),
        (lambda: Atlas(8, window=0), "window"),
        (lambda: Atlas(8, degree=3), "degree"),
        (lambda: TitansHybrid(8, "map"), "wiring"),
    ],
)
def test_options_that_do_not_fit_are_refused(make, word):
    with pytest.raises(InvalidInput, match=word):
        make()
