"""EpiCache: a cache for each episode, within its budget and a block, that holds what the episode asks for."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.recall.epicache import EpiCache, clustered, layer_counts
from mnemos.bench.kv import tasks
from mnemos.bench.kv.vocabulary import FILLERS, KEYS, SIZE, VALUES
from mnemos.errors import InvalidInput, StoreCorrupt


def bag(ids):
    vector = torch.zeros(SIZE)
    vector[ids] = 1.0
    vector[: KEYS.start] = vector[VALUES.start : VALUES.stop] = 0.0
    vector[FILLERS.start :] *= 0.3
    return vector


@pytest.fixture(scope="module")
def task():
    return tasks.key_value(6, 64, 8, seed=90)


def windows(ids):
    return list(ids.split(8))


@torch.no_grad()
def share(model, task, caches) -> float:
    """Return the share of right answers; `caches(i)` gives, for a conversation, what gives the cache for a question."""
    right = 0
    with attached(model):
        for i in range(len(task)):
            give = caches(i)
            for question, value in zip(task.questions[i], task.answers[i, :, 0], strict=True):
                right += int(model(question[None], past_key_values=give(question)).logits[0, -1].argmax() == value)
    return right / task.answers.numel()


def test_episodes_answer_more_than_one_cache_for_all_or_for_one_question(small_model, task):
    def episodes(count, medoids):
        def caches(i):
            memory = EpiCache(small_model, 16, block=16, episodes=count, medoids=medoids, embed=bag)
            memory.read(task.context[i], windows(task.context[i]))
            return memory.ask

        return share(small_model, task, caches)

    def one_question(i):
        cache = MemoryCache(small_model, CacheMethod(SnapKV(), prompt=16))
        read(small_model, torch.cat((task.context[i], task.questions[i, 0]))[None], cache)
        return lambda question: cache.copy()

    own = episodes(4, 8)
    assert own >= 0.85
    assert own > episodes(1, 8) + 0.1
    assert own > share(small_model, task, one_question) + 0.1


@torch.no_grad()
def test_caches_in_a_folder_answer_as_those_in_ram_and_a_damaged_one_is_refused(small_model, task, tmp_path):
    in_ram, on_disk = (EpiCache(small_model, 16, 16, 4, embed=bag, sharpness=1.0, folder=f) for f in (None, tmp_path))
    for memory in (in_ram, on_disk):
        memory.read(task.context[0], windows(task.context[0]))
    assert on_disk.nbytes == 0 < in_ram.nbytes
    assert len(list(tmp_path.iterdir())) == 4
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 1.2 * in_ram.nbytes + 4 * 2000
    with attached(small_model):
        for question in task.questions[0]:
            told = [small_model(question[None], past_key_values=m.ask(question)).logits for m in (in_ram, on_disk)]
            assert torch.equal(*told)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreCorrupt, match="episode"):
        on_disk.ask(task.questions[0, 0])


@pytest.mark.parametrize(("budget", "block"), [(16, 16), (12, 8)])
def test_no_cache_ever_holds_more_than_budget_and_block(small_model, task, budget, block):
    memory = EpiCache(small_model, budget, block=block, episodes=2, embed=bag)
    memory.read(task.context[0], windows(task.context[0]))
    assert memory.peak == budget + block
    for cache in memory.caches:
        assert cache.held == [[budget]] * 2
        assert cache.tokens_read == 64
    assert memory.nbytes == sum(cache.nbytes for cache in memory.caches)


@torch.no_grad()
def test_what_the_patched_prompt_attends_to_most_is_kept(small_model, task):
    ids = task.context[1][:32]
    memory = EpiCache(small_model, 8, block=32, episodes=1, medoids=1, embed=bag)
    memory.read(ids, [ids[8:16]])
    full = MemoryCache(small_model)
    got = {}

    class Look:
        def __call__(self, view):
            return view.entries.positions()

        def observe(self, view):
            got[view.layer] = view.weights()

    watched = MemoryCache(small_model, CacheMethod(Look()))
    with attached(small_model):
        small_model(ids[None], past_key_values=full)
        small_model(ids[None], past_key_values=watched)
        small_model(ids[None, 8:16], past_key_values=watched)
    for layer in range(2):
        worth = torch.tensor([float(got[layer][0, 0, :, :, t].max()) for t in range(32)])
        worth[0] = 9.0  # the sink
        best = worth.topk(8).indices.sort().values
        entries = memory.caches[0].layers[layer].groups[0].store.entries
        assert entries.position_ids[0, 0].tolist() == best.tolist()
        assert (entries.keys[0, 0] - full.layers[layer].keys[0, 0, best]).abs().max() <= 1e-5


def test_vectors_that_stand_together_are_one_episode_with_its_medoid():
    directions = torch.eye(3)[[0, 0, 1, 1, 1, 2]]
    vectors = torch.nn.functional.normalize(
        directions + 0.1 * torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    )
    centroids, chosen = clustered(vectors, 3, 3, seed=0)
    assert sorted(sorted(some) for some in chosen) == [[0, 1], [2, 3, 4], [5]]
    assert torch.allclose(centroids.norm(dim=1), torch.ones(3))
    for i, some in enumerate(clustered(vectors, 3, 1, seed=0)[1]):
        group = max(chosen, key=lambda group: some[0] in group)
        assert some[0] == max(group, key=lambda member: float(vectors[member] @ centroids[i]))


def test_layers_that_need_more_get_more_of_the_same_total(small_model, task):
    assert layer_counts([0.3, 0.1], 20, 1.0, 2) == [29, 11]
    assert layer_counts([0.3, 0.1], 20, 0.0, 2) == [20, 20]
    memory = EpiCache(small_model, 16, block=16, episodes=1, sharpness=0.5, embed=bag)
    memory.read(task.context[0], windows(task.context[0]))
    assert sum(memory.counts) == 32
    assert memory.counts[1] > memory.counts[0]  # the first layer's keys know no past


def test_invalid_settings_are_refused(small_model):
    with pytest.raises(InvalidInput, match="read"):
        EpiCache(small_model, 16).ask(torch.tensor([5]))
    with pytest.raises(InvalidInput, match="give a budget above"):
        EpiCache(small_model, 1)
