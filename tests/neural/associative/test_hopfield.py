"""Hopfield networks: capacity, energies that never rise, and the three regimes of beta."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.associative.hopfield import Hopfield
from mnemos.neural.associative.hopfield_layer import HopfieldLayer


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def bits(count, width, seed=0):
    return torch.randint(2, (count, width), generator=rng(seed)).float() * 2 - 1


def damaged(patterns, flips, seed=1):
    order = torch.rand(patterns.shape, generator=rng(seed)).argsort(1)
    return torch.where(order < flips, -patterns, patterns)


def recalled(memory, patterns, flips=6, asked=128):
    memory.store(patterns)
    cues = damaged(patterns[:asked], flips)
    return float((memory.recall(cues).sign() == patterns[:asked]).all(1).float().mean())


def test_softmax_recalls_32768_patterns_of_64_bits_in_one_step_where_hebb_recalls_few():
    assert recalled(Hopfield(64), bits(32_768, 64)) == 1.0
    assert recalled(Hopfield(64, "polynomial"), bits(64, 64)) == 1.0
    assert recalled(Hopfield(64, "hebb"), bits(4, 64)) > 0.9
    assert recalled(Hopfield(64, "hebb"), bits(24, 64)) < 0.1


def test_half_of_a_pattern_brings_back_the_whole():
    patterns = torch.randn(2000, 64, generator=rng())
    memory = Hopfield(64, beta=8.0)
    memory.store(patterns)
    cues = patterns[:100].clone()
    cues[:, 32:] = 0
    assert torch.nn.functional.cosine_similarity(memory.recall(cues), patterns[:100]).mean() > 0.99


def test_the_classical_capacity_is_near_138_patterns_for_1000_units():
    """Without damage patterns stay where they are below .138 D, and are lost above it."""
    overlap = {}
    for share in (0.10, 0.20):
        patterns = bits(int(share * 400), 400)
        memory = Hopfield(400, "hebb", steps=25)
        memory.store(patterns)
        overlap[share] = float((memory.recall(patterns) * patterns).mean())
    assert overlap[0.10] > 0.97
    assert overlap[0.20] < 0.75


@pytest.mark.parametrize(
    "options",
    [{"energy": "polynomial", "degree": 3}, {"energy": "softmax", "beta": 0.2}, {"energy": "softmax", "empty": True}],
)
def test_a_step_never_raises_the_energy(options):
    memory = Hopfield(32, **options)
    memory.store(bits(60, 32))
    states = bits(40, 32, seed=5)
    energies = [memory.energy(states)]
    for _ in range(6):
        states = memory.step(states)
        energies.append(memory.energy(states))
    falls = torch.stack(energies).diff(dim=0)
    assert (falls < 1e-3).all()
    assert (falls[0] < -0.1).any()


def test_units_one_by_one_never_raise_the_energy_of_hebb():
    memory = Hopfield(48, "hebb")
    memory.store(bits(12, 48))
    states = bits(30, 48, seed=3)
    energies = [memory.energy(states)]
    for _ in range(4):
        states = memory.settle(states, sweeps=1)
        energies.append(memory.energy(states))
    assert (torch.stack(energies).diff(dim=0) < 1e-4).all()
    with pytest.raises(InvalidInput, match="recall"):
        Hopfield(48).settle(states)


def test_beta_chooses_between_the_mean_of_all_a_few_and_one():
    group = torch.randn(1, 32, generator=rng())
    patterns = torch.cat([group + 0.3 * torch.randn(8, 32, generator=rng(1)), torch.randn(40, 32, generator=rng(2))])
    found = {}
    for beta in (1e-4, 0.3, 20.0):
        memory = Hopfield(32, beta=beta, steps=5)
        memory.store(patterns)
        found[beta] = memory.recall(patterns[:1])[0]
    torch.testing.assert_close(found[1e-4], patterns.mean(0), atol=0.02, rtol=0)
    near = {
        name: float((found[0.3] - t).norm())
        for name, t in (("few", patterns[:8].mean(0)), ("all", patterns.mean(0)), ("one", patterns[0]))
    }
    assert near["few"] < 0.5 * min(near["all"], near["one"])
    torch.testing.assert_close(found[20.0], patterns[0], atol=0.01, rtol=0)


def test_a_cue_that_resembles_nothing_recalls_nothing_where_there_is_an_empty_slot():
    patterns = torch.nn.functional.normalize(torch.randn(20, 64, generator=rng()), dim=-1) * 4
    away = -patterns.mean(0, keepdim=True) * 4
    full, empty = (Hopfield(64, empty=e) for e in (False, True))
    for memory in (full, empty):
        memory.store(patterns)
        assert torch.nn.functional.cosine_similarity(memory.recall(patterns), patterns).min() > 0.95
    assert empty.recall(away).norm() < 0.8 * full.recall(away).norm()


def test_pooling_reads_a_bag_of_any_order_and_ignores_padding():
    torch.manual_seed(0)
    layer, bag = HopfieldLayer(8, queries=2), torch.randn(3, 5, 8)
    read = layer(bag)
    assert read.shape == (3, 2, 8)
    torch.testing.assert_close(layer(bag.flip(1)), read)
    padded, mask = torch.cat([bag, torch.randn(3, 2, 8)], 1), torch.arange(7) < 5
    torch.testing.assert_close(layer(padded, mask=mask.expand(3, -1)), read)


def test_a_look_up_is_an_association_with_learned_patterns():
    torch.manual_seed(0)
    layer, states = HopfieldLayer(8, prototypes=4, empty=True), torch.randn(2, 3, 8)
    both = HopfieldLayer(8, empty=True)
    both.load_state_dict({name: t for name, t in layer.state_dict().items() if name != "prototypes"})
    torch.testing.assert_close(layer(states), both(states, layer.prototypes.expand(2, -1, -1)))
    with pytest.raises(InvalidInput, match="stored"):
        both(states)


def test_other_patterns_are_refused():
    with pytest.raises(InvalidInput, match="signs"):
        Hopfield(4, "hebb").store(torch.zeros(1, 4))
    with pytest.raises(InvalidInput, match="store"):
        Hopfield(4).recall(torch.zeros(1, 4))
