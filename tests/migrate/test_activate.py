"""Cubes as keys and values: the same tokens as the text in the prompt, found again, erased with the cubes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from mnemos import Mnemos, Policy, registry
from mnemos.errors import InvalidInput, NotFound
from mnemos.migrate.pieces import render
from mnemos.migrate.schedule import RetentionSchedule

START = datetime(2025, 1, 1)
QUESTION = "Where does Ana live?"


class Letters:
    """Bytes as tokens: what every tokenizer does, without one to download."""

    bos_token_id = 1

    def __call__(self, text, add_special_tokens=False):
        return {"input_ids": [3 + b % 96 for b in text.encode()]}

    def decode(self, ids, skip_special_tokens=True):
        return " ".join(map(str, ids.tolist()))


def llama(seed: int = 0, layers: int = 3) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=99, hidden_size=64, intermediate_size=128, num_hidden_layers=layers, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=1024,
        )
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return llama()


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory


@pytest.fixture
def space(memory):
    space = memory.space("ana")
    texts = ("I moved to Faro.", "My sister Rita lives in Lisbon.", "I have a dog called Bolt.")
    for i, text in enumerate(texts):
        space.add(text, speaker="Ana", at=START + timedelta(days=i), reconcile=False)
    return space


def ids_of(space):
    return [cube.id for cube in space.cubes().items]


def plain(model, space, ids, question=QUESTION, **options):
    """Return what the model says with the text of the cubes in the prompt."""
    text = "".join(render(space.get(i)) for i in ids)
    tokens = [1, *Letters()(text)["input_ids"], *Letters()(question)["input_ids"]]
    asked = torch.tensor([tokens])
    return model.generate(asked, attention_mask=torch.ones_like(asked), **options)[:, len(tokens) :]


GREEDY = {"max_new_tokens": 20, "do_sample": False, "pad_token_id": 0}


def test_it_says_the_same_as_with_the_text_in_the_prompt_from_every_tier(model, space):
    ids = ids_of(space)
    expected = plain(model, space, ids, **GREEDY)
    first = space.activate(ids, model, Letters())
    again = space.activate(ids, model, Letters())
    space.activations.free_ram()
    stored = space.activate(ids, model, Letters())
    for active, tier in ((first, "prefill"), (again, "ram"), (stored, "disk")):
        assert active.sources[tier] == 3
        assert torch.equal(active.generate(QUESTION, **GREEDY), expected)
        assert torch.equal(active.generate(QUESTION, **GREEDY), expected), "a cache is copied, not used up"


def test_another_process_finds_it_on_the_disk(model, space, memory):
    expected = space.activate(ids_of(space), model, Letters()).generate(QUESTION, **GREEDY)
    memory.release("ana")
    active = memory.space("ana").activate(ids_of(memory.space("ana")), llama(), Letters())
    assert active.sources == {"ram": 0, "disk": 3, "prefill": 0}
    assert torch.equal(active.generate(QUESTION, **GREEDY), expected)


def test_a_common_prefix_is_read_once(model, space):
    a, b, c = ids_of(space)
    space.activate([a, b], model, Letters())
    assert space.activate([a, c], model, Letters()).sources == {"ram": 1, "disk": 0, "prefill": 1}
    assert space.activate([a, b, c], model, Letters()).sources == {"ram": 2, "disk": 0, "prefill": 1}
    assert space.activate([b], model, Letters()).sources["prefill"] == 1, "b after a is not b alone"


def test_a_query_chooses_cubes_in_the_order_of_time(model, space):
    active = space.activate("Where do Rita and the dog live?", model, Letters(), k=2)
    assert list(active.cubes) == ids_of(space)[1:]
    assert active.answer(QUESTION, **GREEDY)


def test_blocks_are_read_once_and_joined_in_any_order(space):
    one = llama(layers=1)  # keys of a first layer do not depend on what stood before: joining is exact
    a, b, c = ids_of(space)
    space.activate([a, b, c], one, Letters(), mode="block")
    joined = space.activate([c, a, b], one, Letters(), mode="block")
    assert joined.sources == {"ram": 3, "disk": 0, "prefill": 0}
    with torch.no_grad():
        expected = one.model(joined.ids, use_cache=True).past_key_values.layers[0].keys
    assert (joined.cache.layers[0].keys - expected).abs().max() <= 1e-5


def test_joined_cubes_are_those_read_together_where_all_is_computed_again(model, space):
    a, b, c = ids_of(space)
    space.activate([a, b, c], model, Letters(), mode="block")
    expected = plain(model, space, [c, a, b], **GREEDY)
    joined = space.activate([c, a, b], model, Letters(), mode="block", recompute=1.0)
    assert joined.sources == {"ram": 3, "disk": 0, "prefill": 0}
    assert torch.equal(joined.generate(QUESTION, **GREEDY), expected)
    full = space.activate([c, a, b], model, Letters()).cache.layers[2].values
    wrong = [
        float(
            (
                space.activate([c, a, b], model, Letters(), mode="block", recompute=r).cache.layers[2].values - full
            ).norm()
        )
        for r in (0.0, 0.3, 0.6, 1.0)
    ]
    assert wrong == sorted(wrong, reverse=True)
    assert wrong[-1] <= 1e-3 * wrong[0]
    with pytest.raises(InvalidInput, match="from 0 to 1"):
        space.activate([c, a, b], model, Letters(), mode="block", recompute=15)


@pytest.mark.parametrize("way", ["delete", "update", "forget", "policy", "consolidate"])
def test_it_goes_with_the_cube(model, space, way):
    a, b, c = ids_of(space)
    space.activate([a, b, c], model, Letters())
    files = space.store.blobs.ids()
    assert len(files) == 3
    if way == "delete":
        assert len(space.delete(b)) == 3, "b, and what was read of b and after b"
    elif way == "forget":
        receipt = space.forget([b])
        assert receipt.verified
        assert receipt.derived == 2
    elif way == "update":
        space.update(b, content="My sister Rita lives in Porto.")
    else:
        space.archive([b])
        space.policy = Policy(archived_cubes=0)
        assert b in (space.apply_policy().erased if way == "policy" else space.consolidate().forgotten.erased)
    assert len(space.store.blobs.ids()) == 1
    assert not {cube.id for cube in space.cubes(kind="kv").items} - space.store.blobs.ids()
    left = [i for i in (a, b, c) if way == "update" or i != b]
    active = space.activate(left, model, Letters())
    assert active.sources["ram"] == 1, "what was erased does not stay in RAM; what was read of a alone does"
    assert torch.equal(active.generate(QUESTION, **GREEDY), plain(model, space, left, **GREEDY))


def held(space):
    return set(space.activations._segments)


def test_what_another_process_erased_leaves_ram_with_the_next_activation(model, space, memory):
    a, b, c = ids_of(space)
    for cube in (a, b, c):
        space.activate([cube], model, Letters(), mode="block")
    assert len(held(space)) == 3
    with Mnemos(memory.root, embedder="none") as other:
        other.space("ana").delete(b)
    assert space.activate([a], model, Letters(), mode="block").sources["ram"] == 1
    assert held(space) == space.store.blobs.ids()
    assert len(held(space)) == 2


@pytest.mark.parametrize("known", [True, False])
def test_what_is_erased_while_it_is_activated_is_not_held(model, space, monkeypatch, known):
    a, b, c = ids_of(space)
    if known:
        space.activate([a, b, c], model, Letters(), mode="block")
    cache = space.activations
    kept = cache._hold

    def hold(*found):
        space.delete(b)
        kept(*found)

    monkeypatch.setattr(cache, "_hold", hold)
    space.activate([a, b, c], model, Letters(), mode="block")
    assert held(space) == space.store.blobs.ids()
    assert len(held(space)) == 2


def test_another_model_does_not_get_it(model, space):
    ids = ids_of(space)
    space.activate(ids, model, Letters())
    other = llama(seed=1)
    assert space.activate(ids, other, Letters()).sources["prefill"] == 3
    with torch.no_grad():
        other.lm_head.weight[0] += 1.0
    assert space.activate(ids, other, Letters()).sources["prefill"] == 3, "a weight changed"


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "swapped", "noise"])
def test_a_damaged_file_is_computed_again_and_never_used(model, space, damage):
    ids = ids_of(space)
    expected = space.activate(ids, model, Letters()).generate(QUESTION, **GREEDY)
    space.activations.free_ram()
    paths = sorted(space.store.blobs.folder.iterdir())
    data = paths[0].read_bytes()
    if damage == "missing":
        paths[0].unlink()
    elif damage == "swapped":
        paths[0].write_bytes(paths[1].read_bytes())
    else:
        paths[0].write_bytes({"truncated": data[: len(data) // 2], "empty": b"", "noise": os.urandom(500)}[damage])
    active = space.activate(ids, model, Letters())
    assert active.sources["prefill"] >= 1
    assert torch.equal(active.generate(QUESTION, **GREEDY), expected)


def test_what_a_killed_process_left_is_swept(model, space, memory):
    space.activate(ids_of(space), model, Letters())
    blobs = space.store.blobs
    (blobs.folder / "aaaaaaaaaaaaaaaa.safetensors").write_bytes(b"half")
    (blobs.folder / "bbbbbbbbbbbbbbbb.7.part").write_bytes(b"half")
    for path in blobs.folder.iterdir():
        os.utime(path, (0, 0))
    memory.release("ana")
    space = memory.space("ana")
    assert space.activate(ids_of(space), model, Letters()).sources["disk"] == 3
    assert len(list(space.store.blobs.folder.iterdir())) == 3


def test_a_process_killed_while_it_writes_leaves_nothing_that_loads_wrongly(model, space, memory, tmp_path):
    script = (
        "import sys, os; sys.path.insert(0, sys.argv[2])\n"
        "from test_activate import *\n"
        "import mnemos.store.blobs as blobs\n"
        "def killed(fd):\n"
        "    os.ftruncate(fd, 100); os.kill(os.getpid(), 9)\n"
        "memory = Mnemos(sys.argv[1], embedder='none'); space = memory.space('ana')\n"
        "blobs.os.fsync = killed\n"
        "space.activate(ids_of(space), llama(), Letters())\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", script, str(memory.root), here], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not space.store.blobs.ids()
    active = space.activate(ids_of(space), model, Letters())
    assert active.sources["prefill"] == 3
    assert torch.equal(active.generate(QUESTION, **GREEDY), plain(model, space, ids_of(space), **GREEDY))


@pytest.mark.parametrize(("bits", "most", "error"), [(8, 0.45, 0.02), (4, 0.28, 0.2)])
def test_few_bits_take_fewer_bytes_and_change_little(model, space, bits, most, error):
    ids = ids_of(space)
    full = space.activate(ids, model, Letters())
    size = space.store.blobs.nbytes
    space.store.erase(list(space.store.blobs.ids()))
    space.activations.bits = bits
    space.activate(ids, model, Letters())
    space.activations.free_ram()
    small = space.activate(ids, model, Letters())
    assert small.sources["disk"] == 3
    assert space.store.blobs.nbytes < most * size
    for a, b in zip(full.cache.layers, small.cache.layers, strict=True):
        assert (a.keys - b.keys).abs().max() <= error * a.keys.abs().max()


def test_ram_holds_no_more_than_it_may(model, space):
    space.activations.ram = 40_000
    space.activate(ids_of(space), model, Letters())
    assert 0 < space.activations.ram_bytes <= 40_000


def test_the_disk_keeps_what_is_worth_its_bytes(model, space):
    ids = ids_of(space)
    for cube, times in zip(ids, (5, 1, 3), strict=True):
        for _ in range(times):
            space.activate([cube], model, Letters(), mode="block")
    space.flush()
    held = {h.id: h for h in space.activations.stats()}
    assert sorted(h.uses for h in held.values()) == [1, 3, 5]
    schedule = space.activations.schedule = RetentionSchedule(nbytes=sum(h.nbytes for h in held.values()) - 1)
    now = space.clock().timestamp()
    least = min(held.values(), key=lambda h: schedule.saving(h, now) / h.nbytes)
    assert space.activations.prune() == [least.id]
    assert space.store.blobs.ids() == held.keys() - {least.id}
    found = [space.activate([cube], model, Letters(), mode="block").sources for cube in ids]
    assert sorted(f["prefill"] for f in found) == [0, 0, 1]


def test_it_is_not_found_by_search_and_not_exported(model, space):
    before = [h.cube.id for h in space.search("Where does Rita live?")]
    rows = list(space.dump())
    space.activate(ids_of(space), model, Letters())
    assert [h.cube.id for h in space.search("Where does Rita live?")] == before
    assert [r["cube"]["id"] for r in space.dump()] == [r["cube"]["id"] for r in rows]
    assert len(space.cubes(kind="kv").items) == 3
    assert space.doctor().healthy


def test_there_are_activations_before_anything_was_activated(model, space):
    assert space.activations.stats() == []
    assert space.activations.prune() == []
    assert space.activations is space.activations
    space.activate(ids_of(space), model, Letters())
    assert {cube.space for cube in space.cubes(kind="kv").items} == {"ana"}


def test_the_method_is_an_activator():
    entry = registry.get("activate")
    assert (entry.kind, entry.task) == ("activator", "kv-speed")


def test_removing_the_space_removes_the_files(model, space, memory):
    space.activate(ids_of(space), model, Letters())
    folder = space.store.blobs.folder
    memory.remove("ana")
    assert not folder.exists()


def test_what_cannot_be_activated_is_refused(model, space):
    with pytest.raises(NotFound):
        space.activate(["no-such-cube"], model, Letters())
    with pytest.raises(InvalidInput, match="nothing to activate"):
        space.activate([], model, Letters())
    with pytest.raises(InvalidInput, match="mode"):
        space.activate(ids_of(space), model, Letters(), mode="fast")
    sliding = MistralForCausalLM(
        MistralConfig(vocab_size=99, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                      num_key_value_heads=2, sliding_window=8)
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="sliding"):
        space.activate(ids_of(space), sliding, Letters())
