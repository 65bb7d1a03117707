"""Generations over one pool: the tokens of plain `generate`, one copy of what they share, nothing left behind."""

import threading
from functools import cache

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation.paged.engine import Busy, Engine, Request
from mnemos.activation.paged.evict import ScoredPages, StreamingPages, held_pages
from mnemos.activation.paged.model import PagedModel
from mnemos.activation.paged.sampling import Sampler
from mnemos.activation.paged.thinking import ThinkTimes
from mnemos.errors import InvalidInput

PREFIX = torch.randint(3, 99, (70,), generator=torch.Generator().manual_seed(1)).tolist()
DECODERS = {
    "llama": (transformers.LlamaForCausalLM, transformers.LlamaConfig, {}),
    "sliding": (transformers.MistralForCausalLM, transformers.MistralConfig, {"sliding_window": 10}),
    "norms": (transformers.Qwen3ForCausalLM, transformers.Qwen3Config, {"head_dim": 16}),
    "learned": (transformers.GPT2LMHeadModel, transformers.GPT2Config, {"n_positions": 512, "bos_token_id": 1}),
}


def decoder(kind="llama"):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, config, more = DECODERS[kind]
    sizes = {
        "vocab_size": 99, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "eos_token_id": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.3,
    }  # fmt: skip
    return model(config(**sizes | more)).eval()


@pytest.fixture(scope="module")
def model():
    return decoder()


@cache
def twin(kind):
    """The same model, which no engine has attached."""
    return decoder(kind)


def generated(prompt, most, kind="llama"):
    model = twin(kind)
    ids = torch.tensor([prompt])
    mask = torch.ones_like(ids)
    return model.generate(ids, attention_mask=mask, max_new_tokens=most, do_sample=False, eos_token_id=None)[
        0, len(prompt) :
    ].tolist()


class Ask:
    """One generation, and what came of it."""

    def __init__(self, engine, prompt, most=12, **more):
        self.tokens, self.done = [], threading.Event()
        self.stop_after = more.pop("stop_after", None)
        self.made = engine.submit(Request(prompt, most, **more), self.on_token, self.done.set)

    def on_token(self, token):
        self.tokens.append(token)
        return len(self.tokens) == self.stop_after

    def result(self):
        assert self.done.wait(60)
        return self.tokens


def is_empty(pool):
    assert pool.free_blocks == pool.blocks
    assert not pool._tables
    assert not any(pool.pages.counts)
    return True


@pytest.mark.parametrize("kind", DECODERS)
def test_many_at_once_generate_what_each_would_alone(kind):
    model = decoder(kind)
    prompts = [PREFIX[: 70 - i] + [5 + i] * (3 * i + 1) for i in range(5)] + [[7, 8, 9]]
    with Engine(PagedModel(model, 128), chunk=32) as engine:
        asked = [Ask(engine, prompt) for prompt in prompts]
        got = [ask.result() for ask in asked]
        assert is_empty(engine.pool)
    assert got == [generated(prompt, 12, kind) for prompt in prompts]
    assert [ask.made.cached for ask in asked] == [0, 64, 64, 64, 64, 0]
    assert all(ask.made.reason == "length" for ask in asked)


def test_sequences_that_share_a_prefix_hold_it_once(model):
    held = {}
    for count in (1, 8):
        with Engine(PagedModel(model, 256)) as engine:
            most = []

            def on_token(token, engine=engine, most=most):
                most.append(engine.pool.held_blocks)
                return False

            ends = [threading.Event() for _ in range(count)]
            for i, end in enumerate(ends):
                engine.submit(Request(PREFIX * 4 + [i], 20), on_token, end.set)
            assert all(end.wait(60) for end in ends)
            held[count] = max(most)
    assert held[1] == 19
    assert held[8] == 17 + 8 * 2  # what all begin with, and two pages each


def test_what_is_cancelled_stops_and_leaves_nothing(model):
    with Engine(PagedModel(model, 64), queue=2, running=1) as engine:
        begun = threading.Event()

        def first(token):
            begun.set()
            return False

        ended = threading.Event()
        long = engine.submit(Request(PREFIX, 400), first, ended.set)
        begun.wait(30)
        waiting = [Ask(engine, PREFIX + [i]) for i in range(2)]
        with pytest.raises(Busy, match="wait for the model"):
            Ask(engine, PREFIX)
        waiting[0].made.cancel()
        long.cancel()
        assert ended.wait(30)
        assert waiting[1].result() == generated(PREFIX + [1], 12)
        assert [long.reason, waiting[0].made.reason, waiting[1].made.reason] == ["cancelled", "cancelled", "length"]
        assert waiting[0].tokens == []
        assert is_empty(engine.pool)
    with pytest.raises(Busy, match="closed"):
        Ask(engine, PREFIX)
    assert model.config._attn_implementation == "sdpa"


def test_a_model_or_a_reader_that_fails_ends_its_generation_and_no_other(model, monkeypatch):
    with Engine(PagedModel(model, 64)) as engine:
        good = Ask(engine, PREFIX, 40)

        def broken(token):
            raise RuntimeError("gone")

        ended = threading.Event()
        bad = engine.submit(Request(PREFIX, 40), broken, ended.set)
        assert ended.wait(30)
        assert bad.reason == "failed"
        assert good.result() == generated(PREFIX, 40)
        monkeypatch.setattr(engine.paged, "_logits", lambda *args: 1 / 0)
        lost = Ask(engine, PREFIX + [4])
        lost.result()
        assert isinstance(lost.made.error, ZeroDivisionError)
        monkeypatch.undo()
        assert Ask(engine, PREFIX).result() == generated(PREFIX, 12)
        assert is_empty(engine.pool)


def test_a_request_that_never_fits_is_refused_and_one_that_waits_for_pages_is_not(model):
    with Engine(PagedModel(model, 10)) as engine:
        with pytest.raises(InvalidInput, match="room for 160 tokens"):
            Ask(engine, PREFIX, 91)
        asked = [Ask(engine, [i, *PREFIX[1:]], 70) for i in range(3, 6)]  # nine blocks each: one after the other
        assert [ask.result() for ask in asked] == [generated([i, *PREFIX[1:]], 70) for i in range(3, 6)]
        assert is_empty(engine.pool)


def test_ends_and_stops(model):
    expected = generated(PREFIX, 12)
    with Engine(PagedModel(model, 64)) as engine:
        ended, stopped = Ask(engine, PREFIX, ends={expected[3]}), Ask(engine, PREFIX, stop_after=5)
        assert ended.result() == expected[: expected.index(expected[3])]
        assert stopped.result() == expected[:5]
        assert [ended.made.reason, stopped.made.reason] == ["stop", "stop"]


def test_sampling_by_seed_temperature_and_nucleus(model):
    def draw(**more):
        return Ask(engine, PREFIX, 20, sampler=Sampler(**more)).result()

    with Engine(PagedModel(model, 64)) as engine:
        greedy = generated(PREFIX, 20)
        assert draw(temperature=1.0, top_p=1e-6, seed=1) == greedy  # only the likeliest is in the nucleus
        assert draw(temperature=0.0, seed=1) == greedy
        one, same, other = (draw(temperature=3.0, seed=seed) for seed in (1, 1, 2))
        assert one == same
        assert one != other
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    drawn = {Sampler(1.0, 0.75, seed).pick(logits) for seed in range(60)}
    assert drawn == {0, 1}


def test_other_extra_keys_share_nothing_and_what_is_forgotten_is_not_found(model):
    with Engine(PagedModel(model, 64)) as engine:
        first, other, same = (Ask(engine, PREFIX, extra={"space": s}) for s in "aba")
        assert first.result() == other.result() == same.result()
        assert [ask.made.cached for ask in (first, other, same)] == [0, 0, 64]
        assert engine.call(lambda: engine.pool.forget({"space": "a"})) == 5
        again, kept = (Ask(engine, PREFIX, extra={"space": s}) for s in "ab")
        again.result(), kept.result()
        assert [again.made.cached, kept.made.cached] == [0, 64]


@pytest.mark.parametrize("policy", [StreamingPages(48), ScoredPages(48)])
def test_a_policy_keeps_a_generation_within_its_budget(model, policy):
    held = []
    with Engine(PagedModel(model, 64), policy=policy) as engine:
        sink, done = [], threading.Event()

        def on_token(token):
            sink.append(token)
            held.append(held_pages(engine.pool, made[0].name))
            return False

        made = [None]
        made[0] = engine.submit(Request(PREFIX, 60), lambda t: on_token(t), done.set)
        done.wait(60)
        full = Ask(engine, PREFIX, 60).result()
        assert is_empty(engine.pool)
    assert max(map(len, held)) <= 4  # three pages, and the one that has just begun
    assert all(pages[0] == 0 for pages in held)
    if isinstance(policy, StreamingPages):
        assert held[-1] == [0, *range(held[-1][-1] - 1, held[-1][-1] + 1)]
    assert sink[0] == full[0]  # what is evicted is evicted after the prompt was read


def test_a_conversation_is_pinned_as_long_as_its_users_have_taken(model):
    times = ThinkTimes()
    times.load("ana", str([2.0] * 40 + [900.0]))
    with Engine(PagedModel(model, 12, lease=times.lease), times=times) as engine:
        engine.reading_seconds = 1e4  # computing it again would take long
        Ask(engine, PREFIX, 10, program="talk", tool="ana").result()
        assert len(engine.call(lambda: list(engine.pool._pinned))) == 1
        Ask(engine, PREFIX + [4], 10, program="talk", tool="ana").result()
        assert times.seen == 1
        Ask(engine, [9] * 150, 10).result()  # needs the space: the pin is lifted for who can be served
        assert len(times.lease.durations("ana")) == 42
    other = ThinkTimes()
    assert other.load("ana", times.dump("ana")) == 42
    assert other.lease.ttl("ana", 60.0) == pytest.approx(2.0)
    assert other.load("ana", "[1]") == 0
    with pytest.raises(InvalidInput, match="think times"):
        ThinkTimes().load("ana", "{")


def test_one_that_cannot_be_admitted_fails_alone(model, monkeypatch):
    with Engine(PagedModel(model, 64, size=4)) as engine:
        opened = engine.pool.open

        def fail_once(*arguments):
            monkeypatch.setattr(engine.pool, "open", opened)
            raise RuntimeError("a defect")

        monkeypatch.setattr(engine.pool, "open", fail_once)
        bad = Ask(engine, PREFIX[:9], most=3)
        assert bad.result() == []
        assert bad.made.reason == "failed"
        assert Ask(engine, PREFIX[:9], most=3).result() == generated(PREFIX[:9], 3)
    assert is_empty(engine.pool)
