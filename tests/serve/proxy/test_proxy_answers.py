"""The proxy answers an opening question again without the model, as long as what the answer was made of still holds."""

import time
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
pytest.importorskip("openai", reason="needs mnemos-os[llm]")

import httpx
from starlette.responses import JSONResponse
from through import FACT, QUESTION, TOOL, chat_answer, proxied

from mnemos import Mnemos
from mnemos.errors import InvalidInput
from mnemos.serve.chat_memory import ChatMemory
from mnemos.serve.proxy import make_proxy
from mnemos.text.recall.semantic_cache import Category

T0 = datetime(2025, 3, 3, 12, tzinfo=UTC)
STORED = []
LISBON = "She lives in Lisbon."


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path, embedder="hashing") as memory:
        yield memory


@pytest.fixture(autouse=True)
def stored(monkeypatch):
    """Count the exchanges that were stored: a response arrives before."""
    remember = ChatMemory.remember

    async def counted(self, *args):
        await remember(self, *args)
        STORED.append(None)

    monkeypatch.setattr(ChatMemory, "remember", counted)
    STORED.clear()


@pytest.fixture
def talk(memory, upstream):
    with proxied(memory, upstream.url, answers=True) as talk:
        yield talk


def settle(count):
    until = time.monotonic() + 30
    while len(STORED) < count:
        assert time.monotonic() < until, "the exchange was not stored"
        time.sleep(0.005)


def scope_of(memory):
    [scope] = {row.scope for row in memory.space("default").answers._refreshed()[0]}
    return scope


def ask(talk, question=QUESTION, **more):
    """Ask as a new conversation; return where the answer is from and the answer, once the exchange is stored."""
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
    before, mode = len(STORED), more.get("extra_headers", {}).get("X-Mnemos-Mode")
    raw = talk.client.chat.completions.with_raw_response.create(model=more.pop("model", "m"), messages=messages, **more)
    if more.get("stream"):
        text = "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices)
    else:
        text = raw.parse().choices[0].message.content
    settle(before + (mode is None))
    return raw.headers.get("x-mnemos-answer"), text


def test_a_question_is_answered_again_without_the_model(talk, upstream, memory):
    fact = memory.space("default").add(FACT, speaker="Ana")
    assert [ask(talk) for _ in range(4)] == [("model", LISBON), *[("cache", LISBON)] * 3]
    assert len(upstream.got) == 1
    rows = talk.stored(at_least=8)  # each exchange is stored, as what was said
    assert [row[:2] for row in rows[1:]] == [("user", QUESTION), ("assistant", LISBON)] * 4
    found = memory.space("default").answers.get(QUESTION, scope=scope_of(memory))
    assert (found.text, fact.id in found.used) == (LISBON, True)


def test_it_is_off_unless_it_is_asked_for(memory, upstream):
    with proxied(memory, upstream.url) as talk:
        assert [ask(talk), ask(talk)] == [(None, LISBON)] * 2
        with pytest.raises(Exception, match="--answers"):
            ask(talk, extra_headers={"X-Mnemos-Answers": "prices"})
        assert ask(talk, extra_headers={"X-Mnemos-Answers": "off"})[0] is None
    with Mnemos(memory.root, embedder="none") as bare, pytest.raises(InvalidInput, match="embedder"):
        make_proxy(bare, upstream.url, answers=True)


@pytest.mark.parametrize("change", ["update", "supersede", "new", "erase", "archive", "erase answer turn"])
def test_what_changed_or_was_erased_invalidates(talk, upstream, memory, change):
    space = memory.space("default")
    fact = space.add(FACT, speaker="Ana")
    assert ask(talk) == ("model", LISBON)
    assert ask(talk) == ("cache", LISBON)
    upstream.answer = "She lives in Braga."
    if change == "update":
        space.update(fact.id, content="My sister Rita lives in Braga.")
    elif change == "supersede":
        space.add("My sister Rita lives in Braga now.", speaker="Ana")
    elif change == "new":
        space.add("Rita's new flat in Braga is where my sister will live.", speaker="Ben", reconcile=False)
    elif change == "archive":
        space.archive([fact.id])
    else:
        gone = [fact.id] if change == "erase" else [c.id for c in space.cubes().items if c.role == "assistant"]
        space.forget(gone)
        for file in memory.root.rglob("*.mnemos"):
            assert b"Rita live?\nShe lives in Lisbon" not in file.read_bytes()
    assert ask(talk) == ("model", "She lives in Braga.")
    assert ask(talk) == ("cache", "She lives in Braga.")


def test_a_memory_that_changes_while_the_model_answers_is_noticed(talk, upstream, memory):
    space = memory.space("default")
    fact = space.add(FACT, speaker="Ana")

    def answer_late():
        space.update(fact.id, content="My sister Rita lives in Braga.")
        return JSONResponse(chat_answer(LISBON)[0])

    upstream.answer = answer_late
    assert ask(talk) == ("model", LISBON)
    upstream.answer = "She lives in Braga."
    assert ask(talk) == ("model", "She lives in Braga.")


def test_answers_of_another_space_model_instruction_user_or_account_are_never_served(memory, upstream):
    said = {"role": "user", "content": QUESTION}
    others = [
        {"extra_headers": {"X-Mnemos-Space": "ben"}}, {"model": "m2"}, {"temperature": 0.5}, {"user": "ben"},
        {"question": [{"role": "system", "content": "Be rude."}, said]}, {"question": [{**said, "name": "ben"}]},
        {"metadata": {"tenant": "b"}}, {"extra_headers": {"X-Mnemos-Answers": "prices"}}, {"extra_query": {"v": "2"}},
        {"extra_headers": {"X-Mnemos-Timezone": "Asia/Tokyo"}}, {"max_tokens": 5},
        {"extra_headers": {"Authorization": "Bearer of-ben"}}, {"extra_headers": {"OpenAI-Project": "p"}},
    ]  # fmt: skip
    with proxied(memory, upstream.url, answers=True, upstream_key=None) as talk:
        assert ask(talk) == ("model", LISBON)
        for n, more in enumerate(others):
            upstream.answer = f"Answer {n}."
            assert ask(talk, **more) == ("model", f"Answer {n}."), more
            assert ask(talk, **more) == ("cache", f"Answer {n}."), more


@pytest.mark.parametrize(
    "more",
    [{"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, {"n": 2}, {"logprobs": True},
     {"extra_headers": {"X-Mnemos-Answers": "off"}}, {"extra_headers": {"X-Mnemos-Mode": "off"}},
     {"extra_headers": {"X-Mnemos-Tokens": "0"}}, {"extra_body": {"unknown": 1}}, {"modalities": ["text"]},
     {"question": [{"role": "user", "content": [{"type": "text", "text": QUESTION}, {"type": "image_url",
       "image_url": {"url": "data:image/png;base64,AAAA"}}]}]},
     {"question": [{"role": "assistant", "content": "Hello"}, {"role": "user", "content": QUESTION}]},
     {"question": [{"role": "user", "content": "Hi"}, {"role": "user", "content": QUESTION}]}],
    ids=range(11),
)  # fmt: skip
def test_what_an_answer_could_not_be_right_for_is_asked_of_the_model(talk, upstream, more):
    assert [ask(talk, **more)[0] for _ in range(2)] == [None, None]
    assert len(upstream.got) == 2


@pytest.mark.parametrize("answer", [TOOL, "cut", "refused"])
def test_only_a_whole_answer_is_kept(talk, upstream, answer):
    def odd():
        whole = chat_answer(LISBON)[0]
        choice = whole["choices"][0]
        if answer == "cut":
            choice["finish_reason"] = "length"
        else:
            choice["message"]["refusal"] = "No."
        return JSONResponse(whole)

    upstream.answer = TOOL if answer is TOOL else odd
    assert [ask(talk)[0] for _ in range(2)] == ["model", "model"]


@pytest.mark.parametrize(("first", "then"), [(True, True), (True, False), (False, True)])
def test_streams_and_whole_answers_share_the_cache(talk, first, then):
    assert ask(talk, stream=first) == ("model", LISBON)
    assert ask(talk, stream=then) == ("cache", LISBON)
    usage = talk.client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": QUESTION}], stream=True, stream_options={"include_usage": True}
    )
    assert [chunk.usage.total_tokens for chunk in usage if chunk.usage] == [0]


def test_a_relative_day_is_asked_anew_on_another(tmp_path, upstream, clock):
    with (
        Mnemos(tmp_path, embedder="hashing", clock=clock) as memory,
        proxied(memory, upstream.url, answers=True) as talk,
    ):
        memory.space("default").answers.categories = {"default": Category(days=30)}
        today = "What did I eat yesterday?"
        assert [ask(talk, today)[0] for _ in range(2)] == ["model", "cache"]
        assert [ask(talk)[0] for _ in range(2)] == ["model", "cache"]
        clock.now += timedelta(days=1)
        assert [ask(talk, today)[0], ask(talk)[0]] == ["model", "cache"]
        clock.now += timedelta(days=40)
        assert ask(talk)[0] == "model"  # too old


def test_categories_and_names_decide(talk, memory):
    memory.space("default").answers.categories = {"orders": Category(on=False), "chat": Category(threshold=0.6)}
    chat = {"extra_headers": {"X-Mnemos-Answers": "chat"}}
    assert ask(talk, **chat)[0] == "model"
    assert ask(talk, "Where does my sister Rita live now?", **chat)[0] == "cache"
    assert ask(talk, "Where does my sister Ruth live?", **chat)[0] == "model"
    orders = {"extra_headers": {"X-Mnemos-Answers": "orders"}}
    assert [ask(talk, **orders)[0] for _ in range(2)] == [None, None]


def test_a_key_gets_no_answer_from_where_it_may_not_read(tmp_path, upstream):
    from mnemos.serve.app import add_proxy
    from tests.serve.apps import ListeningApp

    with ListeningApp(tmp_path / "root", embedder="hashing") as app:
        add_proxy(app.app, app.memory, upstream.url, "sk-upstream", answers=True)
        body = {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}

        def post(rights, space="default"):
            before = len(STORED)
            headers = {"Authorization": f"Bearer {app.key(rights, spaces=['default'])}", "X-Mnemos-Space": space}
            answer = httpx.post(f"{app.url}/v1/chat/completions", json=body, headers=headers)
            settle(before + 1)
            return answer.headers.get("x-mnemos-answer")

        assert post(["write"]) is None  # nor does it plant one
        assert post(["read", "write"]) == "model"
        assert [post(["read", "write"]), post(["read"])] == ["cache", "cache"]
        assert [post(["write"]), post(["erase"]), post(["read"], "other")] == [None, None, None]
