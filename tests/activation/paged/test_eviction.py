"""Which prefix goes first: exact victims, and what each ranking is for."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from mnemos.activation.paged.eviction import HitsPerToken, PrefixLru, PrefixSlru  # noqa: E402
from mnemos.bench.kv.schedule import PrefixCache  # noqa: E402
from mnemos.errors import InvalidInput  # noqa: E402

RANKINGS = [PrefixLru(), PrefixSlru(), HitsPerToken()]


def asked(ranking, space, *names, size=1):
    cache = PrefixCache(space, ranking)
    sizes = dict(name.split(":") for name in names if ":" in name)
    found = [cache.ask(name.split(":")[0], int(sizes.get(name.split(":")[0], size))) for name in names]
    return cache, found


def test_lru_evicts_what_was_not_asked_for_the_longest():
    cache, _ = asked(PrefixLru(), 3, "a", "b", "c", "a", "d")
    assert set(cache.entries) == {"a", "c", "d"}


def test_slru_keeps_what_was_asked_for_twice_through_a_scan():
    names = ["a", "b", "a", "b", *(f"scan{i}" for i in range(20)), "a", "b"]
    assert asked(PrefixSlru(), 4, *names)[1][-2:] == [True, True]
    assert asked(PrefixLru(), 4, *names)[1][-2:] == [False, False]
    assert asked(PrefixSlru(protect=3), 4, *names)[1][-2:] == [False, False]


def test_hits_per_token_gives_a_large_prefixs_room_to_small_ones():
    cache, _ = asked(HitsPerToken(), 10, "small:2", "large:6", "large:6", "large:6", "small:2", "other:4")
    assert set(cache.entries) == {"small", "other"}  # 3 hits on 6 tokens are less than 2 on 2
    cache, _ = asked(HitsPerToken(), 2, "a", "b", "c")
    assert set(cache.entries) == {"b", "c"}  # the older of equals


def test_one_pass_over_more_than_fits_leaves_nothing_of_use_to_lru():
    names = [str(i) for i in range(39)] * 2
    assert sum(asked(PrefixLru(), 19, *names)[1]) == 0


@pytest.mark.parametrize("ranking", RANKINGS)
def test_what_is_larger_than_the_space_is_not_taken_in_and_evicts_nothing(ranking):
    cache, _ = asked(ranking, 5, "a:2", "huge:6", "huge:6")
    assert set(cache.entries) == {"a"}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6)), max_size=60), st.sampled_from(RANKINGS))
def test_the_space_is_never_exceeded_and_a_hit_is_what_is_held(requests, ranking):
    cache, sizes = PrefixCache(12, ranking), {}
    for number, size in requests:
        size = sizes.setdefault(number, size)
        before = str(number) in cache.entries
        assert cache.ask(str(number), size) == before
        assert cache.used == sum(entry.tokens for entry in cache.entries.values()) <= 12
        assert str(number) in cache.entries


def test_no_space_is_refused():
    with pytest.raises(InvalidInput, match="1 or more"):
        PrefixCache(0, PrefixLru())
