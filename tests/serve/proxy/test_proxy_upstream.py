"""The proxy passes on responses and errors of the upstream unchanged."""

import socket

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
pytest.importorskip("openai", reason="needs mnemos-os[llm]")

import httpx
import openai
from starlette.responses import JSONResponse, Response
from through import MNEMOS_KEY, proxied

from mnemos.errors import InvalidInput
from mnemos.serve.proxy import make_proxy


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
        "X-Forwarded-Host": "evil", "Host": "evil.example", "OpenAI-Organization": "org", "X-Mnemos-Session": "1",
    }  # fmt: skip
    body = {"messages": [{"role": "user", "content": "Hello"}], "upstream": "http://evil.example"}
    answer = httpx.post(talk.url + "/chat/completions?api-version=1", json=body, headers=headers)
    assert answer.status_code == 200
    path, got, _ = upstream.got[-1]
    assert path == "/v1/chat/completions?api-version=1"
    assert got["host"] == upstream.url.split("/")[2]
    assert got["openai-organization"] == "org"
    assert not {"x-odd", "cookie", "proxy-authorization", "te", "x-forwarded-host", "x-mnemos-session"} & set(got)
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
