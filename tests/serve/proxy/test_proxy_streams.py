"""Streams pass through the proxy as they are sent."""

import socket
import threading

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
pytest.importorskip("openai", reason="needs mnemos-os[llm]")

import anyio
import httpx
import openai
from starlette.responses import StreamingResponse
from through import QUESTION, proxied


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
