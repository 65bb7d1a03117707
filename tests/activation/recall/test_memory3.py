"""Memory³: what is kept of a reference, where it stands before a text, and that it answers when not read again."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import MemoryCache, attached
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.recall.memory3 import Library
from mnemos.bench.kv import tasks
from mnemos.bench.kv.vocabulary import BOS, KEYS, SIZE
from mnemos.errors import InvalidInput


def by_keys(ids):
    vector = torch.zeros(SIZE)
    vector[ids] = 1.0
    vector[: KEYS.start] = vector[KEYS.stop :] = 0.0
    return vector


@pytest.fixture(scope="module")
def facts():
    """Twelve references of 16 tokens: (ids, key, value), no key twice."""
    task = tasks.key_value(12, 16, 1, seed=70)
    keys = torch.tensor(list(KEYS))[:12]
    task.context.scatter_(1, task.evidence[:, 0, :1], keys[:, None])
    return list(zip(task.context, keys, task.answers[:, 0, 0], strict=True))


@pytest.fixture(scope="module")
def library(small_model, facts):
    library = Library(small_model, tokens=8, longest=32, nearest=3, layers=[1], score=KeyDiff(), embed=by_keys)
    for ids, _, _ in facts:
        library.add(ids)
    return library


def test_memories_answer_what_the_model_alone_cannot(library, small_model, facts):
    right = alone = 0
    for _, key, value in facts:
        asked = torch.tensor([[BOS, int(key)]])
        right += int(library.read(asked, library.cache()).argmax() == value)
        alone += int(small_model(asked).logits[0, -1].argmax() == value)
    assert right >= 10
    assert alone <= 2


def test_the_nearest_reference_stands_next_to_the_text(library, facts):
    for number, (_, key, _) in enumerate(facts):
        found = library.find(torch.tensor([BOS, int(key)]))
        assert len(found) == 3
        assert found[-1] == number


@torch.no_grad()
def test_what_is_kept_are_the_tokens_that_received_most_attention(small_model, facts):
    library = Library(small_model, tokens=3, longest=32)
    ids = facts[0][0]
    library.add(ids)
    with attached(small_model):
        cache, seen = MemoryCache(small_model), {}
        layer = small_model.model.layers[0].self_attn
        hook = layer.q_proj.register_forward_hook(lambda m, a, out: seen.update(query=out))
        small_model(ids[None], past_key_values=cache)
        hook.remove()
    rotary, keys = cache.rotary(), cache.layers[0].keys
    query = rotary.shift(seen["query"].view(1, 16, 2, 32).transpose(1, 2), torch.arange(16).expand(1, 2, -1))
    received = torch.zeros(16)
    for head in range(2):
        for q in range(16):
            weights = (keys[0, 0, : q + 1] @ query[0, head, q] * 32**-0.5).softmax(0)
            received[:q] += weights[:q]  # not what a token gives itself
    best = received.topk(3).indices.sort().values
    kept = library.memories[0][0]
    assert set(library.memories[0]) == {0}  # the first half of two layers
    assert (kept.keys - rotary.shift(keys[:, :, best], -32)).abs().max() <= 1e-4
    assert torch.equal(kept.values, cache.layers[0].values[:, :, best])


@torch.no_grad()
def test_a_whole_reference_in_all_layers_is_a_text_read_before_with_a_gap(small_model, facts):
    """One layer's attention over text and memory at once, against the model's own over a cache with that gap."""
    library = Library(small_model, tokens=16, longest=16, nearest=1, layers=[0, 1])
    library.add(facts[0][0])
    asked = torch.tensor([[int(facts[0][1]), 9]])
    found = library.read(asked, library.cache())
    expected = small_model(torch.cat((facts[0][0][None], asked), 1)).logits[:, -1]
    assert (found - expected).abs().max() <= 1e-3


def test_bytes_are_those_of_what_is_kept(library, small_model):
    assert library.nbytes == 12 * (8 * 32 * 4 * 2 + 8 * 4) + 12 * SIZE * 4
    cache = library.cache()
    library.read(torch.tensor([[BOS, KEYS[0]]]), cache)
    assert cache.layers[1].nbytes >= 3 * 8 * 32 * 4 * 2


def test_coded_memories_take_fewer_bytes_and_answer_as_much(small_model, facts):
    library = Library(small_model, tokens=8, longest=32, nearest=3, layers=[1], score=KeyDiff(), embed=by_keys)
    for ids, _, _ in facts[:10]:
        library.add(ids)
    plain, kept = sum(e.nbytes for m in library.memories for e in m.values()), library.entries(3, 1)
    library.quantise(parts=8, levels=1, codes=64)
    for ids, _, _ in facts[10:]:
        library.add(ids)  # with the codebooks of before
    assert sum(e.nbytes for m in library.memories[:10] for e in m.values()) == 10 * 8 * 2 * 8
    assert plain / 15 > 10 * 8 * 2 * 8
    assert (library.entries(3, 1).keys - kept.keys).norm() < 0.5 * kept.keys.norm()
    right = sum(
        int(library.read(torch.tensor([[BOS, int(key)]]), library.cache()).argmax() == value) for _, key, value in facts
    )
    assert right >= 9
    with pytest.raises(InvalidInput, match="coded already"):
        library.quantise()


def test_a_reference_that_is_too_long_is_refused(library):
    with pytest.raises(InvalidInput, match="cut it into parts"):
        library.add(torch.ones(33, dtype=torch.long))
