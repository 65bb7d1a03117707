"""The block pool: nothing leaks, counts are exact, and what is read is what a contiguous cache would give."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from pools import SIZE, D, H, L, add, check_content, check_counts, entries, fill, pool  # noqa: E402

from mnemos.activation.paged import table  # noqa: E402
from mnemos.activation.paged.softmax import Visibility, naive  # noqa: E402
from mnemos.activation.paged.swap import DiskSwap, RamSwap  # noqa: E402
from mnemos.activation.paged.table import RUN, SPAN, spans  # noqa: E402
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreCorrupt, StoreFull  # noqa: E402

torch.set_num_threads(1)


def test_forks_of_a_prompt_store_it_once():
    p = pool(16)
    prompt = list(range(11))
    fill(p, "a", prompt)
    for i in range(5):
        p.fork("a", f"fork {i}")
    assert p.held_blocks == 3
    for i in range(5):
        add(p, f"fork {i}", [50 + i], prompt)  # each copies the partial last block, and only that
    assert p.held_blocks == 2 + 1 + 5
    check_content(p, "a", prompt)
    for i in range(5):
        check_content(p, f"fork {i}", [*prompt, 50 + i])
        assert p.table(f"fork {i}")[:2] == p.table("a")[:2]
    check_counts(p)


def test_the_last_holder_of_a_block_writes_without_a_copy():
    p = pool()
    fill(p, "a", [1, 2, 3, 4, 5])
    p.fork("a", "b")
    p.free("a")
    blocks = p.table("b")
    add(p, "b", [6], [1, 2, 3, 4, 5])
    assert p.table("b") == blocks


def test_an_equal_prefix_is_shared_by_whole_blocks_and_never_wholly():
    p = pool(16)
    assert fill(p, "a", list(range(12))) == 0
    assert fill(p, "b", list(range(12))) == 8  # the last token is left to compute
    assert fill(p, "c", [*range(7), 99, *range(8, 12)]) == 4
    assert fill(p, "d", list(range(13))) == 12
    assert p.table("d")[:3] == p.table("a")
    for name, tokens in (("a", range(12)), ("c", [*range(7), 99, *range(8, 12)]), ("d", range(13))):
        check_content(p, name, list(tokens))
    p.free("a"), p.free("b"), p.free("d")
    assert p.held_blocks == 3
    assert fill(p, "e", list(range(13))) == 12  # freed and still findable
    check_counts(p)


def test_extra_keys_part_what_is_not_the_same():
    p = pool(64)
    tokens = list(range(9))
    same = [None, {}, {"lora": "x"}, {"salt": "x"}, {"lora": "x", "salt": "y"}, {"salt": "x", "lora": "y"},
            {"ab": "c"}, {"a": "bc"}, {"a": "b", "c": "d"}, {"a": "b\x00c"}]  # fmt: skip
    shared = [fill(p, str(i), tokens, extra) for i, extra in enumerate(same)]
    assert shared == [0, 8, *[0] * 8]
    assert p.open("again", tokens, {"salt": "y", "lora": "x"}) == 8


def test_what_is_not_yet_written_by_every_layer_is_not_shared():
    p = pool()
    tokens = list(range(9))
    p.open("a", tokens)
    p.grow("a", tokens)
    p.write("a", 0, *entries(tokens)[0])
    assert p.open("b", tokens) == 0
    with pytest.raises(InvalidInput, match="not every layer"):
        p.fork("a", "c")
    p.write("a", 1, *entries(tokens)[1])
    assert p.open("c", tokens) == 8


def test_cached_prefixes_go_least_recently_freed_first_and_tails_before_heads():
    p = pool(6)
    old, new = [1] * 12, [2] * 12
    fill(p, "old", old)
    fill(p, "new", new)
    p.free("old"), p.free("new")
    fill(p, "a", [3] * 4)
    assert p.open("b", [*old, 0]) == 8  # the tail of the older one went
    p.free("b")
    fill(p, "c", [4] * 8)
    assert p.open("d", [*new, 0]) == 4  # reading the old one made it the younger
    assert p.open("e", [*old, 0]) == 8


def test_a_cut_sequence_that_grows_again_gives_nobody_its_old_content():
    p = pool()
    fill(p, "a", [1, 2, 3, 4, 5, 6, 7, 8])
    p.fork("a", "b")
    p.truncate("a", 6)
    add(p, "a", [70, 80], [1, 2, 3, 4, 5, 6])
    check_content(p, "a", [1, 2, 3, 4, 5, 6, 70, 80])
    check_content(p, "b", [1, 2, 3, 4, 5, 6, 7, 8])
    p.truncate("b", 6)
    p.free("a")
    add(p, "b", [71], [1, 2, 3, 4, 5, 6])
    assert fill(p, "c", [1, 2, 3, 4, 5, 6, 7, 8, 9]) == 4
    check_content(p, "c", [1, 2, 3, 4, 5, 6, 7, 8, 9])
    check_counts(p)


def test_a_full_pool_says_so_and_changes_nothing():
    p = pool(2)
    fill(p, "a", list(range(6)))
    with pytest.raises(StoreFull, match=r"'a' needs 1 more blocks and 0 of 2 can be had: free a sequence, or give"):
        p.grow("a", [1, 2, 3])
    assert not p.can_grow("a", 3)
    assert p.can_grow("a", 2)
    check_content(p, "a", list(range(6)))


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_pressure_swaps_out_the_sequence_used_longest_ago(kind, tmp_path):
    swap = RamSwap() if kind == "ram" else DiskSwap(tmp_path / "swap")
    p = pool(4, swap=swap)
    first, second, third = ([i] * 6 for i in range(3))
    fill(p, "first/../x", first)
    fill(p, "second", second)
    p.read("first/../x", 0)
    fill(p, "third", third)
    assert p.table("second") is None
    assert swap.nbytes >= L * 2 * H * 2 * SIZE * D * 4
    assert p.table("first/../x") is not None
    check_content(p, "second", second)  # back, and another is swapped out
    assert p.table("first/../x") is None
    check_content(p, "first/../x", first)
    check_content(p, "third", third)
    with pytest.raises(StoreFull, match="needs 5 more blocks and 4 of 4 can be had"):
        fill(p, "fourth", [9] * 20)
    for name in ("first/../x", "second", "third", "fourth"):
        p.free(name)
    assert p.free_blocks == 4
    assert swap.nbytes == 0
    assert kind == "ram" or not list((tmp_path / "swap").iterdir())


def test_sequences_that_shared_a_prompt_share_it_again_after_swapping():
    p = pool(8, swap=RamSwap())
    prompt = list(range(8))
    fill(p, "a", prompt)
    p.fork("a", "b")
    assert p.swap_out("a") == 0
    assert p.swap_out("b") == 2
    p.grow("c", [9] * 32) if p.open("c") == 0 else None  # overwrites what was cached
    p.free("c")
    p.swap_in("a"), p.swap_in("b")
    assert p.table("a") == p.table("b")
    check_content(p, "b", prompt)
    check_counts(p)


def test_a_sequence_that_cannot_come_back_leaves_the_pool_as_it_was():
    p = pool(4, swap=RamSwap())
    fill(p, "a", [1] * 9)
    p.fork("a", "keeper")
    p.truncate("keeper", 4)
    p.swap_out("a")
    p.open("busy")
    p.grow("busy", [2] * 9)  # not yet written, so that it cannot go
    with pytest.raises(StoreFull, match="'a' needs 2 more blocks and 0 of 4 can be had"):
        p.read("a", 0)
    check_counts(p)
    p.free("busy")
    check_content(p, "a", [1] * 9)
    assert p.table("a")[0] == p.table("keeper")[0]


def test_a_damaged_swap_file_is_reported_and_the_rest_goes_on(tmp_path):
    p = pool(4, swap=DiskSwap(tmp_path))
    fill(p, "a", [1, 2, 3])
    p.swap_out("a")
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(StoreCorrupt, match="compute it again"):
        p.read("a", 0)
    p.free("a")
    check_counts(p)
    assert not list(tmp_path.iterdir())


def test_waste_is_below_a_block_a_sequence_and_shared_blocks_count_once():
    p = pool(32)
    assert p.waste == 0
    fill(p, "a", [1] * 9)
    assert p.waste == pytest.approx(3 / 12)
    p.fork("a", "b")
    assert p.waste == pytest.approx(3 / 12)
    add(p, "b", [1, 2, 3], [1] * 9)
    assert p.waste == pytest.approx(3 / 16)


@pytest.mark.parametrize("bounds", [(16, 128), (1, 1), (3, 5), (100, 4)])
def test_scattered_and_neighbouring_blocks_read_alike(bounds, monkeypatch):
    monkeypatch.setattr(table, "RUN", bounds[0])
    monkeypatch.setattr(table, "SPAN", bounds[1])
    p = pool(33)
    for i in range(16):
        p.open(f"x{i}"), p.open(f"y{i}")
        add(p, f"x{i}", [i] * SIZE, []), add(p, f"y{i}", [i + 20] * SIZE, [])
    for i in range(16):
        p.free(f"x{i}")
    tokens = [40 + i for i in range(62)]
    fill(p, "scattered", tokens)
    assert sum(b - a != 1 for a, b in zip(p.table("scattered"), p.table("scattered")[1:], strict=False)) > 8
    fresh = pool(64)
    fill(fresh, "a", tokens)
    query = torch.randn(2 * H, 5, D)
    for offset in (None, 57, 3):
        for at, name in ((p, "scattered"), (fresh, "a")):
            output, _ = at.attend(name, 0, query, offset=offset)
            keys, values = entries(tokens)[0]
            expected, _ = naive(query[None], keys[None], values[None], Visibility(offset=offset))
            assert (output - expected[0]).abs().max() < 1e-5


@given(st.permutations(range(40)), st.lists(st.integers(1, 39), max_size=4))
def test_a_table_is_read_in_order_and_in_place_only_where_it_is_one_run(mixed, cuts):
    blocks = [*range(100, 120), *mixed, *range(40, 60)]
    for cut in cuts:
        blocks = blocks[cut:] + blocks[:cut]
    ends = 0
    for at, n, whole in spans(blocks):
        assert at == ends
        ends += n
        assert whole == (blocks[at : at + n] == list(range(blocks[at], blocks[at] + n)))
        assert n <= SPAN or whole
        part = blocks[at : at + n]
        runs = [i for i in range(n) if part[i : i + RUN] == list(range(part[i], part[i] + RUN))]
        assert whole or not runs  # what could be read in place is not copied
    assert ends == len(blocks)


def test_misuse_is_refused():
    p = pool()
    fill(p, "a", [1, 2])
    with pytest.raises(Conflict, match="is open"):
        p.open("a")
    with pytest.raises(Conflict, match="is open"):
        p.fork("a", "a")
    with pytest.raises(NotFound, match="no sequence 'b'"):
        p.grow("b", [1])
    with pytest.raises(InvalidInput, match="has space for 0 entries, not 1"):
        p.write("a", 0, torch.zeros(H, 1, D), torch.zeros(H, 1, D))
    with pytest.raises(InvalidInput, match="expected \\(H, n, D\\)"):
        p.write("a", 0, torch.zeros(H, 1, D + 1), torch.zeros(H, 1, D))
    with pytest.raises(InvalidInput, match="cannot be cut"):
        p.truncate("a", 3)
    with pytest.raises(InvalidInput, match="has no swap"):
        p.swap_out("a")
    with pytest.raises(InvalidInput, match="expected 1 or more"):
        pool(0)
    p.open("empty")
    with pytest.raises(InvalidInput, match="nothing to attend"):
        p.attend("empty", 0, torch.zeros(2 * H, 1, D))
    check_counts(p)
