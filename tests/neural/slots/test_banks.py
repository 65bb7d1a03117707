"""Banks of a bounded size: what they merge, keep, delete and bring back."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.slots.chunk_memory import HierarchicalChunks
from mnemos.neural.slots.consolidating import UsagePrototypes
from mnemos.neural.slots.dual_coding import DualCoding
from mnemos.neural.slots.memoria import Memoria
from mnemos.neural.slots.merging import GatedFusion, MergedNeighbours
from mnemos.neural.slots.place_memory import Allocator, PlaceMemory
from mnemos.registry import all_entries


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("entry", all_entries("neural", kind="bank"), ids=lambda entry: entry.name)
def test_a_bank_holds_no_more_than_its_size_and_answers_what_it_holds(entry):
    bank = entry.target(
        8,
        3,
        size=24,
        **({"short": 8} if entry.name == "memoria" else {}),
        **({"working": 12, "prototypes": 4} if entry.name == "usage-prototypes" else {}),
    )
    keys, values = torch.randn(200, 8, generator=rng()), torch.randn(200, 3, generator=rng(1))
    with pytest.raises(InvalidInput, match="write"):
        bank.read(keys[:1])
    for i in range(0, 200, 10):
        bank.write(keys[i : i + 10], values[i : i + 10])
        assert 0 < len(bank) <= 24
    read = bank.read(keys[-1:])
    assert torch.nn.functional.cosine_similarity(read, values[-1:]).min() > 0.7
    with pytest.raises(InvalidInput, match="give"):
        bank.write(keys[:, :-1], values)
    with pytest.raises(InvalidInput, match="give"):
        bank.read(keys[:, :-1])


def test_what_is_read_becomes_a_prototype_whose_value_is_a_mean_of_its_kind():
    bank = UsagePrototypes(2, 1, size=12, working=8, prototypes=2, recent=1, k=4)
    kinds = torch.tensor([[0.0, 0.0], [9.0, 9.0]])
    keys = kinds[[0, 1, 0, 1, 0, 1, 0]] + 0.1 * torch.randn(7, 2, generator=rng())
    bank.write(keys, torch.tensor([[1.0], [5.0], [3.0], [7.0], [2.0], [6.0], [2.0]]))
    bank.read(kinds[:1].repeat(6, 1))
    bank.write(torch.tensor([[4.0, 4.0]]), torch.zeros(1, 1))
    assert len(bank) == 3
    assert bank.keys[:2].norm(dim=1).max() < 1  # the kind that was read
    assert ((bank.values[:2] - 2).abs() < 0.4).all()


def test_neighbours_that_are_alike_are_merged_and_a_rare_moment_stays():
    values = torch.zeros(40, 4)
    values[:, 0] = 1
    values[11] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    values = values + 0.01 * torch.randn(40, 4, generator=rng())
    merging, fifo = (MergedNeighbours(4, 4, size=5, merge=merge) for merge in (True, False))
    for bank in (merging, fifo):
        bank.write(values, values)
        assert len(bank) == 5
    rare = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    assert float(merging.read(rare)[0, 3]) > 0.8
    assert float(fifo.read(rare)[0, 3]) < 0.1
    assert merging.counts.sum() == 40


def test_a_gate_can_keep_out_what_is_remembered():
    torch.manual_seed(0)
    fusion, seen, remembered = GatedFusion(4), torch.randn(2, 4), torch.randn(2, 4)
    with torch.no_grad():
        fusion.gate.bias.fill_(-50)
    torch.testing.assert_close(fusion(seen, remembered), seen)
    torch.testing.assert_close(GatedFusion(4, gated=False)(seen, remembered), seen + remembered)


def test_a_word_brings_back_what_was_shown_with_it_and_the_other_way_round():
    torch.manual_seed(0)
    memory = DualCoding(16, 16, 16, k=1)
    words, things = torch.randn(1, 12, 16), torch.randn(1, 12, 16)
    torch.testing.assert_close(memory(words[:, 3:6], words, things), things[:, 3:6])
    torch.testing.assert_close(memory(things[:, 3:6], words, things, by="vision"), words[:, 3:6])
    assert (
        memory.novelty(words[:, 3:4], words, things)[0, 0]
        < 0.01
        < memory.novelty(torch.randn(1, 1, 16), words, things)[0, 0]
    )
    with pytest.raises(InvalidInput, match="vision"):
        memory(words, words, things, by="smell")


def test_engrams_that_are_recalled_live_and_others_die():
    memory = Memoria(4, 1, size=20, short=3, life=8, reward=10)
    keys = torch.randn(60, 4, generator=rng()) + 5
    useful = torch.tensor([[-5.0, 0.0, 0.0, 0.0]])
    memory.write(useful, torch.ones(1, 1))
    for key in keys.split(1):
        memory.read(useful)
        memory.write(key, torch.zeros(1, 1))
    held = torch.stack([one.key for one in memory.engrams.values()])
    assert (held - useful).norm(dim=1).min() == 0
    assert len(memory) < 20
    assert 1 not in memory.engrams  # the first of those that nobody asked for
    assert all(j in memory.engrams for one in memory.engrams.values() for j in one.together)


def test_chunks_read_all_are_attention_in_every_chunk_and_few_are_read_alone():
    torch.manual_seed(0)
    layer, stored, query = HierarchicalChunks(8, chunk=4, k=1), torch.randn(2, 12, 8), torch.randn(2, 3, 8)
    read, weights = layer(query, stored)
    assert (weights > 0).sum(-1).eq(1).all()
    best = weights.argmax(-1)
    changed = stored.clone()
    for b in range(2):
        for g in set(range(3)) - set(best[b].tolist()):
            changed[b, 4 * g : 4 * g + 4] += 0.001
    torch.testing.assert_close(layer(query, changed)[0], read, atol=1e-5, rtol=1e-4)
    stored.requires_grad_()
    layer(query, stored)[0].sum().backward()
    assert stored.grad is None
    with pytest.raises(InvalidInput, match="multiple"):
        layer(query, stored[:, :10])


@pytest.mark.parametrize(
    ("drop", "stay"),
    [("oldest", [2, 3, 4]), ("newest", [0, 1, 2]), ("most visited", [3, 4, 5]), ("least visited", [0, 2, 5])],
)
def test_a_full_memory_of_places_drops_what_its_strategy_says(drop, stay):
    memory = PlaceMemory(2, 6, size=3, drop=drop)
    rooms = torch.tensor([0, 1, 0, 2, 1, 0]) if drop != "oldest" else torch.tensor([0, 1, 0, 2, 1])
    seen = torch.stack([rooms + 0.5, torch.full((len(rooms),), 0.5)], 1)
    memory.write(seen, torch.eye(6)[: len(rooms)])
    assert memory.times == stay
    torch.testing.assert_close(memory.at(stay).argmax(1), torch.tensor(stay))


def test_a_place_answers_with_what_was_seen_there_last_and_time_alone_with_the_newest():
    seen = torch.tensor([[0.2, 0.0], [5.1, 0.0], [0.9, 0.0], [9.0, 0.0]])
    for spatial, answers in ((True, [2, 1]), (False, [3, 3])):
        memory = PlaceMemory(2, 4, spatial=spatial)
        memory.write(seen, torch.eye(4))
        assert memory.read(torch.tensor([[0.0, 0.0], [6.0, 0.0]])).argmax(1).tolist() == answers


def test_an_allocator_learns_the_best_strategy_of_each_task():
    worth = {("a", "x"): 0.9, ("a", "y"): 0.2, ("b", "x"): 0.3, ("b", "y"): 0.6}
    allocator = Allocator(("x", "y"))
    for episode in range(60):
        task = "ab"[episode % 2]
        chosen = allocator.choose(task)
        allocator.learn(task, chosen, worth[task, chosen])
    assert [allocator.choose(task, explore=False) for task in "ab"] == ["x", "y"]
    with pytest.raises(InvalidInput, match="strategy 'z'"):
        allocator.learn("a", "z", 1)
