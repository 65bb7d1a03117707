"""Errors of the server on the routes of OpenAI's API are those that its clients read."""

import base64
import json
import socket

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
pytest.importorskip("openai", reason="needs mnemos-os[llm]")

import httpx
import openai
from through import MNEMOS_KEY, QUESTION, Talk, serving

from mnemos.serve.app import add_proxy
from mnemos.serve.limits import ServerLimits
from tests.serve.apps import App

ASKED = [{"role": "user", "content": QUESTION}]


class Served:
    def __init__(self, app, url, talk):
        self.app, self.url, self.talk = app, url, talk

    def with_key(self, key):
        return openai.OpenAI(base_url=self.url, api_key=key, max_retries=0)


@pytest.fixture
def serve(tmp_path, upstream):
    """Start servers with a proxy; the first key has all rights."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(upstream_url=upstream.url, **limits):
            app = stack.enter_context(App(tmp_path / "root", limits=ServerLimits(**limits)))
            add_proxy(app.app, app.memory, upstream_url, "sk-upstream")
            url = stack.enter_context(serving(app.app))
            talk = Talk(app.memory, url, app.key())
            stack.callback(talk.client.close)
            return Served(app, url, talk)

        yield start


def refused(client, kind, status, code, of="invalid_request_error", **more):
    """Ask, streamed and not, on both routes; each time the client raises the error, with all its fields."""
    for stream in (False, True):
        for ask in (
            lambda s: client.chat.completions.create(model="m", messages=ASKED, stream=s, **more),
            lambda s: client.responses.create(model="m", input=QUESTION, stream=s, **more),
        ):
            with pytest.raises(kind) as caught:
                ask(stream)
            error = caught.value
            assert (type(error), error.status_code, error.code, error.type, error.param) == (
                kind,
                status,
                code,
                of,
                None,
            )
            assert set(error.response.json()) == {"error"}
            assert error.body["message"] in str(error)
            assert len(error.body["message"]) > 10
    return error


def test_a_missing_or_wrong_key(serve):
    served = serve()
    for key in ("none", MNEMOS_KEY):
        error = refused(
            served.with_key(key), openai.AuthenticationError, 401, "invalid_api_key", "authentication_error"
        )
        assert error.response.headers["www-authenticate"].startswith("Bearer")
    with pytest.raises(openai.AuthenticationError):
        served.with_key("none").models.list()
    with pytest.raises(openai.AuthenticationError):
        served.with_key("none").embeddings.create(model="m", input="x")


def test_a_route_that_the_proxy_does_not_have(serve):
    served = serve()
    with pytest.raises(openai.NotFoundError) as caught:
        served.talk.client.embeddings.create(model="m", input="x")
    assert (caught.value.code, caught.value.type) == ("not_found", "invalid_request_error")


def test_a_body_that_is_too_large(serve):
    served = serve(chat_body=10_000)
    error = refused(
        served.talk.client, openai.APIStatusError, 413, "request_too_large", extra_body={"more": "x" * 20_000}
    )
    assert "10,000 bytes" in str(error)
    key = served.talk.client.api_key
    answer = httpx.post(  # without a length
        served.url + "/chat/completions", headers={"Authorization": f"Bearer {key}"}, content=iter([b"x" * 6_000] * 2)
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_too_many_requests(serve):
    served = serve(rate=0.001, burst=1)
    with pytest.raises(openai.APIStatusError):
        served.talk.client.embeddings.create(model="m", input="x")  # takes the only one
    error = refused(served.talk.client, openai.RateLimitError, 429, "rate_limit_exceeded", "rate_limit_error")
    assert int(error.response.headers["retry-after"]) >= 1


def test_a_server_that_is_full(serve, monkeypatch):
    served = serve()
    monkeypatch.setattr("mnemos.serve.limits.Room.enter", lambda *_: False)
    error = refused(served.talk.client, openai.InternalServerError, 503, "overloaded", "server_error")
    assert error.response.headers["retry-after"] == "1"


def test_an_upstream_that_is_down(serve):
    with socket.socket() as bound:  # nobody listens there
        bound.bind(("127.0.0.1", 0))
        served = serve(f"http://127.0.0.1:{bound.getsockname()[1]}/v1")
        refused(served.talk.client, openai.InternalServerError, 502, "upstream_unreachable", "upstream_error")


def test_a_host_and_an_origin_that_are_refused(serve):
    served = serve()
    for headers, status in (({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)):
        answer = httpx.post(served.url + "/chat/completions", json={}, headers=headers)
        assert answer.status_code == status
        assert {"message", "type", "param", "code"} == set(answer.json()["error"])


def test_a_defect_of_the_server(serve, monkeypatch):
    served = serve()

    async def fail(*_):
        raise RuntimeError(QUESTION)

    monkeypatch.setattr("mnemos.serve.chat_memory.ChatMemory.recall", fail)
    error = refused(served.talk.client, openai.InternalServerError, 500, "error", "server_error")
    assert "Rita" not in str(error)


@pytest.mark.parametrize("megabytes", [9, 45])
def test_pictures_pass_and_only_the_words_beside_them_are_stored(serve, upstream, megabytes):
    served = serve()
    picture = "data:image/png;base64," + base64.b64encode(bytes(megabytes * 750_000)).decode()
    parts = [{"type": "text", "text": "This is my dog Rex."}, {"type": "image_url", "image_url": {"url": picture}}]
    told, _ = served.talk.ask([{"role": "user", "content": parts}])
    assert told == "none"
    assert upstream.last["messages"][0]["content"] == parts
    rows = served.talk.stored(at_least=2)
    assert [text for _, text, _ in rows] == ["This is my dog Rex.", "She lives in Lisbon."]
    assert sum(path.stat().st_size for path in served.app.root.rglob("*")) < 3_000_000
    assert served.app.client().post("/v1/spaces/a/cubes", json={"content": picture}).status_code == 413


def test_what_is_too_long_for_the_memory_is_passed_on(serve, upstream):
    served = serve()
    text = "word " * 4_000_000
    told, _ = served.talk.ask(text)
    assert told == "failed"
    assert len(json.dumps(upstream.last)) > len(text)
