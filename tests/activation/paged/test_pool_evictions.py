"""What a full pool evicts under each ranking, and what a lease keeps: never a page that is in use or leased."""

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from pools import SIZE, add, check_content, check_counts, fill, pool  # noqa: E402

from mnemos.activation.paged import base  # noqa: E402
from mnemos.activation.paged.base import NoLease, NoSwap, PrefixEntry  # noqa: E402
from mnemos.activation.paged.eviction import SLACK, EvictionQueue, HitsPerToken, PrefixLru, PrefixSlru  # noqa: E402
from mnemos.activation.paged.lease import Continuum, FixedTtl, Pins  # noqa: E402
from mnemos.activation.paged.relay import SharedPrefix  # noqa: E402
from mnemos.activation.paged.softmax import ChunkedAttention  # noqa: E402
from mnemos.activation.paged.swap import DiskSwap, RamSwap  # noqa: E402
from mnemos.errors import InvalidInput, NotFound, StoreFull  # noqa: E402

HOT, WARM = [1] * 9, [2] * 9


def visit(p, name, tokens):
    """Compute a prompt and free it; returns how much of it was cached."""
    shared = fill(p, name, tokens)
    check_content(p, name, tokens)
    p.free(name)
    return shared


def cached(p, tokens):
    """Return how many tokens of a prompt are cached, and leave everything as it was for any ranking but by age."""
    shared = p.open("look", tokens)
    p.free("look")
    return shared


def scan(p, prompts, first=100):
    for i in range(first, first + prompts):
        assert visit(p, f"scan {i}", [i] * 9) == 0


def test_lru_gives_a_scan_the_space_of_what_was_asked_for_often():
    p = pool(8)
    for _ in range(5):
        visit(p, "hot", HOT)
    scan(p, 4)
    assert cached(p, HOT) == 0


def test_slru_keeps_what_was_found_through_a_scan_and_nothing_that_was_not():
    p = pool(8, eviction=PrefixSlru())
    visit(p, "warm", WARM)
    visit(p, "hot", HOT), visit(p, "hot", HOT)
    scan(p, 20)
    assert cached(p, HOT) == 8
    assert cached(p, WARM) == 0
    strict = pool(8, eviction=PrefixSlru(protect=3))
    visit(strict, "hot", HOT), visit(strict, "hot", HOT)
    scan(strict, 20)
    assert cached(strict, HOT) == 0


def test_hits_per_token_evicts_the_tail_of_a_long_prefix_before_short_ones():
    p = pool(10, eviction=HitsPerToken())
    long = list(range(25))  # six full blocks
    visit(p, "long", long), visit(p, "long", long)
    visit(p, "hot", HOT), visit(p, "hot", HOT)
    visit(p, "new", [7] * 13)  # four blocks, two of them empty until now
    assert cached(p, HOT) == 8
    assert cached(p, long) == 16  # 2 hits on 24 and on 20 tokens are less than on 8
    other = pool(10)  # by age, the long one goes as well, and as far
    visit(other, "hot", HOT), visit(other, "hot", HOT)
    visit(other, "long", long), visit(other, "long", long)
    visit(other, "new", [7] * 13)
    assert (cached(other, HOT), cached(other, long)) == (0, 24)


@pytest.mark.parametrize("ranking", [PrefixLru(), PrefixSlru(), HitsPerToken()], ids=str)
def test_what_was_evicted_is_computed_again_and_what_is_in_use_never_goes(ranking):
    p = pool(6, eviction=ranking)
    fill(p, "in use", HOT)
    for tokens in ([3] * 12, [4] * 12, [3] * 12):
        visit(p, "other", tokens)  # reads what it wrote
        check_content(p, "in use", HOT)
    with pytest.raises(StoreFull):
        fill(p, "too long", [5] * 13)
    p.free("too long")
    check_content(p, "in use", HOT)
    assert p.open("more", [*HOT, 9]) == 8
    check_counts(p)


@pytest.mark.parametrize("ranking", [PrefixLru(), PrefixSlru(), HitsPerToken()], ids=str)
def test_a_lease_keeps_pages_while_a_tool_works_and_frees_them_after(ranking):
    p = pool(6, eviction=ranking, lease=FixedTtl(5.0))
    fill(p, "agent", HOT)
    assert p.pause("agent", "browse", reload=1.0, now=10.0) == 15.0
    assert "agent" not in p
    assert (p.held_blocks, p.free_blocks) == (2, 4)  # the block that is not full is not kept
    scan(p, 8)
    assert p.expire(15.0) == 0  # still within its time
    assert visit(p, "agent's neighbour", HOT) == 8  # others may read what is leased
    with pytest.raises(
        StoreFull, match="needs 5 more blocks and 4 of 6 can be had: free a sequence, .*end a lease, or"
    ):
        fill(p, "large", [8] * 17)
    p.free("large")
    assert p.expire(15.1) == 2
    assert cached(p, HOT) == 8  # free, and nobody needed the space
    fill(p, "large", [8] * 24)
    assert p.open("agent", HOT) == 0
    p.free("large")
    add(p, "agent", HOT, [])
    check_content(p, "agent", HOT)
    check_counts(p)


def test_a_program_that_returns_takes_its_pages_back_and_ends_its_lease():
    p = pool(6, lease=FixedTtl(math.inf))
    fill(p, "agent", HOT)
    p.pause("agent", "read", reload=1.0, now=0.0)
    scan(p, 5)
    more = [*HOT, 5, 6, 7]
    assert fill(p, "agent", more) == 8
    check_content(p, "agent", more)
    assert not p.pins.active("agent", 0.0)
    p.free("agent")
    assert p.free_blocks == 6
    check_counts(p)


def test_a_program_that_returns_with_another_text_leaves_its_pages_to_others():
    p = pool(6, lease=FixedTtl(math.inf))
    fill(p, "agent", HOT)
    p.pause("agent", "read", reload=1.0, now=0.0)
    assert fill(p, "agent", WARM) == 0
    assert cached(p, HOT) == 8
    p.free("agent")
    scan(p, 2)
    assert cached(p, HOT) == 0
    check_counts(p)


def test_a_lease_of_no_time_is_a_free():
    for lease in (None, NoLease(), FixedTtl(0.0), Continuum(default=0.0)):
        p = pool(6, lease=lease)
        fill(p, "agent", HOT)
        assert p.pause("agent", "read", reload=1.0, now=7.0) == 7.0
        assert p.free_blocks == 6
        assert cached(p, HOT) == 8
        check_counts(p)


def test_two_programs_lease_a_common_prompt_together():
    p = pool(6, lease=FixedTtl(5.0))
    fill(p, "a", HOT), fill(p, "b", HOT)
    assert p.pause("a", "read", reload=1.0, now=0.0) == 5.0
    assert p.pause("b", "read", reload=1.0, now=3.0) == 8.0
    assert p.held_blocks == 2
    assert p.expire(6.0) == 0  # the other still holds it
    scan(p, 3)
    assert cached(p, HOT) == 8
    p.unpin("b"), p.unpin("b"), p.unpin("never leased")
    assert p.free_blocks == 6
    check_counts(p)


def test_pages_whose_lease_expired_are_as_old_as_the_pause():
    p = pool(6, lease=FixedTtl(5.0))
    fill(p, "agent", HOT)
    p.pause("agent", "read", reload=1.0, now=0.0)
    visit(p, "later", WARM)
    p.expire(6.0)
    fill(p, "new", [3] * 12)  # two empty blocks, and the oldest
    assert (cached(p, HOT), cached(p, WARM)) == (4, 8)


def test_a_sequence_that_writes_into_a_leased_page_gets_its_own():
    p = pool(6, lease=FixedTtl(math.inf))
    fill(p, "agent", HOT[:8])
    p.fork("agent", "other")
    p.pause("agent", "read", reload=1.0, now=0.0)
    p.truncate("other", 6)
    add(p, "other", [9, 9, 9], HOT[:6])
    check_content(p, "other", [*HOT[:6], 9, 9, 9])
    assert p.open("agent", HOT) == 8
    add(p, "agent", HOT[8:], HOT[:8])
    check_content(p, "agent", HOT)
    check_counts(p)


def test_a_paused_sequence_that_is_swapped_out_leases_what_is_still_cached():
    p = pool(6, swap=RamSwap(), lease=FixedTtl(math.inf))
    fill(p, "agent", HOT)
    p.swap_out("agent")
    assert p.pause("agent", "read", reload=1.0, now=0.0) == math.inf
    assert p.swap.nbytes == 0
    assert p.held_blocks == 2
    with pytest.raises(NotFound, match="'agent'"):
        p.length("agent")
    check_counts(p)


def test_leased_pages_are_not_given_up_for_a_swap():
    p = pool(6, swap=RamSwap(), lease=FixedTtl(math.inf))
    fill(p, "agent", HOT)
    p.pause("agent", "read", reload=1.0, now=0.0)
    fill(p, "a", [3] * 8), fill(p, "b", [4] * 16)
    assert p.table("a") is None
    assert cached(p, HOT) == 8
    with pytest.raises(StoreFull, match="and 4 of 6 can be had"):
        fill(p, "c", [5] * 17)
    check_counts(p)


def test_a_queue_gives_the_lowest_priority_first_and_the_first_added_of_equals():
    queue = EvictionQueue(HitsPerToken())
    for key, tokens, hits in (("a", 10, 1), ("b", 10, 5), ("c", 2, 1), ("d", 10, 1)):
        queue.add(key, PrefixEntry(tokens, hits))
    queue.add("a", PrefixEntry(10, 9))
    queue.discard("b"), queue.discard("never added")
    assert set(queue) == {"a", "c", "d"}
    assert "b" not in queue
    queue.add("b", PrefixEntry(10, 1))
    assert [queue.pop() for _ in range(len(queue))] == ["d", "b", "c", "a"]
    with pytest.raises(NotFound, match="nothing to evict"):
        queue.pop()


def test_a_queue_does_not_grow_with_what_was_taken_out():
    queue = EvictionQueue(PrefixLru())
    for i in range(10_000):
        queue.add(i % 3, PrefixEntry(1, 1, i))
        queue.discard((i + 1) % 3)
    assert len(queue._heap) <= 2 * len(queue) + SLACK + 1
    assert queue.pop() == 9_998 % 3


def test_pins_end_by_the_time_they_are_given():
    pins = Pins(FixedTtl(2.0))
    assert pins.start("a", "read", reload=0.0, now=1.0) == 3.0
    assert pins.start("b", "read", reload=0.0, now=2.0) == 4.0
    assert [pins.active("a", now) for now in (1.0, 3.0, 3.1)] == [True, True, False]
    assert pins.expired(3.5) == ["a"]
    pins.start("a", "read", reload=0.0, now=3.5)
    assert pins.expired(9.0) == ["b", "a"]
    pins.end("b"), pins.end("b")
    assert not pins.active("b", 0.0)


@pytest.mark.parametrize(
    ("contract", "parts"),
    [
        (base.Ranking, [PrefixLru(), PrefixSlru(), HitsPerToken()]),
        (base.Lease, [NoLease(), FixedTtl(), Continuum()]),
        (base.Swap, [NoSwap(), RamSwap(), DiskSwap("folder")]),
        (base.SequencePool, [pool(1)]),
        (base.Attention, [ChunkedAttention(), SharedPrefix(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_part_keeps_its_contract(contract, parts):
    for part in parts:
        assert isinstance(part, contract)


def test_the_null_parts_do_nothing_and_say_so():
    lease, swap = NoLease(), NoSwap()
    lease.record_tool("read", 5.0), lease.record_wait(9.0), lease.record_program(3)
    assert lease.ttl("read", 100.0) == 0
    assert (swap.enabled, swap.nbytes) == (False, 0)
    for act in (lambda: swap.put("a", torch.zeros(SIZE)), lambda: swap.take("a"), lambda: swap.drop("a")):
        with pytest.raises(InvalidInput, match="'a'"):
            act()
