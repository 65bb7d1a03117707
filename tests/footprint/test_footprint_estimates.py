"""Savers and rewriters whose gradients are estimates: their bounds, their means, and what they keep."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.footprint import attached
from mnemos.footprint.activations.approximate import GELU, KNOWN, SILU, Approximate
from mnemos.footprint.activations.in_memory import InMemory
from mnemos.footprint.activations.projected import Projected
from mnemos.footprint.activations.quantised import Quantised, packed, unpacked
from mnemos.footprint.activations.sampled import Sampled
from mnemos.footprint.activations.shared_norm import SharedNorm
from mnemos.footprint.weights.sparse_low_rank import SparseLowRank


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def mlp(activation=nn.GELU, width=64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, 4 * width), activation(), nn.Linear(4 * width, width))


def gradients(model, x, *methods):
    model.zero_grad()
    x = x.clone().requires_grad_()
    with attached(model, *methods, least=0) as usage:
        model(x).square().mean().backward()
    return [x.grad, *(p.grad.clone() for p in model.parameters() if p.grad is not None)], usage


def cosine(a, b):
    a, b = (torch.cat([g.flatten() for g in of]) for of in (a, b))
    return float(torch.cosine_similarity(a, b, dim=0))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_codes_come_back_from_their_bytes(bits):
    codes = torch.randint(2**bits, (101,), generator=rng(), dtype=torch.uint8)
    found = packed(codes, bits)
    assert len(found) == -(-101 * bits // 8)
    assert torch.equal(unpacked(found, bits, 101), codes)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_no_number_is_off_by_more_than_a_step_and_the_mean_of_many_draws_is_right(bits):
    x = torch.randn(1000, generator=rng())
    saver = Quantised(bits=bits, group=100)
    draws = torch.stack([saver.unpack(saver.pack(x)) for _ in range(400)])
    groups = x.view(10, 100)
    step = ((groups.amax(1) - groups.amin(1)) / (2**bits - 1)).repeat_interleave(100)
    assert ((draws - x).abs() <= step * 1.001).all()
    assert ((draws.mean(0) - x).abs() < 6 * step / 2 / 20 + 1e-6).all()
    assert saver.pack(x).nbytes <= 1000 * bits / 8 + 80
    nearest = Quantised(bits=bits, group=100, random=False)
    assert ((nearest.unpack(nearest.pack(x)) - x).abs() <= step * 0.501).all()


def test_a_group_of_equal_numbers_whole_numbers_and_other_types_come_back():
    saver = Quantised(bits=4)
    for tensor in (torch.full((300,), 2.5), torch.arange(9), torch.zeros(0), torch.ones(5, dtype=torch.bfloat16)):
        got = saver.unpack(saver.pack(tensor))
        assert torch.equal(got, tensor)
        assert got.dtype == tensor.dtype
    with pytest.raises(InvalidInput, match="bits is 3"):
        Quantised(bits=3)


def test_saved_bytes_fall_to_a_quarter_and_gradients_point_the_same_way():
    model, x = mlp(), torch.randn(256, 64, generator=rng(1))
    plain, before = gradients(model, x, InMemory())
    for bits, share, near in ((8, 0.28, 0.9999), (4, 0.16, 0.98)):
        got, usage = gradients(model, x, Quantised(bits=bits))
        assert usage.peak_kept < share * before.peak_kept
        assert cosine(plain, got) > near


@pytest.mark.parametrize("name", ["GELU", "SiLU"])
def test_slopes_of_two_bits_are_those_of_the_papers_relus_which_are_the_nearest(name):
    function, slope, steps = KNOWN[name]
    x = torch.linspace(-12, 12, 4001, dtype=torch.double)

    def off(slopes, at):
        sum_of = sum(s * (x - c).clamp(min=0) for s, c in zip(slopes, at, strict=True))
        return float((function(x) - sum_of).square().sum())

    best = off(*steps)
    for change in (0.97, 1.03):  # of the outer thresholds, the middle one with them
        assert off(steps.slopes, (change * steps.at[0], steps.at[1], change * steps.at[2])) > best
    model = nn.Sequential(getattr(nn, name)())
    y = x.float()[None].clone().requires_grad_()
    with attached(model, Approximate()) as usage:
        z = model(y)
        z.sum().backward()
    assert torch.equal(z, function(y))
    assert usage.peak_plain == 0  # two bits a number are below the least that savers see
    expected = sum(s * (x > c) for s, c in zip(steps.slopes, steps.at, strict=True)).float()
    assert torch.allclose(y.grad[0], expected, atol=1e-6)
    assert torch.allclose(slope(y), torch.autograd.grad(function(y).sum(), y)[0], atol=1e-6)
    assert {GELU, SILU} == {known.steps for known in KNOWN.values()}


@pytest.mark.parametrize(("bits", "near"), [(2, 0.97), (4, 0.995), (8, 0.9999)])
def test_activations_keep_codes_and_gradients_point_the_same_way(bits, near):
    model, x = mlp(nn.SiLU), torch.randn(256, 64, generator=rng(1))
    plain, before = gradients(model, x, InMemory())
    got, usage = gradients(model, x, Approximate(bits), InMemory())
    saved = 256 * 256 * 4  # bytes of what goes into the activation
    assert usage.peak_kept < before.peak_kept - saved * (1 - bits / 32 - 0.04)
    assert cosine(plain, got) > near
    with pytest.raises(InvalidInput, match="bits is 3"):
        Approximate(3)


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm])
def test_a_norm_shares_what_the_next_layer_keeps_and_has_the_same_gradients(norm):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 64), norm(64), nn.Linear(64, 8))
    nn.init.uniform_(model[1].weight, 0.5, 2)
    x = torch.randn(16, 5, 32, generator=rng())
    plain, before = gradients(model, x, InMemory())
    got, usage = gradients(model, x, SharedNorm(), InMemory())
    for a, b in zip(plain, got, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-6)
    assert usage.peak_kept < before.peak_kept - 16 * 5 * 64 * 4 * 0.9
    model[1].weight.data[3] = 1e-4
    with attached(model, SharedNorm()):
        assert type(model[1]) is norm  # a gain near 0 cannot be undone


def layer_and_batch(rows=64):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 8, bias=False))
    x = torch.randn(rows, 16) * torch.randn(rows, 1).mul(1.5).exp()  # rows of unlike sizes
    return model, x


def test_sampled_gradients_are_right_on_average_and_vary_less_than_other_draws():
    model, x = layer_and_batch()
    (_, exact), _ = gradients(model, x)
    varies = {}
    for how in ("winners", "drawn", "uniform"):
        method = Sampled(share=0.3, how=how)
        draws = []
        with attached(model, method, least=0):
            for _ in range(400):
                model.zero_grad()
                model(x).square().mean().backward()
                draws.append(model[0].inner.weight.grad.clone())
        draws = torch.stack(draws)
        varies[how] = float(draws.var(0).sum())
        error = (draws.mean(0) - exact).norm() / (draws.var(0).sum() / 400).sqrt()
        assert error < 2  # of the standard error of the mean
    assert varies["winners"] < 0.7 * varies["drawn"]
    assert varies["drawn"] < 0.5 * varies["uniform"]


def test_how_many_are_sure_makes_the_rest_least_and_all_rows_are_exact():
    chances = torch.tensor([0.5, 0.3] + [0.02] * 10)
    which, weights = Sampled(share=0.5).draw(chances)
    assert which[:2].tolist() == [0, 1]
    assert weights[:2].tolist() == [1, 1]
    assert torch.allclose(weights[2:], torch.tensor(0.2 / (4 * 0.02)))
    model, x = layer_and_batch()
    plain, _ = gradients(model, x)
    got, _ = gradients(model, x, Sampled(share=1.0))
    assert all(torch.allclose(a, b) for a, b in zip(plain, got, strict=True))
    with pytest.raises(InvalidInput, match="share is 0"):
        Sampled(share=0)


def test_sampled_layers_keep_their_share_and_learn_the_gradients_of_examples():
    model, x = layer_and_batch()
    _, before = gradients(model, x, InMemory())
    method = Sampled(share=0.25)
    with attached(model, method, InMemory(), least=0) as usage:
        for _ in range(2):
            with method.of([7, 8]):
                model(x).square().mean().backward()
            norms, _ = method.known("0", 64)
            assert norms.tolist() == [1.0] * 64
    loss = 64 * 8 * 4  # bytes that the loss keeps
    assert usage.peak_kept - loss < 0.35 * (before.peak_kept - loss)  # a quarter of the rows, and their places
    with method.of([8]):
        norms, _ = method.known("0", 32)
    y = model(x).detach()
    assert norms[0] == pytest.approx(float((2 * y / y.numel())[32:].norm(dim=1).mean()), rel=1e-4)


def test_projected_layers_learn_what_the_projection_of_the_gradient_says():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(64, 8)), torch.randn(40, 64)
    (of_x, weight, bias), _ = gradients(model, x)
    start = model[0].weight.detach().clone()
    model.zero_grad()
    method = Projected(rank=0.25)
    given = x.clone().requires_grad_()
    with attached(model, method, InMemory(), least=0) as usage:
        optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        model(given).square().mean().backward()
        projection = model[0].projection()
        assert model[0].learned.grad.shape == (8, 16)
        optimiser.step()
    assert torch.allclose(given.grad, of_x)
    assert torch.allclose(model[0].bias.grad, bias, atol=1e-6)
    lifted = start - 0.1 * weight @ projection @ projection.T
    assert torch.allclose(model[0].weight, lifted, atol=1e-5)
    assert usage.peak_kept < 0.5 * x.nbytes
    assert [n for n, _ in model.named_parameters()] == ["0.weight", "0.bias"]


def test_a_sum_of_sparse_and_low_rank_has_the_gradients_of_the_dense_weight():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(48, 40)), torch.randn(30, 48)
    method = SparseLowRank(rank=4, density=0.05)
    with attached(model, method):
        layer = model[0]
        nn.init.normal_(layer.b)
        weight = (layer.scale * layer.b @ layer.a).flatten().index_add(0, layer.places, layer.values).view(40, 48)
        wanted = torch.autograd.grad(
            F.linear(x, weight, layer.inner.bias).square().mean(), [layer.a, layer.b, layer.values]
        )
        model(x).square().mean().backward()
        for part, gradient in zip((layer.a, layer.b, layer.values), wanted, strict=True):
            assert torch.allclose(part.grad, gradient, atol=1e-6)
        assert sum(p.numel() for p in model.parameters()) == 4 * 88 + 96 + 40
        said = model(x)
    assert torch.allclose(model(x), said, atol=1e-6)
    assert model[0].weight.shape == (40, 48)
    largest = model[0].weight.detach().abs().flatten().topk(96).indices.sort().values
    with attached(model, SparseLowRank(rank=4, density=0.05, support="largest")):
        assert torch.equal(model[0].places, largest)
