"""Sequences with evicted pages, and caches that are forgotten: what is left is right, nothing is lost, nothing remains."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pools import SIZE, D, H, L, add, entries, fill, pool

from mnemos.activation.paged.softmax import Visibility, naive
from mnemos.activation.paged.swap import RamSwap
from mnemos.activation.paged.table import EVICTED
from mnemos.errors import InvalidInput, StoreFull

torch.set_num_threads(1)
TOKENS = st.lists(st.integers(0, 1), min_size=1, max_size=9)
ANY = st.integers(0, 99)


class Holes(RuleBasedStateMachine):
    """A pool, beside what each sequence has read and which of its pages it let go of."""

    @initialize(swaps=st.booleans())
    def begin_pool(self, swaps):
        self.pool = pool(12, swap=RamSwap() if swaps else None)
        self.said, self.gone, self.number = {}, {}, 0

    def pick(self, i):
        return sorted(self.said)[i % len(self.said)] if self.said else None

    def tries(self, act):
        try:
            act()
        except StoreFull:
            return False
        return True

    @rule(tokens=TOKENS, salt=st.sampled_from(["", "x"]))
    def begin(self, tokens, salt):
        self.number += 1
        name, extra = f"s{self.number}", {"salt": salt} if salt else None
        if self.tries(lambda: fill(self.pool, name, tokens, extra)):
            self.said[name], self.gone[name] = (tokens, extra), set()
        elif name in self.pool:
            self.pool.free(name)

    @rule(i=ANY, tokens=TOKENS)
    def append(self, i, tokens):
        if name := self.pick(i):
            before, extra = self.said[name]
            if self.tries(lambda: add(self.pool, name, tokens, before, extra)):
                self.said[name] = ([*before, *tokens], extra)

    @rule(i=ANY, pages=st.lists(st.integers(0, 5), max_size=3))
    def evict(self, i, pages):
        if name := self.pick(i):
            last = -(-len(self.said[name][0]) // SIZE) - 1
            pages = [page for page in pages if page < last]
            if self.tries(lambda: self.pool.evict(name, pages)):
                self.gone[name] |= set(pages)
            with pytest.raises((InvalidInput, StoreFull)):
                self.pool.evict(name, [last])

    @rule(i=ANY)
    def fork(self, i):
        if name := self.pick(i):
            self.number += 1
            other = f"s{self.number}"
            if self.tries(lambda: self.pool.fork(name, other)):
                self.said[other], self.gone[other] = self.said[name], set(self.gone[name])

    @rule(i=ANY, keep=st.integers(0, 20))
    def truncate(self, i, keep):
        if name := self.pick(i):
            tokens, extra = self.said[name]
            keep = min(keep, len(tokens))
            if keep % SIZE and keep // SIZE in self.gone[name]:
                with pytest.raises((InvalidInput, StoreFull)):
                    self.pool.truncate(name, keep)
            elif self.tries(lambda: self.pool.truncate(name, keep)):
                self.said[name] = (tokens[:keep], extra)
                self.gone[name] = {page for page in self.gone[name] if page < -(-keep // SIZE)}

    @rule(i=ANY)
    def swap_out(self, i):
        if (name := self.pick(i)) and self.pool.swap.enabled:
            self.pool.swap_out(name)

    @rule(i=ANY)
    def free(self, i):
        if name := self.pick(i):
            self.pool.free(name)
            del self.said[name], self.gone[name]

    @rule(salt=st.sampled_from(["", "x"]))
    def forget(self, salt):
        self.pool.forget({"salt": salt} if salt else {})
        fresh = [1, 1, 1, 1, 0, 0, 0, 0, 1]
        assert self.pool.open("probe", fresh, {"salt": salt} if salt else None) == 0
        self.pool.free("probe")

    @rule(i=ANY)
    def attend(self, i):
        name = self.pick(i)
        if name is None or not self.said[name][0]:
            return
        tokens, extra = self.said[name]
        query = torch.randn(2 * H, 1, D)
        keys, values = entries(tokens, extra)[0][:, :, self.left(name)]
        expected = naive(query[None], keys[None], values[None], Visibility())[0][0]

        def act():
            found = self.pool.attend(name, 0, query, offset=len(tokens) - 1)[0]
            assert (found - expected).abs().max() < 1e-5

        self.tries(act)

    def left(self, name):
        return [at for at in range(len(self.said[name][0])) if at // SIZE not in self.gone[name]]

    @invariant()
    def each_reads_what_it_has_left(self):
        for name, (tokens, extra) in self.said.items():
            if self.pool.table(name) is not None:
                assert self.pool.length(name) == len(tokens)
                assert {i for i, b in enumerate(self.pool.table(name)) if b == EVICTED} == self.gone[name]
                whole = entries(tokens, extra)[:, :, :, self.left(name)]
                for layer in range(L):
                    assert torch.equal(torch.stack(self.pool.read(name, layer)), whole[layer])

    @invariant()
    def every_block_is_held_as_often_as_tables_name_it(self):
        held = [0] * self.pool.blocks
        for name in self.said:
            for block in self.pool.table(name) or ():
                if block != EVICTED:
                    held[block] += 1
        assert self.pool.pages.counts == held

    def teardown(self):
        if not hasattr(self, "pool"):
            return
        for name in list(self.said):
            self.pool.free(name)
        for extra in ({}, {"salt": "x"}):
            self.pool.forget(extra)
        assert self.pool.free_blocks == self.pool.blocks
        assert not any(layer.any() for layer in self.pool.layers)
        assert self.pool.swap.nbytes == 0


TestHoles = Holes.TestCase
TestHoles.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
