"""The proxy inside the server: keys and their rights apply to chats too."""

import pytest

pytest.importorskip("fastapi")

import httpx
from starlette.testclient import TestClient

from mnemos.errors import InvalidInput
from mnemos.serve.app import add_proxy

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Where does Ana live?"}]}


@pytest.fixture
def chatting(server):
    """A client without a key of a server with a proxy to nobody, the server's keys, and its memory."""
    server.memory.space("ana").add("I live in Porto.", speaker="Ana")
    add_proxy(server.app, server.memory, "http://127.0.0.1:9/v1", "upstream-secret")  # nobody listens there
    return TestClient(server.app, base_url="http://127.0.0.1"), server.keys, server.memory


def chat(http, token=None, space="ana"):
    headers = {"X-Mnemos-Space": space} | ({"Authorization": f"Bearer {token}"} if token else {})
    return http.post("/v1/chat/completions", json=CHAT, headers=headers)


def test_a_chat_needs_a_key(chatting):
    http, _, _ = chatting
    assert chat(http).status_code == 401
    assert chat(http, "mnk_aaaaaaaa_" + "x" * 43).status_code == 401


def test_a_chat_recalls_only_from_spaces_of_its_key(chatting):
    http, keys, memory = chatting
    own, _ = keys.add("own", spaces=["ana"], rights=["read", "write"])
    other, _ = keys.add("other", spaces=["bo"], rights=["read", "write"])
    found = chat(http, own)
    assert (found.status_code, found.headers["X-Mnemos-Memory"]) == (
        502,
        "ok",
    )  # the upstream is dead, the memory is not
    assert found.json()["error"]["code"] == "upstream_unreachable"
    assert "upstream-secret" not in found.text
    assert chat(http, other).headers["X-Mnemos-Memory"] == "failed"
    assert chat(http, other, "new").headers["X-Mnemos-Memory"] == "failed"
    assert memory.spaces() == ["ana"]


def test_an_answer_has_one_request_id_and_one_policy_whatever_the_upstream_says(chatting, monkeypatch):
    http, keys, _ = chatting
    token, _ = keys.add("own", spaces=["ana"], rights=["read"])
    said = {
        "X-Request-Id": "theirs",
        "Cache-Control": "public",
        "Content-Security-Policy": "script-src *",
        "X-Other": "kept",
    }

    async def answer(self, request, **options):
        return httpx.Response(200, json={}, headers=said, request=request)

    monkeypatch.setattr(httpx.AsyncClient, "send", answer)
    headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "mine"}
    found = http.get("/v1/models", headers=headers).headers
    assert found.get_list("x-request-id") == ["mine"]
    assert found.get_list("cache-control") == ["no-store"]
    assert found.get_list("content-security-policy") == ["default-src 'none'; frame-ancestors 'none'"]
    assert found["x-other"] == "kept"


def test_an_upstream_that_is_no_address_is_refused(chatting):
    http, _, memory = chatting
    with pytest.raises(InvalidInput):
        add_proxy(http.app, memory, "file:///etc/passwd", None)


def test_an_export_of_several_batches_is_whole_and_writes_are_logged_with_their_key(chatting):
    http, keys, memory = chatting
    token, key = keys.add("all", spaces=["*"], rights=["read", "write", "admin"])
    headers = {"Authorization": f"Bearer {token}"}
    messages = [{"content": f"note number {i}"} for i in range(250)]
    assert http.post("/v1/spaces/many/cubes", json={"messages": messages}, headers=headers).status_code == 201
    lines = http.get("/v1/spaces/many/export", headers=headers).text.splitlines()
    assert len(lines) == 250
    entries = http.get("/v1/spaces/many/audit", headers=headers).json()["entries"]
    assert [(e["actor"], e["action"], e["cubes"]) for e in entries] == [(f"key {key.id}", "add", 250)]
