"""A client of the proxy: the real `openai` client, a real server, and an upstream that records requests."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import anyio
import openai
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from mnemos.serve.proxy import make_proxy

MNEMOS_KEY = "mnk_abcdefgh_" + "x" * 43
FACT = "My sister Rita lives in Lisbon."
QUESTION = "Where does my sister Rita live?"
TOOL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


class Upstream:
    """An API that records requests. `answer` is the text, or a callable that returns a response."""

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
        """The system messages of the last request."""
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


class Talk:
    """A proxy with a client."""

    def __init__(self, memory, url, key="their-key"):
        self.memory, self.url = memory, url
        self.client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)

    def ask(self, messages=QUESTION, **more):
        """Send a chat; return the header X-Mnemos-Memory and the body of the response."""
        messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        raw = self.client.chat.completions.with_raw_response.create(model="m", messages=messages, **more)
        return raw.headers.get("x-mnemos-memory"), raw.parse()

    def stored(self, space="default", at_least=0):
        """Wait for `at_least` stored cubes; return them as (role, text, session)."""
        until = time.monotonic() + 10
        while True:
            here = self.memory.space(space)
            found = [(c.role, c.text, c.session) for c in here.cubes().items]
            if len(found) >= at_least or time.monotonic() > until:
                return found
            time.sleep(0.02)

    def settled(self, space="default"):
        """Return the stored cubes once no more are being written."""
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
