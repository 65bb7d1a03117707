"""Cliques, CA3 and Sparsey: what they complete, overwrite, and how codes overlap."""

import torch

from mnemos.neural.associative.ca3 import CA3
from mnemos.neural.associative.cliques import ClusteredCliques
from mnemos.neural.associative.hopfield import Hopfield
from mnemos.neural.associative.sparsey import Sparsey


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_cliques_fill_in_half_of_an_item_where_hopfield_of_as_many_bits_has_collapsed():
    items = torch.randint(64, (500, 8), generator=rng())
    memory = ClusteredCliques(8, 64)
    memory.store(items)
    cues = items[:100].clone()
    cues[torch.arange(8).expand(100, 8) >= 4] = -1
    assert (memory.recall(cues) == items[:100]).all(1).float().mean() > 0.95
    assert abs(memory.density - (1 - (1 - 1 / 64**2) ** 500)) < 0.005
    patterns = torch.randint(2, (500, 180), generator=rng()).float() * 2 - 1  # 16,110 weights of 7 bits
    hopfield = Hopfield(180, "hebb", steps=10)
    hopfield.store(patterns)
    half = patterns[:20].clone()
    half[:, 90:] = 1
    assert memory.bits > 180 * 179 / 2 * 7
    assert (hopfield.recall(half) == patterns[:20]).all(1).float().mean() == 0


def test_links_are_fixed_after_repeated_activation_only():
    items, noise = torch.randint(64, (300, 8), generator=rng()), torch.randint(64, (600, 8), generator=rng(1))
    once, twice = ClusteredCliques(8, 64), ClusteredCliques(8, 64, threshold=2)
    for memory in (once, twice):
        memory.store(torch.cat([items, noise, items]))
    assert twice.density < 0.6 * once.density
    cues = items.clone()
    cues[:, 4:] = -1
    right = [(memory.recall(cues) == items).all(1).float().mean() for memory in (once, twice)]
    assert right[1] > right[0]
    assert right[1] > 0.95


def test_an_unknown_half_stays_open():
    memory = ClusteredCliques(3, 4)
    memory.store(torch.tensor([[0, 1, 2], [0, 3, 3]]))
    assert memory.recall(torch.tensor([[0, -1, -1], [-1, 3, -1], [-1, -1, 0]])).tolist() == [
        [0, -1, -1],
        [0, 3, 3],
        [-1, -1, 0],
    ]


def patterns(count=8, contents=64):
    return torch.cat([torch.eye(count), (torch.rand(count, contents, generator=rng()) < 0.3).float()], 1)


def test_ca3_completes_a_cue_and_fragments_of_overlapping_contents():
    kept = patterns()
    memory = CA3(8, 64)
    memory.store(kept)
    by_cue = kept.clone()
    by_cue[:, 8:] = 0
    assert torch.equal(memory.recall(by_cue), kept)
    fragment = kept * (torch.rand(kept.shape, generator=rng(2)) < 0.6)
    fragment[:, :8] = 0
    assert torch.equal(memory.recall(fragment), kept)
    assert not memory.recall(torch.zeros(1, 72)).any()


def test_ca3_overwrites_one_memory_and_leaves_the_others():
    kept, memory = patterns(), CA3(8, 64)
    memory.store(kept)
    new = kept[3:4].clone()
    new[:, 8:] = (torch.rand(1, 64, generator=rng(7)) < 0.3).float()
    memory.store(new)
    by_cue = kept.clone()
    by_cue[:, 8:] = 0
    expected = kept.clone()
    expected[3] = new[0]
    assert torch.equal(memory.recall(by_cue), expected)


def alike(familiar, seed):
    """Return the rank correlation between how alike inputs are to a stored one and how their codes overlap with its code."""
    kept, fresh = ((torch.rand(n, 144, generator=rng(seed + n)) < 0.25).float() for n in (10, 40))
    mixed = torch.rand(40, 144, generator=rng(seed + 2)) < torch.linspace(0, 1, 40)[:, None]
    inputs, memory = torch.where(mixed, fresh, kept[:1]), Sparsey(144, familiar=familiar, seed=seed)
    codes = memory.learn(kept)
    same, shared = (inputs * kept[:1]).sum(1), (memory.code(inputs) == codes[:1]).double().mean(1)
    ranks = torch.stack([t.argsort().argsort().double() for t in (same, shared)])
    return float(torch.corrcoef(ranks)[0, 1])


def test_alike_inputs_have_alike_codes_only_where_familiarity_is_heeded():
    assert sum(alike(True, seed) for seed in range(10, 14)) / 4 > 0.6
    assert sum(alike(False, seed) for seed in range(10, 14)) / 4 < 0.3


def test_sparsey_recalls_from_noise_what_it_saw_once():
    inputs = (torch.rand(20, 100, generator=rng()) < 0.2).float()
    memory = Sparsey(100, modules=24, units=12)
    memory.store(inputs)
    noisy = inputs * (torch.rand(inputs.shape, generator=rng(3)) < 0.8)
    found = memory.recall(noisy)
    jaccard = (found * inputs).sum(1) / ((found + inputs) > 0).sum(1)
    assert jaccard.mean() > 0.9
