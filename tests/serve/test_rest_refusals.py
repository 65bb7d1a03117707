"""Wrong requests are refused with problem documents, and errors reveal nothing."""

import json
from urllib.parse import quote

import anyio
import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from starlette.testclient import TestClient

from mnemos.errors import StoreError, StoreFull
from mnemos.serve.limits import ServerLimits
from tests.serve.apps import URL, App, is_problem

SECRET = "Rita hid the spare key under the blue stone"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\0", b'{"query": "\0"}', b"[" * 100_000, b"null", b"5", b"\xff\xfe", b'{"query": "a", "k": 0}',
     b'{"query": "a", "k": 1e999}', b'{"query": ""}', b'{"query": 5}', b'{"query": "a", "nope": 1}',
     b'{"query": "a", "speaker": "\\ud800"}', b'{"query": "a", "since": "no date"}', b'{"query": "a", "since": NaN}',
     b'{"query": "a", "since": 1e300}', b'{"query": "a", "where": 5}', b'{"query": "a", "method": "magic"}'],
)  # fmt: skip
def test_malformed_bodies_are_problems(client, body):
    client.post("/v1/spaces/ana/cubes", json={"content": "a"})
    refused = client.post("/v1/spaces/ana/search", content=body, headers={"Content-Type": "application/json"})
    assert refused.headers["content-type"] == "application/problem+json"
    assert 400 <= refused.status_code < 500


def test_a_body_without_its_type_is_not_read(client):
    form = client.post("/v1/spaces/ana/cubes", content=b'{"content": "a"}', headers={"Content-Type": "text/plain"})
    assert is_problem(form, 422)


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fetc", "%2e%2e", "a%2f..%2fb", "..%5Cx", "%00", "a%0Ab", "%ff", "%ed%a0%80", "%20", "a" * 1_001]
)
def test_names_that_are_paths_or_hold_control_characters_are_refused(server, client, name):
    before = sorted(server.root.rglob("*"))
    for answer in (
        client.post(f"/v1/spaces/{name}/cubes", json={"content": "x"}),
        client.get(f"/v1/spaces/{name}/stats"),
        client.delete(f"/v1/spaces/{name}"),
    ):
        assert is_problem(answer, 422)
    assert sorted(server.root.rglob("*")) == before


def test_ids_and_filters_may_hold_anything(client):
    for odd in ("a/b", "%2F", "D1:3", "é", "x\0y", "' OR 1=1 --"):
        [cube] = client.post("/v1/spaces/ana/cubes", json={"content": "a", "id": odd}).json()["cubes"]
        assert client.get(f"/v1/spaces/ana/cubes/{quote(odd, safe='')}").json() == cube
        assert client.get("/v1/spaces/ana/cubes", params={"speaker": odd}).json()["items"] == []


@pytest.mark.parametrize(
    "where", [{"a": [1]}, {"a": {"b": None}}, {"": 1}, {"a\0": 1}, {'a"': 1}, {"a": 10**30}, {"a": "\ud800"}]
)
def test_metadata_filters_of_any_shape_do_not_break_the_server(client, where):
    client.post("/v1/spaces/ana/cubes", json={"content": "a"})
    body = json.dumps({"query": "a", "where": where}).encode()
    answer = client.post("/v1/spaces/ana/search", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 422)


def test_bodies_that_are_too_large_are_refused_with_and_without_a_length(tmp_path):
    server = App(tmp_path, limits=ServerLimits(body=10_000, import_body=20_000, import_line=15_000))
    client = server.client()
    big = json.dumps({"content": "x" * 10_000}).encode()
    head = {"Content-Type": "application/json"}
    assert is_problem(client.post("/v1/spaces/ana/cubes", content=big, headers=head), 413)
    for url, most in (("/v1/spaces/ana/cubes", 413), ("/v1/spaces/ana/search", 413)):
        answer = client.post(url, content=iter([big[:6_000], big[6_000:]]), headers=head)
        assert "content-length" not in answer.request.headers
        assert is_problem(answer, most)
    assert is_problem(client.post("/v1/spaces/ana/import", content=iter([b" " * 9_000] * 2)), 422)  # one line
    assert is_problem(client.post("/v1/spaces/ana/import", content=iter([b"\n" * 10_000] * 3)), 413)
    assert is_problem(client.post("/v1/spaces/ana/cubes", content=b"", headers={"Content-Length": "x"}), 400)
    server.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421), ({"Host": ""}, 421), ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "0.0.0.0:8765"}, 421), ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "localhost:1"}, 200), ({"Host": "LOCALHOST."}, 200), ({"Host": "[::1]:8765"}, 200),
        ({"Origin": URL, "Sec-Fetch-Site": "same-origin"}, 200), ({"Host": "memory.lan"}, 200),
    ],
)  # fmt: skip
def test_hosts_and_origins(tmp_path, headers, status):
    server = App(tmp_path, limits=ServerLimits(hosts=("memory.lan",)))
    for path in ("/v1/spaces", "/health"):
        answer = server.client().get(path, headers=headers)
        assert answer.status_code == status
        assert status == 200 or is_problem(answer, status)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    server.close()


def test_a_header_given_twice_is_refused(client):
    twice = [("Host", "127.0.0.1"), ("Host", "evil.example")]
    assert is_problem(client.get("/v1/spaces", headers=twice), 400)


def test_too_many_requests_of_a_key_wait_and_others_do_not(tmp_path):
    server = App(tmp_path, limits=ServerLimits(rate=0.5, burst=3))
    one, two = server.client(), server.client()
    assert [one.get("/v1/spaces").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = one.get("/v1/spaces")
    assert is_problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert two.get("/v1/spaces").status_code == 200
    bare = TestClient(server.app, URL)
    assert [bare.get("/v1/spaces").status_code for _ in range(4)] == [401, 401, 401, 429]
    server.close()


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path):
    server = App(tmp_path, limits=ServerLimits(body_seconds=0.2))
    token = server.keys.add("t", spaces=["*"], rights=["read", "write"])[0]
    sent = []

    async def run(path):
        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode()),
                        (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1), "scheme": "http", "server": ("127.0.0.1", 1), "http_version": "1.1",
        }  # fmt: skip

        async def send(message):
            sent.append(message)

        with anyio.fail_after(5):
            await server.app(scope, anyio.sleep_forever, send)

    for path in ("/v1/spaces/ana/cubes", "/v1/spaces/ana/import"):
        sent.clear()
        anyio.run(run, path)
        assert sent[0]["status"] == 408
    server.close()


def test_errors_of_the_store_hide_the_root_and_defects_hide_everything(server, client, monkeypatch, caplog):
    client.post("/v1/spaces/ana/cubes", json={"content": "a"})
    here = server.memory.space("ana")
    for error, told in (
        (StoreError(f"{server.root}/ana.mnemos is damaged"), "(root)/ana.mnemos is damaged"),
        (RuntimeError(SECRET), "internal error of the server. Its log says where it occurred."),
    ):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(here, "search", fail)
        answer = client.post("/v1/spaces/ana/search", json={"query": "a"})
        assert is_problem(answer, 500)
        assert answer.json()["detail"] == told
    assert "RuntimeError in /v1/spaces/{space}/search" in caplog.text
    assert "stone" not in caplog.text
    assert "mnk_" not in caplog.text


def test_unknown_routes_and_methods_are_problems(client):
    assert is_problem(client.get("/v1/nope"), 404)
    assert is_problem(client.get("/v1/spaces/"), 404)
    refused = client.put("/v1/spaces")
    assert is_problem(refused, 405)
    assert refused.headers["allow"] == "GET"


def test_a_full_disk_is_told_as_such(server, client, monkeypatch, caplog):
    client.post("/v1/spaces/ana/cubes", json={"content": "a", "id": "x"})
    full = StoreFull("the disk is full: nothing was changed. Make room, then try again.")

    def fail(*_, **__):
        raise full

    for verb in ("add_many", "delete", "forget", "update"):
        monkeypatch.setattr("mnemos.space.Space." + verb, fail)
    for answer in (
        client.post("/v1/spaces/ana/cubes", json={"content": SECRET}),
        client.delete("/v1/spaces/ana/cubes/x"),
        client.post("/v1/spaces/ana/forget", json={"ids": ["x"], "preview": False}),
        client.patch("/v1/spaces/ana/cubes/x", json={"content": SECRET}),
    ):
        assert is_problem(answer, 507)
        assert (answer.json()["type"], answer.json()["detail"]) == ("urn:mnemos:error:StoreFull", str(full))
    assert "StoreFull" in caplog.text
    assert "stone" not in caplog.text
    assert client.get("/v1/spaces/ana/cubes/x").status_code == 200
