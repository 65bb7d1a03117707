"""The temperature of a read, the resonator, the tensor brain, and attention that may read nothing."""

import math

import pytest
import torch

from mnemos.neural.associative.hopfield import Hopfield
from mnemos.neural.associative.outlier_efficient import OutlierEfficientHopfield
from mnemos.neural.associative.resonator import Resonator, bind
from mnemos.neural.associative.temperature import condensation, normal_sums, participation, read_temperature
from mnemos.neural.associative.tensor_brain import TensorBrain


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_reads_condense_near_the_bandwidth_that_theory_says():
    n, d = 2000, 12
    keys, cues = torch.randn(n, d, generator=rng()).double(), torch.randn(200, d, generator=rng(1)).double()
    alpha = math.log(n) / d
    assert condensation(alpha) < normal_sums(alpha)

    def held(h):
        return float(participation((-torch.cdist(cues, keys).square() / (2 * h * h)).softmax(-1)).median())

    assert held(2 * normal_sums(alpha)) > 50
    assert held(condensation(alpha)) < 12
    assert held(condensation(alpha) / 2) < 2
    assert 0.6 < read_temperature(keys) ** -0.5 / condensation(alpha) < 1.1


def test_a_temperature_does_not_depend_on_the_order_of_keys_and_follows_their_scale():
    keys = torch.randn(200, 8, generator=rng())
    beta = read_temperature(keys)
    assert math.isclose(read_temperature(keys.flip(0)), beta, rel_tol=1e-6)
    assert math.isclose(read_temperature(keys * 3), beta / 9, rel_tol=1e-6)


def test_a_resonator_by_attention_finds_factors_in_fewer_rounds():
    books = [torch.randint(2, (24, 500), generator=rng(f)).float() * 2 - 1 for f in range(3)]
    chosen = torch.randint(24, (12, 3), generator=rng(9))
    found, classical = (Resonator(books, attention).factor(bind(books, chosen)) for attention in (True, False))
    assert (found.chosen == chosen).all(1).float().mean() > 0.9
    assert found.rounds.float().mean() < classical.rounds.float().mean()


def test_an_instant_decodes_to_its_triples_and_no_instant_to_what_is_usual():
    torch.manual_seed(0)
    triples = torch.tensor([[0, 0, 1, 0], [2, 1, 3, 0], [0, 0, 1, 1], [1, 1, 2, 1], [0, 0, 3, 2], [3, 0, 0, 2]])
    model = TensorBrain(4, 2, 3, width=16)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(300):
        optimiser.zero_grad()
        without = torch.rand(6, generator=rng(step)) < 0.4
        model.loss(triples, without).backward()
        optimiser.step()
    for instant in range(3):
        wanted = {tuple(t[:3]) for t in triples.tolist() if t[3] == instant}
        assert {tuple(t) for t in model.episode(instant, 2).tolist()} == wanted
    usual = model.objects(torch.tensor([0]), torch.tensor([0]))[0]
    assert abs(float(usual[1]) - 2 / 3) < 0.15
    assert abs(float(usual[3]) - 1 / 3) < 0.15


def test_attention_that_may_read_nothing_divides_by_one_more():
    torch.manual_seed(0)
    layer, x = OutlierEfficientHopfield(8).double(), torch.randn(1, 4, 8, dtype=torch.float64)
    y, state = layer(x)
    q, k, v = layer.to_qkv(x[:, :1]).chunk(3, -1)
    score = (q * k).sum(-1, keepdim=True) / 8**0.5
    torch.testing.assert_close(y[:, :1], layer.out(v * score.exp() / (1 + score.exp())))
    assert layer.state_size(4) == sum(t.numel() for t in state.values())


def test_a_hopfield_network_without_a_beta_reads_by_the_rule_for_what_it_keeps():
    rng = torch.Generator().manual_seed(3)
    patterns = 0.5 * torch.randn(400, 16, generator=rng).double()
    by_rule, fixed = (Hopfield(16, beta=beta) for beta in (None, 1.0))
    assert by_rule.beta == 1.0
    for net in (by_rule, fixed):
        net.store(patterns[:200])
        net.store(patterns[200:])
    assert by_rule.beta == pytest.approx(read_temperature(patterns))
    cues = patterns[:100] + 0.1 * torch.randn(100, 16, generator=rng).double()
    errors = [float((net.recall(cues) - patterns[:100]).square().mean()) for net in (by_rule, fixed)]
    assert errors[0] < 0.5 * errors[1]
