"""Transform coding: bits go where entries vary and errors matter; what is read is close to what was put in."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnemos.activation import CacheMethod, MemoryCache, read
from mnemos.activation.compress.kivi import Kivi
from mnemos.activation.compress.planes import ERROR, Planes, widths
from mnemos.activation.compress.spectrum import Spectrum, find_spectrum
from mnemos.activation.compress.transform import TransformCoding
from mnemos.activation.forget.adakv import AdaKV
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.errors import InvalidInput


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=3), st.floats(0, 4))
def test_widths_make_the_error_least(variance, bits):
    count = int(bits * len(variance))
    found = widths(torch.tensor(variance, dtype=torch.double), bits).tolist()
    assert sum(found) == count

    def error(chosen):
        return sum(v * ERROR[b] for v, b in zip(variance, chosen, strict=True))

    best = min(error(chosen) for chosen in product(range(9), repeat=len(variance)) if sum(chosen) == count)
    assert error(found) <= best * (1 + 1e-6)


@pytest.mark.parametrize("count", [8, 21])
def test_planes_round_to_the_error_of_their_bits_and_take_no_more_than_them(count):
    rng = torch.Generator().manual_seed(0)
    numbers = torch.randn(2, 9, 100 * count, generator=rng) * torch.logspace(-2, 2, 9)[:, None]
    bits = torch.arange(9, dtype=torch.uint8)
    planes = Planes.of(numbers, bits)
    error = (planes.open() - numbers).square().mean((0, 2)) / numbers.square().mean((0, 2))
    for found, expected in zip(error.tolist()[:7], ERROR[:7], strict=True):
        assert found == pytest.approx(expected, rel=0.15)
    assert error[7:].max() < 2 * ERROR[7]  # steps are float16, and a few numbers lie beyond the last level
    assert planes.nbytes == 2 * sum(range(9)) * -(-100 * count // 8) + 9 * 3
    assert torch.equal(planes.rows(torch.tensor([1, 1])).open(), planes.open()[[1, 1]])


def test_planes_of_a_batch_without_a_bit_read_as_zeros():
    planes = Planes.of(torch.randn(2, 3, 5), torch.zeros(3, dtype=torch.uint8))
    assert torch.equal(planes.open(), torch.zeros(2, 3, 5))


@pytest.mark.parametrize("together", [True, False])
def test_the_code_of_a_spectrum_can_be_undone_and_leaves_no_correlation(llama, long_ids, together):
    rotary = MemoryCache(llama).rotary()
    spectrum = find_spectrum(llama, long_ids, rotary, together)
    for code, back in ((spectrum.key_code, spectrum.key_back), (spectrum.value_code, spectrum.value_back)):
        assert (code @ back - torch.eye(code.shape[-1])).abs().max() < 1e-3
    cache = MemoryCache(llama)
    read(llama, long_ids, cache)
    keys = rotary.shift(cache.layers[1].keys, -torch.arange(48))[:, :, 4:]
    blocks = keys.unflatten(1, (spectrum.key_mean.shape[1], -1)).transpose(2, 3).flatten(3)
    coded = (blocks - spectrum.key_mean[1][:, None]) @ spectrum.key_code[1]
    spread = torch.einsum("bntw,bntv->nwv", coded, coded)
    size = spread.diagonal(dim1=1, dim2=2)
    assert (spread - torch.diag_embed(size)).abs().max() < 1e-3 * size.max()


def test_a_spectrum_is_saved_and_loaded(llama, long_ids, tmp_path):
    spectrum = find_spectrum(llama, long_ids, MemoryCache(llama).rotary())
    spectrum.save(tmp_path / "s")
    again = Spectrum.load(tmp_path / "s")
    assert (again.key_code - spectrum.key_code).abs().max() < 1e-2 * spectrum.key_code.abs().max()
    assert 2 * (tmp_path / "s").stat().st_size < 1.1 * spectrum.nbytes
    method = CacheMethod(store=TransformCoding(8, Spectrum.load(tmp_path / "s")))
    cache, full = MemoryCache(llama, method), MemoryCache(llama)
    for one in (cache, full):
        read(llama, long_ids, one)
    assert (cache.layers[2].keys - full.layers[2].keys).abs().max() < 0.1 * full.layers[2].keys.abs().max()
    (tmp_path / "cut").write_bytes((tmp_path / "s").read_bytes()[:-9])
    with pytest.raises(InvalidInput, match="cut cannot be read"):
        Spectrum.load(tmp_path / "cut")


def error_of(model, ids, store):
    """Return how far the attention's logits of a layer are off, and the bytes held."""
    cache, full = MemoryCache(model, CacheMethod(store=store)), MemoryCache(model)
    for one in (cache, full):
        read(model, ids, one)
    off = cache.layers[1].values - full.layers[1].values
    return float(off.norm() / full.layers[1].values.norm()), cache.nbytes


def test_where_entries_lie_in_few_directions_it_loses_less_than_rounding_in_as_many_bytes(make_llama):
    model = make_llama(layers=2)
    ids = torch.randint(3, 99, (1, 400), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for layer in model.model.layers:  # values of eight directions
            left, size, right = torch.linalg.svd(layer.self_attn.v_proj.weight)
            size[8:] *= 0.02
            layer.self_attn.v_proj.weight.copy_(left * size @ right[: len(size)])
    ours, held = error_of(model, ids, TransformCoding(2.5))
    theirs, more = error_of(model, ids, Kivi(2, residual=0))
    assert held <= more
    assert ours < theirs / 2


@torch.no_grad()
def test_later_entries_wait_and_are_then_packed(llama, ids, read_in):
    text = torch.cat((ids, ids, ids), 1)[:1]
    method = CacheMethod(store=TransformCoding(6, group=16))
    cache, _ = read_in(llama, method, text, (40, *[1] * 40))
    store = cache.layers[0].groups[0].store
    assert [part.planes.count for part in store.parts] == [39, 16, 16]
    assert store.keys.shape[2] == 8
    full, _ = read_in(llama, CacheMethod(), text, (40, *[1] * 40))
    assert (cache.layers[0].keys - full.layers[0].keys).abs().max() < 0.2 * full.layers[0].keys.abs().max()
    with pytest.raises(InvalidInput, match="packed together"):
        cache.crop(-20)


def test_rows_that_are_equal_are_held_once(llama, long_ids):
    cache = MemoryCache(llama, CacheMethod(store=TransformCoding(4)))
    read(llama, long_ids, cache)
    before, keys = cache.nbytes, cache.layers[1].keys.clone()
    cache.batch_repeat_interleave(5)
    assert cache.nbytes <= before + 3 * 10 * 8
    assert torch.equal(cache.layers[1].keys, keys.repeat_interleave(5, 0))
    cache.batch_select_indices(torch.tensor([9, 2]))
    assert torch.equal(cache.layers[1].keys, keys[[1, 0]])
    cache.batch_select_indices(torch.tensor([1]))
    assert torch.equal(cache.layers[1].keys, keys[:1])


def test_a_short_prompt_stays_as_it_is(llama, ids):
    cache, full = MemoryCache(llama, CacheMethod(store=TransformCoding())), MemoryCache(llama)
    for one in (cache, full):
        read(llama, ids[:, :12], one)
    assert (cache.layers[0].keys - full.layers[0].keys).abs().max() < 1e-5


def test_heads_that_hold_different_entries_are_coded_apart(llama, long_ids):
    evicting = {"score": KeyDiff(), "prompt": 0.5, "allocation": AdaKV()}
    cache = MemoryCache(llama, CacheMethod(**evicting, store=TransformCoding(8, together=False)))
    plain = MemoryCache(llama, CacheMethod(**evicting))
    for one in (cache, plain):
        read(llama, long_ids, one)
    assert any(len(layer.groups) > 1 for layer in cache.layers)
    for coded, exact in zip(cache.layers, plain.layers, strict=True):
        for mine, its in zip(coded.groups, exact.groups, strict=True):
            found, expected = (g.store.read(torch.empty(0), 48).keys for g in (mine, its))
            assert (found - expected).abs().max() < 0.1 * expected.abs().max()
    with pytest.raises(InvalidInput, match="together=False"):
        read(llama, long_ids, MemoryCache(llama, CacheMethod(**evicting, store=TransformCoding(8))))


def test_a_spectrum_of_another_model_is_refused(llama, make_llama, long_ids):
    spectrum = find_spectrum(make_llama(layers=2), long_ids)
    with pytest.raises(InvalidInput, match="2 layers and the model 3"):
        MemoryCache(llama, CacheMethod(store=TransformCoding(spectrum=spectrum)))


@pytest.mark.parametrize("wrong", [{"bits": 0.0}, {"bits": 9.0}, {"share": 0.0}, {"sinks": -1}, {"group": 4}])
def test_settings_that_hold_nothing_are_refused(wrong):
    with pytest.raises(InvalidInput):
        TransformCoding(**wrong)
