"""A cache in a file goes on as the one that was saved, for every preset, and never by pickle."""

from __future__ import annotations

import json
import pickle

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors import safe_open
from safetensors.torch import save_file

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.compress.xquant import XQuant
from mnemos.activation.forget.scope import scope
from mnemos.activation.presets import all_presets
from mnemos.errors import InvalidInput, StoreCorrupt

PRESETS = all_presets()


@torch.no_grad()
def go_on(model, cache, ids):
    with attached(model):
        return torch.cat([model(ids[:, at : at + 1], past_key_values=cache).logits for at in range(40, 48)], 1)


@pytest.fixture
def saved(make_llama, long_ids, read_in, tmp_path):
    """Return a model, and a cache before and after it was in a file."""

    def make(method):
        model = make_llama(layers=2, width=128)
        cache, _ = read_in(model, method, long_ids, (38, 1, 1))
        cache.save(tmp_path / "cache.safetensors")
        return model, cache, MemoryCache.load(tmp_path / "cache.safetensors", model)

    return make


@pytest.mark.parametrize("name", PRESETS)
def test_a_cache_that_was_saved_goes_on_as_before(saved, long_ids, name):
    model, cache, loaded = saved(PRESETS[name].at_share(0.3))
    assert (loaded.held, loaded.tokens_read) == (cache.held, 40)
    assert loaded.nbytes <= cache.nbytes
    assert torch.equal(go_on(model, loaded, long_ids), go_on(model, cache, long_ids))
    assert loaded.held == cache.held


def test_a_store_that_refers_to_other_layers_is_whole_again(saved, long_ids):
    model, cache, loaded = saved(CacheMethod(store=XQuant(4, group=8, latent=False, across=True)))
    assert torch.equal(go_on(model, loaded, long_ids), go_on(model, cache, long_ids))


def test_it_holds_as_many_bytes_as_the_cache_and_reads_without_pickle(saved, tmp_path):
    _, cache, _ = saved(PRESETS["kivi"].at_share(0.25))
    path = tmp_path / "cache.safetensors"
    with safe_open(path, framework="pt") as file:
        assert "mikv" not in json.loads(file.metadata()["mnemos-cache"])
        held = sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118
    assert held == cache.nbytes
    assert list(tmp_path.iterdir()) == [path]


def test_pickle_is_refused_and_names_what_to_use(after):
    cache = after(PRESETS["snapkv"].at_share(0.25))
    with pytest.raises(InvalidInput, match=r"save\(path\)"):
        pickle.dumps(cache)
    assert cache.copy().held == cache.held


def test_what_cannot_be_written_is_refused_by_name_and_leaves_no_file(after, tmp_path):
    cache = after(scope(None, 20, 8, recent=2, schedule="adaptive"))
    with pytest.raises(InvalidInput, match="grown"):
        cache.save(tmp_path / "cache")
    assert not list(tmp_path.iterdir())


def test_another_model_and_a_damaged_file_are_refused(saved, make_llama, tmp_path):
    model, _, _ = saved(CacheMethod(prompt=10))
    path = tmp_path / "cache.safetensors"
    with pytest.raises(InvalidInput, match="another model"):
        MemoryCache.load(path, make_llama(layers=3, width=128))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        MemoryCache.load(path, model)


@pytest.mark.parametrize(
    "name", ["os:system", "mnemos.activation.saving:os.system", "mnemos.activation.cache:Cache", "subprocess:Popen"]
)
def test_a_file_names_nothing_but_classes_of_the_package(saved, tmp_path, name):
    model, _, _ = saved(CacheMethod(prompt=10))
    path = tmp_path / "cache.safetensors"
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["mnemos-cache"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    header["objects"][0]["class"] = name
    save_file(tensors, path, metadata={"mnemos-cache": json.dumps(header)})
    with pytest.raises(StoreCorrupt, match="names"):
        MemoryCache.load(path, model)
