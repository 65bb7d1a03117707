"""Keys and values as bytes: what is written is read, and what cannot be filled is refused."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from mnemos.activation import CacheMethod, MemoryCache  # noqa: E402
from mnemos.activation.compress.kivi import Kivi  # noqa: E402
from mnemos.activation.encode.segments import Segment, cut, fill, from_file, to_bytes  # noqa: E402
from mnemos.errors import InvalidInput, StoreCorrupt  # noqa: E402


def test_a_cache_filled_with_its_own_segments_is_the_cache(llama, ids, read_in):
    cache, _ = read_in(llama, CacheMethod(), ids, (ids.shape[1],))
    middle, end = ids.shape[1] // 2, ids.shape[1]
    filled = MemoryCache(llama)
    fill(filled, [cut(cache, 0, middle, "a"), cut(cache, middle, end, "b")])
    assert filled.tokens_read == cache.tokens_read == end
    for one, other in zip(filled.layers, cache.layers, strict=True):
        assert torch.equal(one.keys, other.keys)
        assert torch.equal(one.values, other.values)


def test_a_segment_is_read_as_it_was_written_and_only_under_its_digest(tmp_path):
    keys, values = torch.randn(2, 3, 1, 2, 5, 8).unbind()
    segment = Segment("digest", list(keys), list(values))
    path = tmp_path / "segment.safetensors"
    path.write_bytes(to_bytes(segment))
    read = from_file(path, "digest")
    for one, other in zip((*read.keys, *read.values), (*keys, *values), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(StoreCorrupt, match="does not hold"):
        from_file(path, "another")


def test_a_cache_that_has_read_or_that_packs_its_entries_is_not_filled(llama, ids, read_in):
    cache, _ = read_in(llama, CacheMethod(), ids, (ids.shape[1],))
    segment = cut(cache, 0, 3, "a")
    with pytest.raises(InvalidInput, match="fill an empty one"):
        fill(cache, [segment])
    with pytest.raises(InvalidInput, match="cannot be filled: make a plain one"):
        fill(MemoryCache(llama, CacheMethod(store=Kivi(8))), [segment])
