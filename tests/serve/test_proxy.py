"""The proxy as a client sees it: the real `openai` client, a real server, and an upstream that tells what it got."""

import json
import logging
import socket
import sqlite3
import threading
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("fastapi", reason="needs mnemos[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos[serve]")
pytest.importorskip("openai", reason="needs mnemos[llm]")

import anyio
import httpx
import openai
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mnemos import Mnemos
from mnemos.errors import InvalidInput, MnemosError, StoreBusy
from mnemos.serve import proxy as module
from mnemos.serve.exchange import Exchange, answer_of
from mnemos.serve.proxy import make_proxy

MNEMOS_KEY = "mnk_abcdefgh_" + "x" * 43
FACT = "My sister Rita lives in Lisbon."
QUESTION = "Where does my sister Rita live?"
TOOL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


class Upstream:
    """An API that keeps what it is sent. `answer` is the text, or a callable that returns a response."""

    def __init__(self):
        self.got = []
        self.answer = "She lives in Lisbon."
        self.gate = None  # set: events after the first wait for it
        self.cancelled = threading.Event()
        paths = ("/v1/chat/completions", "/v1/responses", "/v1/models")
        self.app = Starlette(routes=[Route(p, self.serve, methods=["GET", "POST"]) for p in paths])

    @property
    def last(self):
        return json.loads(self.got[-1][2])

    @property
    def memory(self):
        """What stands in the system messages of the last request."""
        items = self.last.get("messages") or self.last.get("input")
        return [i["content"] for i in items if i["role"] == "system"] if isinstance(items, list) else []

    async def serve(self, request):
        body = await request.body()
        self.got.append((request.url.path + "?" + request.url.query, request.headers, body))
        if callable(self.answer):
            made = self.answer()
            return await made if hasattr(made, "__await__") else made
        if request.url.path == "/v1/models":
            return JSONResponse(
                {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "u"}]}
            )
        data = json.loads(body)
        make = responses_answer if request.url.path == "/v1/responses" else chat_answer
        whole, events = make(self.answer)
        if not data.get("stream"):
            return JSONResponse(whole)
        return StreamingResponse(self.stream(events), media_type="text/event-stream")

    async def stream(self, events):
        try:
            for i, event in enumerate(events):
                while i == 1 and self.gate is not None and not self.gate.is_set():
                    await anyio.sleep(0.005)
                yield event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n"
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise


def chat_answer(text):
    tool = [TOOL] if text is TOOL else None
    message = {"role": "assistant", "content": "One moment" if tool else text} | ({"tool_calls": tool} if tool else {})
    head = {"id": "1", "created": 1, "model": "m"}
    whole = head | {"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}

    def chunk(delta, end=None):
        return head | {
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": end}],
        }

    deltas = [{"content": c} for c in message["content"]] + ([{"tool_calls": [{"index": 0, **TOOL}]}] if tool else [])
    return whole, [*(chunk(d) for d in deltas), chunk({}, "stop"), "data: [DONE]\n\n"]


def responses_answer(text):
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [part]}
    call = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "weather", "arguments": "{}"}
    output = [call] if text is TOOL else [message]
    whole = {
        "id": "r1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": output,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip
    where = {"item_id": "m1", "output_index": 0, "content_index": 0, "logprobs": []}
    letters = "" if text is TOOL else text
    events = [
        {"type": "response.output_text.delta", "delta": c, "sequence_number": i, **where} for i, c in enumerate(letters)
    ]
    events.append({"type": "response.completed", "response": whole, "sequence_number": len(events)})
    return whole, [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events]


@contextmanager
def serving(app, lifespan="auto"):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        config = uvicorn.Config(app, log_level="critical", lifespan=lifespan, timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def upstream_server():
    upstream = Upstream()
    with serving(upstream.app) as url:
        upstream.url = url
        yield upstream


@pytest.fixture
def upstream(upstream_server):
    fresh = Upstream()
    keep = {"url": upstream_server.url, "app": upstream_server.app}
    upstream_server.__dict__.update(fresh.__dict__ | keep)
    return upstream_server


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        yield memory


class Talk:
    """A proxy, and the client of one who talks through it."""

    def __init__(self, memory, url, key="their-key"):
        self.memory, self.url = memory, url
        self.client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)

    def ask(self, messages=QUESTION, **more):
        """Return the answer's headers and body."""
        messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        raw = self.client.chat.completions.with_raw_response.create(model="m", messages=messages, **more)
        return raw.headers.get("x-mnemos-memory"), raw.parse()

    def stored(self, space="default", at_least=0):
        """Return what is stored as (role, text, session), once it is that much."""
        until = time.monotonic() + 10
        while True:
            here = self.memory.space(space)
            found = [(c.role, c.text, c.session) for c in here.list().items]
            if len(found) >= at_least or time.monotonic() > until:
                return found
            time.sleep(0.02)

    def settled(self, space="default"):
        """Return what is stored when nothing more comes."""
        time.sleep(0.3)
        return self.stored(space)


@contextmanager
def proxied(memory, upstream_url, key="their-key", **options):
    app = FastAPI()
    app.include_router(make_proxy(memory, upstream_url, **{"upstream_key": "sk-upstream", **options}))
    with serving(app) as url:
        talk = Talk(memory, url, key)
        try:
            yield talk
        finally:
            talk.client.close()


@pytest.fixture
def talk(memory, upstream):
    with proxied(memory, upstream.url) as talk:
        yield talk


# -- recall


def test_what_is_known_reaches_the_upstream_behind_the_callers_system_message(talk, upstream):
    talk.memory.space("default").add(FACT)
    told, answer = talk.ask([{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}])
    assert (told, answer.choices[0].message.content) == ("ok", "She lives in Lisbon.")
    assert [m["role"] for m in upstream.last["messages"]] == ["system", "system", "user"]
    assert upstream.memory[0] == "Be brief."
    assert FACT in upstream.memory[1]
    assert "They are data" in upstream.memory[1]
    assert upstream.last["messages"][2] == {"role": "user", "content": QUESTION}


def test_nothing_is_added_when_nothing_is_found(talk, upstream):
    told, _ = talk.ask()
    assert told == "none"
    assert upstream.last == {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}


def test_a_developers_message_gets_one_of_its_kind(talk, upstream):
    talk.memory.space("default").add(FACT)
    talk.ask([{"role": "developer", "content": "Be brief."}, {"role": "user", "content": QUESTION}])
    assert [m["role"] for m in upstream.last["messages"]] == ["developer", "developer", "user"]


def test_all_fields_pass_and_pictures_are_not_asked_for(talk, upstream):
    talk.memory.space("default").add(FACT)
    parts = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    sent = {
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {}}}], "temperature": 0.25,
        "response_format": {"type": "json_object"}, "metadata": {"a": "b"}, "extra_body": {"of_tomorrow": [1, {"x": None}]},
    }  # fmt: skip
    assert talk.ask([{"role": "user", "content": parts}], **sent)[0] == "ok"
    got = upstream.last
    assert got["messages"][1]["content"] == parts
    assert got["of_tomorrow"] == [1, {"x": None}]
    assert all(got[name] == sent[name] for name in ("tools", "temperature", "response_format", "metadata"))
    assert talk.stored(at_least=3)[1:] == [
        ("user", QUESTION, talk.stored()[1][2]), ("assistant", "She lives in Lisbon.", talk.stored()[1][2])
    ]  # fmt: skip


def test_the_budget_holds_and_can_be_chosen(talk, upstream):
    space = talk.memory.space("default")
    space.add_many({"content": f"Rita, my sister, likes the city number {i}."} for i in range(60))
    talk.ask()
    usual = len(upstream.memory[0])
    assert usual <= 800 * 3.5
    talk.ask(extra_headers={"X-Mnemos-Tokens": "200", "X-Mnemos-Mode": "read"})
    assert len(upstream.memory[0]) <= 200 * 3.5 < usual
    assert talk.ask(extra_headers={"X-Mnemos-Tokens": "0"})[0] == "none"


def test_what_the_prompt_says_itself_takes_no_room(talk, upstream):
    chat = [{"role": "user", "content": f"My sister Rita moved to city {i}."} for i in range(12)]
    for n in range(1, len(chat) + 1):
        talk.ask(chat[:n], extra_headers={"X-Mnemos-Session": "s"})
        talk.stored(at_least=2 * n)
    talk.memory.space("default").add("Rita is allergic to nuts.", session="other")
    told, _ = talk.ask(chat + [{"role": "user", "content": "Rita?"}], extra_headers={"X-Mnemos-Session": "s"})
    assert told == "ok"
    [block] = upstream.memory
    assert "allergic to nuts" in block
    assert "moved to city" not in block


def test_responses_get_it_too(talk, upstream):
    talk.memory.space("default").add(FACT)
    answer = talk.client.responses.create(model="m", input=QUESTION, instructions="Be brief.")
    assert answer.output_text == "She lives in Lisbon."
    assert FACT in upstream.memory[0]
    assert upstream.last["input"][1] == {"role": "user", "content": QUESTION}
    assert upstream.last["instructions"] == "Be brief."
    assert [row[:2] for row in talk.stored(at_least=3)[1:]] == [
        ("user", QUESTION),
        ("assistant", "She lives in Lisbon."),
    ]
    items = [{"role": "user", "content": [{"type": "input_text", "text": "And who is Rita?"}]}]
    talk.client.responses.create(model="m", input=items)
    assert FACT in upstream.memory[0]
    assert upstream.last["input"][1:] == items


# -- streams


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_events_arrive_as_they_are_sent_and_are_remembered(talk, upstream, api):
    upstream.gate = threading.Event()
    if api == "chat":
        stream = talk.client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
    else:
        stream = talk.client.responses.create(model="m", input=QUESTION, stream=True)
    events = iter(stream)
    first = next(events)  # the upstream waits with the second
    assert not upstream.gate.is_set()
    upstream.gate.set()
    every = [first, *events]
    if api == "chat":
        text = "".join(c.choices[0].delta.content or "" for c in every)
    else:
        text = "".join(e.delta for e in every if e.type == "response.output_text.delta")
    assert text == "She lives in Lisbon."
    assert [row[:2] for row in talk.stored(at_least=2)] == [("user", QUESTION), ("assistant", text)]


def test_bytes_are_passed_on_unchanged(talk, upstream):
    body = {"model": "m", "messages": [{"role": "user", "content": "é"}], "stream": True}
    direct = httpx.post(upstream.url + "/chat/completions", json=body)
    through = httpx.post(talk.url + "/chat/completions", json=body)
    assert through.content == direct.content
    assert through.headers["content-type"] == direct.headers["content-type"]


def test_a_client_that_leaves_ends_the_upstreams_call(talk, upstream):
    upstream.gate = threading.Event()
    stream = talk.client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": QUESTION}], stream=True
    )
    next(iter(stream))
    stream.close()
    assert upstream.cancelled.wait(5)
    assert [row[:2] for row in talk.stored(at_least=1)] == [("user", QUESTION)]  # no half answers
    assert len(talk.settled()) == 1


def test_a_client_that_leaves_before_the_answer_begins(memory):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        with proxied(memory, f"http://127.0.0.1:{listener.getsockname()[1]}/v1") as talk:
            with pytest.raises(openai.APITimeoutError):
                talk.ask(timeout=1)
            call, _ = listener.accept()
            call.settimeout(5)
            with call:
                while call.recv(65536):  # ends when the proxy hangs up
                    pass
            assert talk.settled() == []


def test_an_upstream_that_breaks_off_is_noticed(talk, upstream):
    async def broken():
        yield 'data: {"choices": [{"index": 0, "delta": {"content": "She"}}]}\n\n'
        raise OSError("gone")

    upstream.answer = lambda: StreamingResponse(broken(), media_type="text/event-stream")
    stream = talk.client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": QUESTION}], stream=True
    )
    with pytest.raises(openai.APIError, match="broke off"):
        list(stream)
    assert [row[:2] for row in talk.stored(at_least=1)] == [("user", QUESTION)]


@pytest.mark.anyio
async def test_many_at_once(talk, upstream):
    async with openai.AsyncOpenAI(base_url=talk.url, api_key="k", max_retries=0) as client:

        async def one(i):
            messages = [{"role": "user", "content": f"My number is {i}."}]
            stream = await client.chat.completions.create(
                model="m", messages=messages, stream=True, extra_headers={"X-Mnemos-Session": str(i)}
            )
            assert "".join([c.choices[0].delta.content or "" async for c in stream]) == "She lives in Lisbon."

        async with anyio.create_task_group() as group:
            for i in range(20):
                group.start_soon(one, i)
    rows = talk.stored(at_least=40)
    assert len(rows) == 40
    assert all(f"My number is {s}." in [t for _, t, session in rows if session == s] for _, _, s in rows)


@pytest.fixture
def anyio_backend():
    return "asyncio"


# -- remember


def test_spaces_sessions_and_times(talk, upstream):
    talk.ask("I like figs.", extra_headers={"X-Mnemos-Space": "caf%C3%A9", "X-Mnemos-Session": "s1"})
    answer = "She lives in Lisbon."
    assert talk.stored("café", 2) == [("user", "I like figs.", "s1"), ("assistant", answer, "s1")]
    first, second = talk.memory.space("café").list().items
    assert first.at <= second.at
    assert "default" not in talk.memory
    names = {n.lower() for n in upstream.got[-1][1]}
    assert not [n for n in names if n.startswith("x-mnemos")]


def test_without_a_session_a_chat_has_one_of_its_own(talk):
    talk.ask("I like figs.")
    talk.ask("I like dates.")
    rows = talk.stored(at_least=4)
    assert len({session for *_, session in rows}) == 2
    assert all(session.startswith("chat-") for *_, session in rows)


def test_a_history_sent_again_is_stored_once(talk):
    chat = [{"role": "system", "content": "It is nine."}, {"role": "user", "content": "I like figs."}]
    talk.ask(chat)
    talk.stored(at_least=2)
    talk.ask([{"role": "system", "content": "It is ten."}, *chat[1:]])  # tried again
    chat += [{"role": "assistant", "content": "She lives in Lisbon."}, {"role": "user", "content": "I like figs."}]
    talk.ask(chat)  # said again, and answered again: that is more
    talk.stored(at_least=4)
    talk.ask(chat)
    assert len(talk.settled()) == 4
    assert len({session for *_, session in talk.stored()}) == 1


def test_what_was_erased_stays_away(talk):
    talk.ask("I like figs.")
    talk.stored(at_least=2)
    talk.memory.space("default").forget(query="figs")
    talk.ask("I like figs.")
    assert [row[0] for row in talk.settled()] == ["assistant"]


@pytest.mark.parametrize("mode", ["off", "read", "read-write"])
def test_modes(talk, upstream, mode):
    talk.memory.space("default").add(FACT)
    told, _ = talk.ask(extra_headers={"X-Mnemos-Mode": mode})
    assert told == ("none" if mode == "off" else "ok")
    assert len(upstream.memory) == (0 if mode == "off" else 1)
    rows = talk.stored(at_least=3) if mode == "read-write" else talk.settled()
    assert len(rows) == (3 if mode == "read-write" else 1)


@pytest.mark.parametrize("headers", [{"X-Mnemos-Mode": "readonly"}, {"X-Mnemos-Tokens": "-1"}, {"X-Mnemos-Tokens": "9" * 9},
                                     {"X-Mnemos-Space": "%ff"}, {"X-Mnemos-Session": "s" * 1001}])  # fmt: skip
def test_what_is_mistyped_is_refused(talk, upstream, headers):
    with pytest.raises(openai.BadRequestError, match="X-Mnemos-") as caught:
        talk.ask(extra_headers=headers)
    assert caught.value.code == "invalid_header"
    assert not upstream.got


@pytest.mark.parametrize("streamed", [False, True])
def test_calls_of_tools_are_not_stored(talk, upstream, streamed):
    upstream.answer = TOOL
    answer = talk.client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": QUESTION}], stream=streamed
    )
    if streamed:
        list(answer)
    talk.client.responses.create(model="m", input=QUESTION)
    assert {row[:2] for row in talk.settled()} == {("user", QUESTION)}


def test_after_the_tool_the_answer_is_stored_and_the_question_once(talk, upstream):
    chat = [{"role": "user", "content": QUESTION}]
    upstream.answer = TOOL
    talk.ask(chat)
    talk.stored(at_least=1)
    upstream.answer = "It rains."
    chat += [{"role": "assistant", "content": None, "tool_calls": [TOOL]},
             {"role": "tool", "tool_call_id": "c1", "content": "rain"}]  # fmt: skip
    talk.ask(chat)
    assert [row[:2] for row in talk.stored(at_least=2)] == [("user", QUESTION), ("assistant", "It rains.")]


def test_empty_answers_are_not_stored(talk, upstream):
    upstream.answer = "  "
    talk.ask()
    assert [row[0] for row in talk.settled()] == ["user"]


# -- the upstream


def test_models(talk, upstream):
    assert [m.id for m in talk.client.models.list()] == ["m"]
    assert upstream.got[-1][1]["authorization"] == "Bearer sk-upstream"


def test_an_error_of_the_upstream_passes_through(talk, upstream):
    body = b'{"error": {"message": "slow down",  "type": "rate_limit", "odd": 1}}'
    upstream.answer = lambda: Response(
        body, 429, {"Retry-After": "7", "Content-Type": "application/json", "Set-Cookie": "a=b", "X-Request-Id": "r"}
    )
    with pytest.raises(openai.RateLimitError) as caught:
        talk.ask()
    answer = caught.value.response
    assert (answer.content, answer.headers["retry-after"], answer.headers["x-request-id"]) == (body, "7", "r")
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-mnemos-memory"] == "none"
    assert talk.settled() == []


def test_a_dead_upstream(memory):
    with socket.socket() as bound:  # nobody listens there
        bound.bind(("127.0.0.1", 0))
        with proxied(memory, f"http://127.0.0.1:{bound.getsockname()[1]}/v1") as talk:
            with pytest.raises(openai.InternalServerError) as caught:
                talk.ask()
            error = caught.value.response.json()["error"]
            assert caught.value.status_code == 502
            assert error == {"message": "the upstream cannot be reached.", "type": "upstream_error", "param": None,
                             "code": "upstream_unreachable"}  # fmt: skip
            assert talk.settled() == []


def test_a_silent_upstream(memory):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with proxied(memory, url, seconds=0.3) as talk:
            with pytest.raises(openai.InternalServerError) as caught:
                talk.ask()
            assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")


def test_an_upstream_that_redirects_is_not_followed(talk, upstream):
    upstream.answer = lambda: Response(b"", 307, {"Location": "http://127.0.0.1:1/"})
    with pytest.raises(openai.InternalServerError) as caught:
        talk.ask()
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_redirects")


@pytest.mark.parametrize("url", ["", "ftp://x/v1", "http:///v1", "http://u:p@x/v1", "http://x/v1?a=b", "x:y"])
def test_an_upstream_that_is_none(memory, url):
    with pytest.raises(InvalidInput, match="upstream"):
        make_proxy(memory, url)


@pytest.mark.parametrize(("key", "theirs", "sent"), [
    ("sk-upstream", "their-key", "Bearer sk-upstream"), ("sk-upstream", MNEMOS_KEY, "Bearer sk-upstream"),
    (None, "their-key", "Bearer their-key"), (None, MNEMOS_KEY, None),
])  # fmt: skip
def test_whose_key_reaches_the_upstream(memory, upstream, key, theirs, sent):
    with proxied(memory, upstream.url, theirs, upstream_key=key) as talk:
        talk.ask(extra_headers={"X-Api-Key": MNEMOS_KEY})
        _, headers, body = upstream.got[-1]
        assert headers.get("authorization") == sent
        assert "mnk_" not in str(headers.items())
        assert b"mnk_" not in body


def test_headers_of_this_hop_stay_here(talk, upstream):
    headers = {
        "Connection": "keep-alive, X-Odd", "X-Odd": "1", "Cookie": "a=b", "Proxy-Authorization": "x", "TE": "trailers",
        "X-Forwarded-Host": "evil", "Host": "evil.example", "OpenAI-Organization": "org", "X-Mnemos-New": "1",
    }  # fmt: skip
    body = {"messages": [{"role": "user", "content": "Hello"}], "upstream": "http://evil.example"}
    answer = httpx.post(talk.url + "/chat/completions?api-version=1", json=body, headers=headers)
    assert answer.status_code == 200
    path, got, _ = upstream.got[-1]
    assert path == "/v1/chat/completions?api-version=1"
    assert got["host"] == upstream.url.split("/")[2]
    assert got["openai-organization"] == "org"
    assert not {"x-odd", "cookie", "proxy-authorization", "te", "x-forwarded-host", "x-mnemos-new"} & set(got)
    assert got.getlist("accept-encoding") == ["identity"]


def test_cookies_of_one_caller_do_not_reach_another(talk, upstream):
    upstream.answer = lambda: Response(b"{}", 200, {"Set-Cookie": "who=ana"})
    httpx.post(talk.url + "/chat/completions", json={})
    httpx.post(talk.url + "/chat/completions", json={})
    assert "cookie" not in upstream.got[-1][1]


ODD = (b"", b"{", b"[]", b'"x"', b'{"messages": 5}', b'{"messages": [5, {"role": []}]}', b"\xff\xfe", b"[" * 100_000,
       b'{"messages": [{"role": "user", "content": {"a": 1}}]}')  # fmt: skip


@pytest.mark.parametrize("body", ODD)
def test_bodies_that_are_none_are_the_upstreams_business(talk, upstream, body):
    upstream.answer = lambda: JSONResponse({"error": {"message": "what?"}}, 400)
    answer = httpx.post(talk.url + "/chat/completions", content=body)
    assert answer.status_code == 400
    assert upstream.got[-1][2] == body


# -- trouble with the memory


@pytest.mark.parametrize("where", ["recall", "store", "open"])
def test_trouble_with_the_memory_does_not_break_the_chat(memory, upstream, monkeypatch, caplog, where):
    def fail(*args, **more):
        raise StoreBusy(f"busy with {FACT}")

    memory.space("default").add(FACT)
    if where != "open":
        monkeypatch.setattr("mnemos.space.Space." + {"recall": "context", "store": "add_many"}[where], fail)
    with (
        caplog.at_level(logging.INFO),
        proxied(memory, upstream.url, open_space=fail if where == "open" else None) as talk,
    ):
        told, answer = talk.ask()
        assert answer.choices[0].message.content == "She lives in Lisbon."
        assert told == ("ok" if where == "store" else "failed")
        talk.settled()
    assert "StoreBusy" in caplog.text
    assert "Rita" not in caplog.text


def test_a_memory_that_hangs_delays_one_chat_a_little_and_the_next_not_at_all(memory, upstream):
    hang = threading.Event()

    def wait(request, name, right):
        hang.wait(20)
        raise StoreBusy("busy")

    with proxied(memory, upstream.url, open_space=wait, patience=0.3) as talk:
        times = []
        for _ in range(3):
            start = time.monotonic()
            assert talk.ask(extra_headers={"X-Mnemos-Mode": "read"})[0] == "failed"
            times.append(time.monotonic() - start)
        hang.set()
        assert times[0] < 2
        assert max(times[1:]) < 0.29


def test_storing_does_not_delay_the_answer(memory, upstream, monkeypatch):
    go = threading.Event()
    add_many = module.Space.add_many
    monkeypatch.setattr("mnemos.space.Space.add_many", lambda self, m: go.wait(20) and add_many(self, m))
    with proxied(memory, upstream.url) as talk:
        for i in range(3):  # over one connection
            talk.ask(f"I like {i} figs.")
        assert talk.stored() == []
        go.set()
        assert len(talk.stored(at_least=6)) == 6


def test_who_may_only_read_gets_what_is_known(memory, upstream):
    def reader(request, name, right):
        if right == "write":
            raise MnemosError("only reading")
        return memory.space(name)

    memory.space("default").add(FACT)
    with proxied(memory, upstream.url, open_space=reader) as talk:
        assert talk.ask()[0] == "failed"  # it will not be remembered
        assert FACT in upstream.memory[0]
        assert talk.ask(extra_headers={"X-Mnemos-Mode": "read"})[0] == "ok"
        assert len(talk.settled()) == 1


def test_a_locked_file_delays_nobody(tmp_path, memory, upstream):
    memory.space("default").add(FACT)
    with sqlite3.connect(memory.space("default").store.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with proxied(memory, upstream.url) as talk:
            start = time.monotonic()
            told, _ = talk.ask()
            assert time.monotonic() - start < 2.5
            assert told in ("ok", "failed")
            other.execute("ROLLBACK")
            assert len(talk.stored(at_least=3)) == 3
    other.close()


def test_ids_do_not_give_away_texts(memory, upstream, tmp_path):
    with proxied(memory, upstream.url) as talk:
        talk.ask("I like figs.")
        talk.stored(at_least=2)
        ids = {c.id for c in memory.space("default").list().items}
    key = tmp_path / "serve" / "chats.key"
    assert key.stat().st_mode & 0o777 == 0o600
    body = json.dumps({"messages": [{"role": "user", "content": "I like figs."}]}).encode()
    assert Exchange.read(body, "messages", key.read_bytes(), None).said[0].id in ids
    assert Exchange.read(body, "messages", bytes(32), None).said[0].id not in ids


def test_reading_does_not_make_a_space(talk):
    assert talk.ask(extra_headers={"X-Mnemos-Space": "none", "X-Mnemos-Mode": "read"})[0] == "failed"
    assert "none" not in talk.memory


def test_who_opens_spaces_may_refuse_and_may_give_a_context(memory, upstream):
    seen = []

    @contextmanager
    def guard(request, name, right):
        seen.append((request.headers["authorization"], name, right))
        if name == "secret":
            raise HTTPException(403, "this key may not.")
        yield memory.space(name)
        seen.append("closed")

    with proxied(memory, upstream.url, open_space=guard) as talk:
        assert talk.ask()[0] == "none"
        assert len(talk.stored(at_least=2)) == 2
        who = "Bearer their-key"
        read, write = (who, "default", "read"), (who, "default", "write")
        assert seen == [write, "closed", read, "closed", write, "closed"]
        with pytest.raises(openai.PermissionDeniedError, match="may not"):
            talk.ask(extra_headers={"X-Mnemos-Space": "secret"})
        assert len(upstream.got) == 1


def test_it_says_what_is_missing(monkeypatch):
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "fastapi", None)
    spec = importlib.util.spec_from_file_location("without", module.__file__)
    with pytest.raises(MnemosError, match=r"mnemos\[serve\]"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


# -- reading


def test_answers_that_were_cut_off_or_failed_are_none():
    whole, events = chat_answer("Hello")
    assert answer_of(False, json.dumps(whole).encode()) == "Hello"
    raw = [e if isinstance(e, str) else f"data: {json.dumps(e)}\n\n" for e in events]
    assert answer_of(True, "".join(raw).replace("\n", "\r\n").encode()) == "Hello"
    assert answer_of(True, "".join(raw[:3]).encode()) == ""
    assert answer_of(True, (": ping\n\n" + "".join(raw[:6])).encode()) == "Hello"
    assert answer_of(True, ("".join(raw[:3]) + 'data: {"error": {"message": "x"}}\n\n' + "".join(raw)).encode()) == ""
    search = {"type": "web_search_call"}
    said = [{"type": "message", "content": [{"type": "output_text", "text": t}]} for t in ("Let me see.", "Rain.")]
    assert answer_of(False, json.dumps({"output": [said[0], search, said[1]]}).encode()) == "Rain."
    assert answer_of(False, json.dumps({"status": "failed", "output": said}).encode()) == ""


def test_chains_of_responses_are_apart():
    def ids(**more):
        return Exchange.read(json.dumps({"input": "yes", **more}).encode(), "input", b"key", None).said[0].id

    assert ids(previous_response_id="a") != ids(previous_response_id="b") != ids()
    read = Exchange.read(b'{"input": "yes", "conversation": {"id": "conv_1"}}', "input", b"key", None)
    assert read.session == "conv_1"
    assert Exchange.read(b'{"input": "\\ud800"}', "input", b"key", None).question == "\ufffd"
