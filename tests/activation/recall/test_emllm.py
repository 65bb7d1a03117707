"""EM-LLM: events begin where the text surprised, split the keys' graph well, and come with their neighbours."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.recall.blocks import Blocks
from mnemos.activation.recall.emllm import EMLLM
from mnemos.activation.recall.events import refined, surprising
from mnemos.activation.recall.tiers import Tiers
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput


def test_a_token_surprises_above_the_mean_and_deviation_of_those_before_it():
    told = torch.rand(2, 40, generator=torch.Generator().manual_seed(0)) * 5
    told[:, 0] = float("nan")
    found = surprising(told, 1.0, 10)
    for row in range(2):
        for t in range(40):
            before = told[row, max(t - 10, 0) : t]
            before = before[~before.isnan()]
            expected = len(before) > 1 and told[row, t] > before.mean() + before.std(correction=0)
            assert bool(found[row, t]) == bool(expected)


def modularity(graph, cut):
    """Newman's sum over pairs, as written in the paper."""
    total, degree = graph.sum(), graph.sum(1)
    same = [(i < cut) == (j < cut) for i in range(len(graph)) for j in range(len(graph))]
    pairs = graph - degree[:, None] * degree[None] / total
    return float((pairs.flatten() * torch.tensor(same)).sum() / total)


def conductance(graph, cut):
    crossing = graph[:cut, cut:].sum()
    return float(crossing / min(graph[:cut].sum(), graph[cut:].sum()))


def test_a_boundary_moves_back_to_the_best_of_its_metric():
    graph = torch.rand(20, 20, generator=torch.Generator().manual_seed(1))
    graph = graph + graph.T
    by_modularity = max(range(1, 16), key=lambda cut: modularity(graph, cut))
    by_conductance = min(range(1, 16), key=lambda cut: conductance(graph, cut))
    assert refined(graph, [0, 15, 20], "modularity") == [0, by_modularity, 20]
    assert refined(graph, [0, 15, 20], "conductance") == [0, by_conductance, 20]


def test_a_boundary_set_too_late_moves_to_the_true_shift():
    graph = torch.full((24, 24), 0.1)
    graph[:9, :9] = graph[9:, 9:] = 1.0
    assert refined(graph, [0, 14, 24], "modularity") == [0, 9, 24]


def test_neighbours_in_time_come_along_and_stay_for_a_while():
    blocks = EMLLM(top=4, contiguity=0.5, tiers=Tiers(4))
    memory = {}
    worth = torch.tensor([[[0.1, 0.2, 9.0, 0.3, 0.4, 8.0, 0.0]]])
    assert blocks.choose(worth, memory)[0, 0].tolist() == [2, 5, 3, 1]
    later = torch.tensor([[[9.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0]]])
    assert blocks.choose(later, memory)[0, 0].tolist() == [0, 1, 2, 3]


@torch.no_grad()
def test_events_hold_every_token_once_for_rows_of_different_texts(small_model):
    task = tasks.topics(3, 200, 8, seed=40)
    blocks = EMLLM(size=16, smallest=3, top=3, local=24, sinks=1, step=12, tiers=Tiers(6))
    cache = MemoryCache(small_model, CacheMethod(store=blocks))
    read(small_model, task.context, cache, chunk=12)
    for layer in cache.layers:
        store = layer.groups[0].store
        assert int(store.sizes.max()) <= 16
        for row in range(3):
            inside = store.sizes[row][store.sizes[row] > 0]
            assert torch.equal(store.starts[row][store.sizes[row] > 0], inside.cumsum(0) - inside)
            assert int(inside.sum()) == store.slow.count == store.first - 1


def hits(begins: list[int], shifts: list[int], near: int = 1) -> float:
    """F1 of boundaries within `near` tokens of the true ones."""
    right = sum(any(abs(b - s) <= near for s in shifts) for b in begins) / len(begins)
    found = sum(any(abs(b - s) <= near for b in begins) for s in shifts) / len(shifts)
    return 2 * right * found / max(right + found, 1e-9)


@torch.no_grad()
def test_events_begin_at_the_shifts_of_a_text_more_often_than_blocks_do(small_model):
    task = tasks.topics(6, 320, 20, seed=41)
    some = {"top": 4, "local": 32, "sinks": 1, "step": 16, "tiers": Tiers(8)}
    scores = {}
    for name, blocks in (("events", EMLLM(size=64, smallest=4, **some)), ("blocks", Blocks(size=16, **some))):
        total = 0.0
        for row in range(6):
            cache = MemoryCache(small_model, CacheMethod(store=blocks))
            read(small_model, task.context[row : row + 1], cache, chunk=16)
            store = cache.layers[1].groups[0].store
            shifts = [s for s in task.segments[row].tolist() if s < store.first]
            total += hits((store.starts[0] + 1).tolist(), shifts) / 6
        scores[name] = total
    assert scores["events"] > scores["blocks"] + 0.15


@torch.no_grad()
def test_a_prompt_whose_surprise_is_not_known_yet_is_refused(small_model):
    task = tasks.topics(1, 100, 4, seed=42)
    blocks = EMLLM(top=3, local=24, sinks=1, step=12, tiers=Tiers(6))
    with pytest.raises(InvalidInput, match="chunk=12"), attached(small_model):
        small_model(task.context, past_key_values=MemoryCache(small_model, CacheMethod(store=blocks)))
