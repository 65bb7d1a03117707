"""Random sequences, leases and evictions in a small pool, beside a reference that is nothing but lists."""

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hypothesis import HealthCheck, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule  # noqa: E402
from naive_pool import NaivePool  # noqa: E402
from pools import SIZE, D, H, L, add, check_content, check_counts, entries, pool  # noqa: E402

from mnemos.activation.paged.base import NoLease  # noqa: E402
from mnemos.activation.paged.eviction import HitsPerToken, PrefixLru, PrefixSlru  # noqa: E402
from mnemos.activation.paged.lease import Continuum, FixedTtl  # noqa: E402
from mnemos.activation.paged.prefix import block_digests, root_digest  # noqa: E402
from mnemos.activation.paged.softmax import Visibility, naive  # noqa: E402
from mnemos.activation.paged.swap import RamSwap  # noqa: E402
from mnemos.errors import StoreFull  # noqa: E402

torch.set_num_threads(1)
LEASES = {
    "none": NoLease,
    "fixed": lambda: FixedTtl(3.0),
    "forever": lambda: FixedTtl(math.inf),
    "continuum": lambda: Continuum(default=2.0, samples=2),
}
TOOLS = st.sampled_from(["read", "browse"])
ENDS = st.lists(st.integers(0, 1), max_size=5)
DOCUMENTS = ([1] * 12, [1] * 4 + [0] * 8, [0] * 12)  # two of them begin alike
TEXTS = st.builds(lambda i, n, end: DOCUMENTS[i][:n] + end, st.integers(0, 2), st.integers(0, 12), ENDS)
SALTS = st.sampled_from(["", "", "", "x"])


class Machine(RuleBasedStateMachine):
    """What a pool does with a ranking, beside the reference, and beside the tokens of its sequences."""

    name, ranking = "", None

    @initialize(blocks=st.sampled_from([6, 10]), lease=st.sampled_from(list(LEASES)), swaps=st.booleans())
    def begin_pool(self, blocks, lease, swaps):
        self.lease = LEASES[lease]()
        self.pool = pool(blocks, swap=RamSwap() if swaps else None, eviction=self.ranking, lease=self.lease)
        self.other = NaivePool(blocks, SIZE, self.name, LEASES[lease](), swaps)
        self.said = {}  # open sequences: tokens and extra
        self.paused = {}
        self.number, self.now = 0, 0.0

    def pick(self, i, among=None):
        names = sorted(self.said if among is None else among)
        return names[i % len(names)] if names else None

    def both(self, act, reference):
        """Run what may find the pool full: then nothing has changed, but what was swapped, and the reference is full."""
        before = self.pool.pages.counts[:], {name: self.pool.table(name) for name in self.pool._tables}
        try:
            act()
        except StoreFull:
            assert self.pool.swap.enabled or before == (
                self.pool.pages.counts,
                {name: self.pool.table(name) for name in self.pool._tables},
            )
            with pytest.raises(StoreFull):
                reference()
            return False
        reference()
        return True

    def open(self, name, tokens, extra):
        salt = (extra or {}).get("salt", "")
        shared = self.pool.open(name, tokens, extra)
        assert shared == self.other.open(name, list(tokens), salt)
        assert shared % SIZE == 0
        assert shared < max(len(tokens), 1)
        self.said[name] = (tokens[:shared], extra)
        self.paused.pop(name, None)
        self.grow(name, tokens[shared:])

    def grow(self, name, tokens):
        before, extra = self.said[name]
        possible = self.pool.can_grow(name, len(tokens))
        assert possible == self.other.can_grow(name, len(tokens))
        done = self.both(
            lambda: add(self.pool, name, tokens, before, extra), lambda: self.other.grow(name, list(tokens))
        )
        assert done or not possible
        if done:
            self.said[name] = ([*before, *tokens], extra)

    @rule(tokens=TEXTS, salt=SALTS)
    def begin(self, tokens, salt):
        self.number += 1
        self.open(f"s{self.number}", tokens, {"salt": salt} if salt else None)

    @rule(tokens=TEXTS, salt=SALTS)
    def visit(self, tokens, salt):
        """Begin and end at once, as most requests do: what they leave is what is evicted."""
        self.begin(tokens, salt)
        name = f"s{self.number}"
        self.pool.free(name)
        self.other.free(name)
        del self.said[name]

    @rule(i=st.integers(0, 99), tokens=ENDS)
    def append(self, i, tokens):
        if name := self.pick(i):
            self.grow(name, tokens)

    @rule(i=st.integers(0, 99))
    def fork(self, i):
        if name := self.pick(i):
            self.number += 1
            other = f"s{self.number}"
            if self.both(lambda: self.pool.fork(name, other), lambda: self.other.fork(name, other)):
                self.said[other] = self.said[name]

    @rule(i=st.integers(0, 99), keep=st.integers(0, 17))
    def truncate(self, i, keep):
        if name := self.pick(i):
            tokens, extra = self.said[name]
            keep = min(keep, len(tokens))
            if self.both(lambda: self.pool.truncate(name, keep), lambda: self.other.truncate(name, keep)):
                self.said[name] = (tokens[:keep], extra)

    @rule(i=st.integers(0, 99))
    def free(self, i):
        if name := self.pick(i):
            self.pool.free(name)
            self.other.free(name)
            del self.said[name]

    @rule(i=st.integers(0, 99))
    def swap_out(self, i):
        if (name := self.pick(i)) and self.pool.swap.enabled:
            self.pool.swap_out(name)
            self.other.swap_out(name)
            assert self.pool.table(name) is None

    @rule(i=st.integers(0, 99), tool=TOOLS)
    def pause(self, i, tool):
        if name := self.pick(i):
            until = self.pool.pause(name, tool, reload=4.0, now=self.now)
            assert until == self.other.pause(name, tool, 4.0, self.now)
            self.paused[name] = (*self.said.pop(name), tool, self.now)

    @rule(i=st.integers(0, 99), tokens=ENDS)
    def resume(self, i, tokens):
        """A tool returns: what its program still finds is what it had, the rest is computed again."""
        if name := self.pick(i, self.paused):
            said, extra, tool, since = self.paused[name]
            for lease in (self.lease, self.other.lease):
                lease.record_tool(tool, self.now - since)
            self.open(name, [*said, *tokens], extra)
            if name in self.said:
                self.both(lambda: check_content(self.pool, name, *self.said[name]), lambda: self.other.used(name))

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.5, 10.0]))
    def wait(self, seconds):
        self.now += seconds
        free = len(self.other.free_pages())
        freed = self.pool.expire(self.now)
        self.other.expire(self.now)
        assert freed == len(self.other.free_pages()) - free

    @rule(i=st.integers(0, 99))
    def unpin(self, i):
        if name := self.pick(i, self.paused):
            self.pool.unpin(name)
            self.other.unpin(name)

    @rule(i=st.integers(0, 99))
    def read(self, i):
        if name := self.pick(i):
            self.both(lambda: check_content(self.pool, name, *self.said[name]), lambda: self.other.used(name))

    @rule(i=st.integers(0, 99), queries=st.integers(1, 3))
    def attend(self, i, queries):
        name = self.pick(i)
        if name is None or len(self.said[name][0]) < queries:
            return
        query = torch.randn(2 * H, queries, D)
        keys, values = entries(*self.said[name])[1]
        visible = Visibility(offset=keys.shape[1] - queries)
        expected, expected_lse = naive(query[None], keys[None], values[None], visible)

        def act():
            output, lse = self.pool.attend(name, 1, query, offset=visible.offset)
            assert (output - expected[0]).abs().max() < 1e-5
            assert (lse - expected_lse[0]).abs().max() < 1e-5

        self.both(act, lambda: self.other.used(name))

    @invariant()
    def no_block_is_lost(self):
        check_counts(self.pool)
        for name, (tokens, _) in self.said.items():
            assert self.pool.length(name) == len(tokens)
            blocks = self.pool.table(name)
            assert blocks is None or len(blocks) == -(-len(tokens) // SIZE)

    @invariant()
    def every_block_is_where_the_reference_has_it(self):
        for name in self.said:
            pages = self.other.sequences[name].pages
            assert self.pool.table(name) == (None if pages is None else tuple(page.number for page in pages))
        assert set(self.pool.pages._digests) == {page.number for page in self.other.pages if page.prefix}
        assert set(self.pool.pages.cached) == {page.number for page in self.other.free_pages() if page.prefix}

    @invariant()
    def what_is_leased_is_found_and_whole(self):
        for name, blocks in self.pool._pinned.items():
            assert self.pool.pins.active(name, self.now)
            tokens, extra = self.paused[name][:2]
            digests = block_digests(root_digest(extra or {}), tokens, SIZE)
            assert self.pool.pages.find(digests)[: len(blocks)] == blocks
            whole = entries(tokens, extra)[:, :, :, : len(blocks) * SIZE]
            for layer in range(L):
                assert torch.equal(self.pool.layers[layer][:, :, blocks].flatten(2, 3), whole[layer])

    def teardown(self):
        if not hasattr(self, "pool"):
            return
        for name in list(self.said):
            self.both(
                lambda name=name: check_content(self.pool, name, *self.said[name]),
                lambda name=name: self.other.used(name),
            )
        for name in list(self.said):
            self.pool.free(name)
        for name in list(self.paused):
            self.pool.unpin(name)
        check_counts(self.pool)
        assert self.pool.free_blocks == self.pool.blocks
        assert self.pool.swap.nbytes == 0


class LruMachine(Machine):
    name, ranking = "lru", PrefixLru()


class SlruMachine(Machine):
    name, ranking = "slru", PrefixSlru()


class HitsPerTokenMachine(Machine):
    name, ranking = "hits per token", HitsPerToken()


options = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLru, TestSlru, TestHitsPerToken = LruMachine.TestCase, SlruMachine.TestCase, HitsPerTokenMachine.TestCase
TestLru.settings = TestSlru.settings = TestHitsPerToken.settings = options
