"""The REST server: every route guarded, wrong requests refused as problems, answers kept, archives streamed."""

import json
import threading
import time

import pytest

pytest.importorskip("fastapi", reason="needs mnemos[serve]")

from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.testclient import TestClient

from mnemos import Mnemos
from mnemos.errors import StoreError
from mnemos.serve.app import create_app
from mnemos.serve.keys import RIGHTS, KeyStore
from mnemos.serve.limits import ServerLimits
from mnemos.serve.middleware import is_open

URL = "http://127.0.0.1:8765"
SECRET = "Rita hid the spare key under the blue stone"
PATHS = [  # the routes, before any app is made; `test_all_routes_are_listed` keeps it complete
    ("GET", "/metrics", "admin"),
    ("GET", "/v1/key", None),
    ("GET", "/v1/keys", "admin"),
    ("POST", "/v1/keys", "admin"),
    ("DELETE", "/v1/keys/{id}", "admin"),
    ("GET", "/v1/spaces", None),
    ("DELETE", "/v1/spaces/{space}", "admin"),
    ("POST", "/v1/spaces/{space}/cubes", "write"),
    ("GET", "/v1/spaces/{space}/cubes", "read"),
    ("GET", "/v1/spaces/{space}/cubes/{id}", "read"),
    ("PATCH", "/v1/spaces/{space}/cubes/{id}", "write"),
    ("DELETE", "/v1/spaces/{space}/cubes/{id}", "erase"),
    ("GET", "/v1/spaces/{space}/cubes/{id}/history", "read"),
    ("GET", "/v1/spaces/{space}/cubes/{id}/links", "read"),
    ("POST", "/v1/spaces/{space}/cubes/{id}/rollback", "write"),
    ("POST", "/v1/spaces/{space}/search", "read"),
    ("POST", "/v1/spaces/{space}/search_sessions", "read"),
    ("POST", "/v1/spaces/{space}/context", "read"),
    ("GET", "/v1/spaces/{space}/facts", "read"),
    ("GET", "/v1/spaces/{space}/decisions", "read"),
    ("GET", "/v1/spaces/{space}/links", "read"),
    ("POST", "/v1/spaces/{space}/consolidate", "write"),
    ("POST", "/v1/spaces/{space}/forget", "erase"),
    ("GET", "/v1/spaces/{space}/timeline", "read"),
    ("GET", "/v1/spaces/{space}/graph", "read"),
    ("GET", "/v1/spaces/{space}/cubes/{id}/curve", "read"),
    ("GET", "/v1/spaces/{space}/fading", "read"),
    ("GET", "/v1/spaces/{space}/forms", "read"),
    ("GET", "/v1/spaces/{space}/runs", "read"),
    ("POST", "/v1/spaces/{space}/cubes/{id}/pin", "write"),
    ("POST", "/v1/spaces/{space}/archive", "write"),
    ("POST", "/v1/spaces/{space}/apply-policy", "erase"),
    ("GET", "/v1/spaces/{space}/policy", "read"),
    ("PUT", "/v1/spaces/{space}/policy", "write"),
    ("GET", "/v1/spaces/{space}/stats", "read"),
    ("GET", "/v1/spaces/{space}/audit", "admin"),
    ("GET", "/v1/spaces/{space}/export", "read"),
    ("POST", "/v1/spaces/{space}/import", "write"),
]
BODIES = {
    "cubes": {"content": "new"}, "search": {"query": "key"}, "context": {"question": "key"},
    "rollback": {"version": 1}, "forget": {"query": "stone", "preview": False}, "consolidate": {},
    "search_sessions": {"query": "key"}, "pin": {"on": True}, "archive": {"ids": ["x"]}, "apply-policy": {"preview": False},
    "policy": {"cubes": 0}, "keys": {"name": "n", "spaces": ["ana"], "rights": ["read"]},
}  # fmt: skip


class Server:
    """A root, its keys, and an app that can be started again."""

    def __init__(self, root, limits=None):
        self.root = root
        self.limits = limits
        self.keys = KeyStore.under(root)
        self.start()

    def start(self):
        self.memory = Mnemos(self.root, embedder="none")
        self.app = create_app(self.memory, self.keys, self.limits)

    def stop(self):
        self.memory.close()
        self.app.state.idempotency.close()

    def client(self, rights=RIGHTS, spaces=("*",), token=None, **options):
        token = token or self.keys.add("test", spaces=spaces, rights=rights)[0]
        return TestClient(self.app, URL, headers={"Authorization": f"Bearer {token}"}, **options)


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "root")
    yield server
    server.stop()
    server.keys.close()


@pytest.fixture
def client(server):
    return server.client()


def is_problem(response, status):
    data = response.json()
    return (
        response.status_code == status == data["status"]
        and response.headers["content-type"] == "application/problem+json"
        and {"type", "title", "detail"} <= data.keys()
    )


def ask(client, method, path, cube="x", space="ana", headers=None):
    """Send what a route takes."""
    url, last = path.format(space=space, id=cube), path.rsplit("/", 1)[-1]
    if method == "PATCH":
        return client.patch(url, json={"content": "changed"}, headers=headers)
    if method == "POST" and last == "import":
        return client.post(url, content=b"", headers=headers)
    body = {"json": BODIES[last] | ({"ids": [cube]} if last == "archive" else {})} if method in ("POST", "PUT") else {}
    return client.request(method, url, headers=headers, **body)


def guarded_routes(app):
    return [
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route) and not is_open(route.path)
        for method in sorted(route.methods)
    ]


# -- who may do what


def test_all_routes_are_listed_here_so_that_all_are_tested(server):
    assert sorted(guarded_routes(server.app)) == sorted((m, p) for m, p, _ in PATHS)
    assert all(isinstance(r, APIRoute) or r.path == "/openapi.json" for r in server.app.routes)


@pytest.mark.parametrize(("method", "path", "right"), PATHS)
def test_no_route_lets_anything_through_without_a_key_that_may(server, client, method, path, right):
    cube = client.post("/v1/spaces/ana/cubes", json={"content": SECRET, "speaker": "Rita"}).json()["cubes"][0]["id"]
    if "/keys/" in path:
        cube = server.keys.add("doomed", spaces=["ana"], rights=["read"])[1].id
    bare = TestClient(server.app, URL)
    other = server.keys.add("other", spaces=["*"], rights=RIGHTS)[0]
    wrong = other[:-1] + ("A" if other[-1] != "A" else "B")
    for header in ({}, {"Authorization": f"Bearer {wrong}"}, {"Authorization": "Bearer "}, {"Authorization": other}):
        refused = ask(bare, method, path, cube, headers=header)
        assert is_problem(refused, 401)
        assert refused.headers["www-authenticate"].startswith("Bearer")
    if right is not None:
        lacking = server.client([r for r in RIGHTS if r != right])
        assert is_problem(ask(lacking, method, path, cube), 404 if right == "read" else 403)
    if "{space}" in path:
        elsewhere = server.client(spaces=["bob", "an", "ana?"])
        for space in ("ana", "nobody"):  # what is there looks like what is not
            refused = ask(elsewhere, method, path, cube, space)
            assert is_problem(refused, 404)
            assert refused.json()["detail"] == f"there is no space '{space}'."
        assert "nobody" not in server.memory
    elif path == "/v1/spaces":
        assert ask(server.client(spaces=["bob"]), method, path).json() == {"spaces": []}
    assert [c["text"] for c in client.get("/v1/spaces/ana/cubes").json()["items"]] == [SECRET]  # nothing happened
    allowed = ask(client, method, path, cube)
    assert allowed.status_code < 300 or "rollback" in path


def test_metrics_tell_of_no_space_that_the_key_may_not_administer(server, client):
    for space in ("ana", "bob"):
        client.post(f"/v1/spaces/{space}/cubes", json={"content": "a"})
    text = server.client(["admin"], ["bob"]).get("/metrics").text
    assert 'mnemos_cubes{space="bob"} 1' in text
    assert "ana" not in text
    assert 'mnemos_requests_total{method="POST",route="/v1/spaces/{space}/cubes",status="201"} 2' in text
    assert 'le="+Inf"' in text


def test_a_write_key_adds_but_does_not_read(server, client):
    writer = server.client(["write"])
    cube = writer.post("/v1/spaces/ana/cubes", json={"content": SECRET}).json()["cubes"][0]["id"]
    for refused in (
        writer.post("/v1/spaces/ana/search", json={"query": "stone"}),
        writer.patch(f"/v1/spaces/ana/cubes/{cube}", json={"speaker": "x"}),  # it would show the text
        server.client(["erase"]).post("/v1/spaces/ana/forget", json={"everything": True}),  # so would a preview
    ):
        assert is_problem(refused, 404)


def test_health_and_openapi_need_no_key(server):
    bare = TestClient(server.app, URL)
    assert bare.get("/health").json()["status"] == "ok"
    described = bare.get("/openapi.json").json()["paths"]
    assert {path for _, path, _ in PATHS} | {"/health", "/ready"} == set(described)
    assert is_problem(bare.get("/docs"), 401)
    assert is_problem(bare.get("/v1/nowhere"), 401)


# -- the routes


def test_a_cube_through_its_life(client):
    made = client.post("/v1/spaces/ana/cubes", json={"content": "I live in Porto.", "speaker": "Ana", "mood": "fine"})
    assert made.status_code == 201
    [cube] = made.json()["cubes"]
    assert cube["metadata"] == {"mood": "fine"}
    here = f"/v1/spaces/ana/cubes/{cube['id']}"
    assert client.get(here).json() == cube
    assert client.patch(here, json={"content": "I live in Braga."}).json()["version"] == 2
    assert [c["text"] for c in client.get(here + "/history").json()["cubes"]] == [
        "I live in Porto.",
        "I live in Braga.",
    ]
    assert client.post(here + "/rollback", json={"version": 1}).json()["text"] == "I live in Porto."
    assert client.get("/v1/spaces/ana/facts", params={"subject": "ana"}).json()["facts"][0]["value"] == "Porto"
    client.post("/v1/spaces/ana/cubes", json={"content": "I moved to Faro.", "speaker": "Ana"})
    assert [d["action"] for d in client.get("/v1/spaces/ana/decisions").json()["decisions"]] == ["SUPERSEDE"]
    assert "supersedes" in {x["kind"] for x in client.get(here + "/links").json()["links"]}
    assert client.get("/v1/spaces/ana/links?kind=supersedes").json()["links"]
    assert "Faro" in client.post("/v1/spaces/ana/context", json={"question": "Where does Ana live?"}).json()["context"]
    assert client.post("/v1/spaces/ana/consolidate").status_code == 200
    stats = client.get("/v1/spaces/ana/stats").json()
    assert stats["superseded"] == 1
    assert "path" not in stats
    audit = client.get("/v1/spaces/ana/audit", params={"verify": "true"}).json()
    assert (audit["problems"], audit["count"]) == ([], len(audit["entries"]))
    assert client.delete(here).json() == {"removed": [cube["id"]]}
    assert is_problem(client.get(here), 404)
    assert client.get("/v1/spaces").json() == {"spaces": ["ana"]}
    assert client.delete("/v1/spaces/ana").status_code == 200
    assert client.get("/v1/spaces").json() == {"spaces": []}
    assert is_problem(client.get("/v1/spaces/ana/stats"), 404)


def test_a_list_comes_in_pages_and_takes_the_filters(client):
    messages = [{"content": f"n{i}", "speaker": "AB"[i % 2], "metadata": {"i": i}} for i in range(7)]
    client.post("/v1/spaces/ana/cubes", json={"messages": messages, "reconcile": False})
    found, cursor = [], ""
    while cursor is not None:
        page = client.get("/v1/spaces/ana/cubes", params={"limit": 2, "speaker": "A", "cursor": cursor or 0}).json()
        found, cursor = found + [c["text"] for c in page["items"]], page["next_cursor"]
    assert found == ["n0", "n2", "n4", "n6"]
    [only] = client.get("/v1/spaces/ana/cubes", params={"where": '{"i": 3}'}).json()["items"]
    assert only["text"] == "n3"


def test_forget_shows_first_and_then_gives_a_receipt(client):
    client.post("/v1/spaces/ana/cubes", json={"messages": [{"content": SECRET}, {"content": "The weather is fine."}]})
    shown = client.post("/v1/spaces/ana/forget", json={"query": "blue stone"}).json()["cubes"]
    assert [c["text"] for c in shown] == [SECRET]
    receipt = client.post("/v1/spaces/ana/forget", json={"query": "blue stone", "preview": False}).json()
    assert receipt["verified"]
    assert receipt["ids"] == [shown[0]["id"]]
    assert is_problem(client.post("/v1/spaces/ana/forget", json={"preview": False}), 422)
    assert is_problem(client.post("/v1/spaces/ana/forget", json={"sesion": "s", "preview": False}), 422)


def test_an_export_is_what_an_import_takes(server, client):
    client.post("/v1/spaces/ana/cubes", json={"messages": [{"content": f"text {i}\u2028é"} for i in range(250)]})
    lines = client.get("/v1/spaces/ana/export").content
    assert [json.loads(line) for line in lines.splitlines()] == list(server.memory.space("ana").dump())

    def chunks():
        for start in range(0, len(lines), 1_000):
            yield lines[start : start + 1_000]

    url = "/v1/spaces/a%2Fb%20ö/import"  # any name, percent-encoded
    assert client.post(url, content=chunks()).json() == {"added": 250, "skipped": 0}
    assert client.post(url, content=lines).json() == {"added": 0, "skipped": 250}
    assert "a/b ö" in client.get("/v1/spaces").json()["spaces"]
    again = [json.loads(x)["cube"]["text"] for x in client.get("/v1/spaces/a%2Fb%20ö/export").content.splitlines()]
    assert again == [f"text {i}\u2028é" for i in range(250)]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "5",
        '{"cube": {}}',
        "\0",
        "[" * 100_000,
        '{"cube": {"id": "\\ud800", "text": "a", "space": "s", "at": "2024-01-01", "learned": "2024-01-01"}, "versions": []}',
        '{"cube": {"id": 5}, "versions": []}',
        "{'a': 1}",
        "é\udce9",
    ],
)
def test_an_import_of_anything_else_stores_nothing(client, line):
    client.post("/v1/spaces/ana/cubes", json={"content": "one"})
    good = client.get("/v1/spaces/ana/export").content
    refused = client.post("/v1/spaces/bob/import", content=good + line.encode("utf-8", "surrogatepass"))
    assert is_problem(refused, 422)
    assert "line 2" in refused.json()["detail"]
    assert client.get("/v1/spaces/bob/cubes").json()["items"] == []


# -- Idempotency-Key


def test_the_same_request_is_answered_once_across_a_restart(server, client):
    token = client.headers["Authorization"].removeprefix("Bearer ")
    head, url = {"Idempotency-Key": "k1"}, "/v1/spaces/ana/cubes"
    first = client.post(url, json={"content": SECRET}, headers=head)
    for _ in range(2):
        again = client.post(url, json={"content": SECRET}, headers=head)
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        assert is_problem(client.post(url, json={"content": "other"}, headers=head), 409)
        server.stop()
        server.start()
        client = server.client(token=token)
    assert server.memory.space("ana").count() == 1
    for other in (server.client(), client):  # the key of another, and another space
        space = "bob" if other is client else "ana"
        assert (
            "Idempotent-Replayed"
            not in other.post(f"/v1/spaces/{space}/cubes", json={"content": "x"}, headers=head).headers
        )
    raw = b"".join(p.read_bytes() for p in server.root.glob("serve/answers*"))
    assert b"stone" not in raw
    cube = first.json()["cubes"][0]["id"]
    client.delete(f"{url}/{cube}")
    assert is_problem(client.post(url, json={"content": SECRET}, headers=head), 409)  # what is gone stays gone


def test_a_request_that_failed_may_come_again_and_one_cut_off_does_not_run_twice(server, client, monkeypatch):
    head, url = {"Idempotency-Key": "k1"}, "/v1/spaces/ana/cubes"
    assert is_problem(client.post(url, json={"content": ""}, headers=head), 422)
    assert client.post(url, json={"content": "x"}, headers=head).status_code == 201
    monkeypatch.setattr(server.app.state.idempotency, "end", lambda *_: None)  # as if killed before the answer was kept
    client.post(url, json={"content": "y"}, headers={"Idempotency-Key": "k2"})
    monkeypatch.undo()
    refused = client.post(url, json={"content": "y"}, headers={"Idempotency-Key": "k2"})
    assert is_problem(refused, 409)
    assert server.memory.space("ana").count() == 2


def test_an_answer_is_kept_for_a_day(server, client):
    head, url = {"Idempotency-Key": "k1"}, "/v1/spaces/ana/cubes"
    client.post(url, json={"content": "x", "session": "s"}, headers=head)
    server.app.state.idempotency.now = lambda: time.time() + 86_401
    client.post(url, json={"content": "x", "session": "s"}, headers=head)
    assert server.memory.space("ana").count() == 2


# -- what is refused


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
        from urllib.parse import quote

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
    server = Server(tmp_path, ServerLimits(body=10_000, import_body=20_000, import_line=15_000))
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
    server.stop()


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
    server = Server(tmp_path, ServerLimits(hosts=("memory.lan",)))
    for path in ("/v1/spaces", "/health"):
        answer = server.client().get(path, headers=headers)
        assert answer.status_code == status
        assert status == 200 or is_problem(answer, status)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    server.stop()


def test_a_header_given_twice_is_refused(client):
    twice = [("Host", "127.0.0.1"), ("Host", "evil.example")]
    assert is_problem(client.get("/v1/spaces", headers=twice), 400)


def test_too_many_requests_of_a_key_wait_and_others_do_not(tmp_path):
    server = Server(tmp_path, ServerLimits(rate=0.5, burst=3))
    one, two = server.client(), server.client()
    assert [one.get("/v1/spaces").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = one.get("/v1/spaces")
    assert is_problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert two.get("/v1/spaces").status_code == 200
    bare = TestClient(server.app, URL)
    assert [bare.get("/v1/spaces").status_code for _ in range(4)] == [401, 401, 401, 429]
    server.stop()


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path):
    import anyio

    server = Server(tmp_path, ServerLimits(body_seconds=0.2))
    token = server.keys.add("t", spaces=["*"], rights=["write"])[0]
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
    server.stop()


# -- errors of the inside


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


def test_many_requests_at_once_and_a_removal_between_them(server):
    server.app.state.pool.max_open = 2
    client, statuses = server.client(), []

    def work(n):
        for i in range(5):
            space = f"s{(n + i) % 4}"
            statuses.append(client.post(f"/v1/spaces/{space}/cubes", json={"content": f"{n} {i}"}).status_code)
            statuses.append(client.post(f"/v1/spaces/{space}/search", json={"query": str(n)}).status_code)
            if n == 0:
                statuses.append(client.delete(f"/v1/spaces/{space}").status_code)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 201, 404, 429}
    assert client.get("/metrics").status_code == 200
    assert len(server.memory._spaces) <= 3
