"""What the state space layers do besides the contract of a mixer."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.statespace.lssl import LSSL, powers
from mnemos.neural.statespace.mamba import Mamba
from mnemos.neural.statespace.s4d import S4D
from mnemos.neural.statespace.scan import linear, selective
from mnemos.neural.statespace.stable import REPARAMETERISATIONS


def tokens(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    "options",
    [{"bilinear": True}, {"init": "inv"}, {"init": "lin"}, {"init": "real"}, {"init": "random"}, {"decay": "best"},
     {"decay": "softplus"}, {"decay": "direct"}, {"states": 1}],
)  # fmt: skip
def test_every_kind_of_s4d_convolves_as_it_recurs(options):
    torch.manual_seed(0)
    layer = S4D(4, **options).double()
    x, state = tokens(2, 13, 4), layer(tokens(2, 3, 4))[1]
    fast, after = layer(x, state)
    slow, wanted = layer.naive(x, state)
    torch.testing.assert_close(fast, slow, atol=1e-9, rtol=1e-7)
    torch.testing.assert_close(after["system"], wanted["system"], atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize(
    "options", [{"alpha": 1.0}, {"alpha": 0.7}, {"trained": True}, {"measure": "legt"}, {"measure": "random"}]
)
def test_every_kind_of_lssl_convolves_as_it_recurs(options):
    torch.manual_seed(0)
    layer = LSSL(4, **options).double()
    x, state = tokens(2, 13, 4), layer(tokens(2, 3, 4))[1]
    torch.testing.assert_close(layer(x, state)[0], layer.naive(x, state)[0], atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("kind", [S4D, LSSL])
def test_a_signal_of_half_the_rate_is_read_with_twice_the_step(kind):
    torch.manual_seed(0)
    layer = kind(4).double()
    t = torch.linspace(0, 6, 400, dtype=torch.float64)
    x = torch.stack([t.sin(), t.cos(), (2 * t).sin(), t / 6], -1)[None]
    whole = layer(x)[0][:, 1::2]
    half = x[:, 1::2]
    unadapted = layer(half)[0]
    with torch.no_grad():
        layer.log_step += torch.log(torch.tensor(2.0))
    adapted = layer(half)[0]
    assert (adapted - whole).norm() < 0.02 * whole.norm()
    assert (unadapted - whole).norm() > 5 * (adapted - whole).norm()


def test_powers_are_products():
    A, b = tokens(3, 4, 4) / 3, tokens(3, 4, 1)
    made = powers(A, b, 7)
    for t in range(7):
        torch.testing.assert_close(made[..., t], (torch.linalg.matrix_power(A, t) @ b)[..., 0])


@pytest.mark.parametrize("length", [1, 5, 60])
def test_the_selective_scan_has_the_gradients_of_the_recurrence(length, monkeypatch):
    monkeypatch.setattr("mnemos.neural.statespace.scan.BLOCK", 2 * 3 * 4 * 7)  # blocks of seven tokens
    x, step, B, C = tokens(length, 2, 3), tokens(length, 2, 3).exp(), tokens(length, 2, 4), tokens(length, 2, 4, seed=1)
    given = [x, step, -tokens(4, 3).exp(), B, C, tokens(2, 4, 3)]
    given = [t.requires_grad_() for t in given]

    def naive(x, step, A, B, C, h):
        out = []
        for t in range(len(x)):
            h = (step[t][:, None] * A).exp() * h + B[t][..., None] * (step[t] * x[t])[:, None]
            out.append((C[t][..., None] * h).sum(1))
        return torch.stack(out), h

    found, wanted = selective(*given), naive(*given)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)
    losses = [(y.sin().sum() + h.square().sum()) for y, h in (found, wanted)]
    for a, b in zip(*(torch.autograd.grad(loss, given) for loss in losses), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("small", [0, 1000])
def test_the_linear_scan_has_right_gradients(dtype, small, monkeypatch):
    monkeypatch.setattr("mnemos.neural.statespace.scan.SMALL", small)  # token by token, and by doubling
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.randn(6, 2, 3, dtype=dtype, generator=rng).requires_grad_() for _ in range(2))
    h = torch.randn(2, 3, dtype=dtype, generator=rng).requires_grad_()
    assert torch.autograd.gradcheck(linear, (a, b, h))
    wanted = h
    for found, factor, added in zip(linear(a, b, h), a, b, strict=True):
        wanted = factor * wanted + added
        torch.testing.assert_close(found, wanted)


def test_polarised_states_stay_and_go():
    torch.manual_seed(0)
    layer = Mamba(4, states=4, polarised=True).double()
    state = layer(tokens(1, 5, 4))[1]
    marked = {name: t.clone() for name, t in state.items()}
    marked["system"] = marked["system"] + 1
    a, b = (layer(tokens(1, 200, 4, seed=3), s)[1]["system"].detach() for s in (state, marked))
    torch.testing.assert_close((b - a)[:, 0], torch.ones(1, 8, dtype=torch.float64))  # the whole mark is there
    assert float((b - a)[:, 1].abs().max()) == 0
    plain = layer(tokens(1, 7, 4))
    slow = layer.naive(tokens(1, 7, 4), layer.init_state(1))
    torch.testing.assert_close(plain[0], slow[0])
    torch.testing.assert_close(plain[1]["system"], slow[1]["system"])


@pytest.mark.parametrize("name", list(REPARAMETERISATIONS))
def test_a_rate_comes_back_from_its_weight(name):
    form = REPARAMETERISATIONS[name]
    rates = torch.tensor([0.01, 0.5, 1.9], dtype=torch.float64)
    torch.testing.assert_close(form.rate(form.inverse(rates)), rates)


def test_the_best_form_bounds_the_gradient_over_the_weight():
    """Of the squared error of 1 / r, which grows without bound near 0, as the paper's theorem has it."""
    steepest = {}
    for name in ("direct", "exp", "softplus", "best"):
        form = REPARAMETERISATIONS[name]
        w = form.inverse(torch.tensor([1e-4], dtype=torch.float64)).requires_grad_()
        (slope,) = torch.autograd.grad((1 / form.rate(w)).sum(), w)
        steepest[name] = abs(float(slope))
    assert steepest["best"] < steepest["exp"] <= steepest["softplus"] * 1.01 < steepest["direct"]
    for weight in (-50.0, 0.0, 50.0):
        assert float(REPARAMETERISATIONS["best"].rate(torch.tensor(weight))) > 0


@pytest.mark.parametrize(
    ("make", "said"),
    [(lambda: S4D(4, states=0), "states is 0"), (lambda: S4D(4, decay="tanh"), "choose direct"),
     (lambda: LSSL(4, measure="x"), "choose legs"), (lambda: LSSL(4, alpha=2), "alpha is 2"),
     (lambda: Mamba(4, states=2, polarised=True), "at least 3")],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(make, said):
    with pytest.raises(InvalidInput, match=said):
        make()
