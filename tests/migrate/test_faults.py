"""What makes stored keys and values wrong is noticed: changed models, damaged files, few bits; and the disk is bounded."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from itertools import permutations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from transformers import DeepseekV3Config, DeepseekV3ForCausalLM, LlamaConfig, LlamaForCausalLM

from mnemos import Mnemos
from mnemos.errors import StoreError
from mnemos.migrate.fingerprints import Fingerprints
from mnemos.migrate.pieces import render
from mnemos.migrate.schedule import RetentionSchedule, SegmentStats

GREEDY = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0}


class Letters:
    bos_token_id = 1

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def __call__(self, text, add_special_tokens=False):
        return {"input_ids": [3 + (b + self.shift) % 96 for b in text.encode()]}


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=99, hidden_size=128, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=1024,
        )
    ).eval()  # fmt: skip


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        space = memory.space("ana")
        texts = ("I moved to Faro.", "My sister Rita lives in Lisbon.", "I have a dog called Bolt.", "It rains.")
        for i, text in enumerate(texts):
            space.add(text, speaker="Ana", at=datetime(2025, 1, 1) + timedelta(days=i), reconcile=False)
        yield space


@pytest.fixture
def model():
    return llama()


def ids_of(space):
    return [cube.id for cube in space.cubes().items]


def merge(model):
    low = torch.randn(128, 1, generator=torch.Generator().manual_seed(1))
    model.model.layers[1].self_attn.q_proj.weight.data += 1e-2 * low @ low.T


def edit(index):
    def change(model):
        model.model.layers[0].mlp.down_proj.weight.data[index] *= 1.5

    return change


CHANGES = {
    "a merged adapter": merge,
    "a row": edit(77),
    "a column": edit((slice(None), 159)),
    "a token's row": lambda m: m.model.embed_tokens.weight.data[98].mul_(2),
    "a norm": lambda m: m.model.norm.weight.data[5].mul_(2),
    "frequencies": lambda m: m.model.rotary_emb.inv_freq.mul_(0.5),
    "new frequencies": lambda m: setattr(m.model.rotary_emb, "inv_freq", m.model.rotary_emb.inv_freq * 0.5),
    "a scaling": lambda m: setattr(m.model.layers[0].self_attn, "scaling", 0.5),
    "the type": lambda m: m.to(torch.bfloat16),
    "the configuration": lambda m: setattr(m.config, "rms_norm_eps", 1e-3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_model_has_another_fingerprint_and_the_old_one_when_it_is_changed_back(model, change):
    known = Fingerprints()
    first, state = known.of(model), {n: t.clone() for n, t in model.state_dict().items()}
    assert known.of(model) == first
    change(model)
    assert known.of(model) != first
    if "merged" in str(change):
        model.load_state_dict(state)
        assert known.of(model) == first


def test_what_a_changed_model_reads_is_read_again(model, space):
    ids = ids_of(space)
    space.activate(ids, model, Letters())
    assert space.activate(ids, model, Letters()).sources["ram"] == 4
    merge(model)
    assert space.activate(ids, model, Letters()).sources["prefill"] == 4
    assert space.activate(ids, model, Letters(shift=1)).sources["prefill"] == 4, "another tokenizer"


def test_a_fingerprint_is_that_of_the_same_model_loaded_again(model):
    first = Fingerprints().of(model)
    model.generate(torch.tensor([[1, 5, 9]]), **GREEDY)
    assert Fingerprints().of(model) == first, "using a model does not change it"
    assert Fingerprints().of(llama()) == first


@pytest.mark.parametrize("at", [0.01, 0.3, 0.6, 0.999])
def test_a_single_wrong_byte_is_noticed(model, space, at):
    ids = ids_of(space)
    first = space.activate(ids, model, Letters())
    space.activations.free_ram()
    for path in space.store.blobs.folder.iterdir():
        data = bytearray(path.read_bytes())
        data[int(at * len(data))] ^= 4
        path.write_bytes(data)
    again = space.activate(ids, model, Letters())
    assert again.sources == {"ram": 0, "disk": 0, "prefill": 4}
    for a, b in zip(first.cache.layers, again.cache.layers, strict=True):
        assert torch.equal(a.keys, b.keys)


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("mode", ["exact", "block"])
def test_few_bits_are_the_same_from_every_tier(model, space, bits, mode):
    space.activations.bits = bits
    a, b, c, d = ids_of(space)

    def keys(cubes):
        active = space.activate(cubes, model, Letters(), mode=mode)
        return active.sources, torch.cat([t for la in active.cache.layers for t in (la.keys, la.values)])

    read, first = keys([a, b, c])
    assert read["prefill"] == 3
    assert torch.equal(keys([a, b, c])[1], first)
    space.activations.free_ram()
    stored, again = keys([a, b, c])
    assert stored["disk"] == 3
    assert torch.equal(again, first)
    _, longer = keys([a, b, c, d])
    space.store.erase(list(space.store.blobs.ids()))
    assert torch.equal(keys([a, b, c, d])[1], longer), "read at once as after what was stored"


@pytest.mark.parametrize("bits", [None, 4])
def test_latents_are_cubes_too(space, bits):
    torch.manual_seed(0)
    model = DeepseekV3ForCausalLM(DeepseekV3Config(
        vocab_size=99, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, kv_lora_rank=16, q_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=8,
        n_routed_experts=2, num_experts_per_tok=1, moe_intermediate_size=8, n_group=1, topk_group=1, pad_token_id=0,
    )).eval()  # fmt: skip
    space.activations.bits = bits
    ids = ids_of(space)
    first = space.activate(ids, model, Letters())
    space.activations.free_ram()
    active = space.activate(ids, model, Letters())
    assert active.sources["disk"] == 4
    found = active.generate("Where?", **GREEDY)
    assert torch.equal(first.generate("Where?", **GREEDY), found)
    if bits is None:
        tokens = [1, *Letters()("".join(render(space.get(i)) for i in ids) + "Where?")["input_ids"]]
        asked = torch.tensor([tokens])
        expected = model.generate(asked, attention_mask=torch.ones_like(asked), **GREEDY)[:, len(tokens) :]
        assert torch.equal(found, expected)


def test_the_disk_is_bounded_whatever_is_asked(model, space):
    space.activations.schedule = RetentionSchedule(each=2)
    for order in list(permutations(ids_of(space), 3))[::2]:
        space.activate(list(order), model, Letters())
        assert len(space.store.blobs.ids()) <= 2 * 4
        assert {s.before for s in space.activations.stats()} - {None} <= space.store.blobs.ids(), "no prefix is missing"
    bound = space.store.blobs.nbytes // 2
    space.activations.schedule = RetentionSchedule(nbytes=bound)
    assert space.activations.tend()
    for order in list(permutations(ids_of(space), 3))[::8]:
        space.activate(list(order), model, Letters())
        assert space.store.blobs.nbytes <= bound
    assert {cube.id for cube in space.cubes(kind="kv").items} == space.store.blobs.ids()


def test_a_full_disk_costs_a_prefill_and_nothing_else(model, space, monkeypatch):
    ids = ids_of(space)
    expected = space.activate(ids, model, Letters()).generate("Where?", **GREEDY)
    space.store.erase(list(space.store.blobs.ids()))

    def full(*_):
        raise StoreError("the disk is full.")

    monkeypatch.setattr(space.store.blobs, "write", full)
    with pytest.warns(RuntimeWarning, match="disk is full"):
        active = space.activate(ids, model, Letters())
    assert torch.equal(active.generate("Where?", **GREEDY), expected)
    assert not space.cubes(kind="kv").items


def test_a_prefix_is_kept_with_what_is_behind_it_or_not_at_all():
    def one(name, before=None, uses=0, nbytes=10, cube=""):
        return SegmentStats(name, nbytes, 1.0, uses, 0.0, 7_200.0, before, cube)

    chain = [one("a"), one("b", "a"), one("c", "b", uses=9), one("d", uses=1)]
    assert set(RetentionSchedule(nbytes=40).keep(chain, 7_200.0)) == {"a", "b", "c", "d"}
    assert set(RetentionSchedule(nbytes=30).keep(chain, 7_200.0)) == {"a", "b", "c"}
    assert set(RetentionSchedule(nbytes=20).keep(chain, 7_200.0)) == {"d", "a"}
    assert RetentionSchedule(nbytes=40).keep(chain[1:], 7_200.0) == ["d"], "b and c cannot be used without a"
    same = [one("a", cube="x"), one("b", uses=1, cube="x"), one("c", uses=2, cube="x")]
    assert set(RetentionSchedule(each=2).keep(same, 7_200.0)) == {"b", "c"}
    assert not RetentionSchedule(each=2).fits(same)


@pytest.mark.parametrize("form", ["activations", "weights"])
@pytest.mark.parametrize("read_only", [True, False])
def test_what_a_crash_left_is_swept_but_not_by_a_reader(tmp_path, form, read_only):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        space.add("I live in Lisbon.")
        space.store.blobs.write("a" * 16, b"left")
        (path,) = [p for p in tmp_path.rglob("*") if p.is_file() and p.name.startswith("a" * 16)]
    os.utime(path, (0, 0))
    with Mnemos(tmp_path, embedder="none", read_only=read_only) as memory:
        getattr(memory.space("ana"), form)
        assert path.exists() == read_only
