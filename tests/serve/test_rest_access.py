"""Every route needs a valid key with the right that it requires, in a space of that key."""

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.testclient import TestClient

from mnemos.serve.keys import RIGHTS
from mnemos.serve.middleware import is_open
from tests.serve.apps import URL, is_problem

SECRET = "Rita hid the spare key under the blue stone"
PATHS = [  # the routes, before any app is made; `test_all_routes_are_listed` keeps it complete
    ("GET", "/metrics", "admin"),
    ("GET", "/v1/key", None),
    ("GET", "/v1/keys", "admin"),
    ("POST", "/v1/keys", "admin"),
    ("DELETE", "/v1/keys/{id}", "admin"),
    ("GET", "/v1/vocabulary", None),
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
    ("POST", "/v1/spaces/{space}/verify", "read"),
    ("POST", "/v1/spaces/{space}/quarantined", "read"),
    ("POST", "/v1/spaces/{space}/used", "write"),
    ("GET", "/v1/spaces/{space}/timeline", "read"),
    ("GET", "/v1/spaces/{space}/timezone", "read"),
    ("PUT", "/v1/spaces/{space}/timezone", "write"),
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
    ("POST", "/v1/spaces/{space}/import/file", "write"),
    ("GET", "/v1/spaces/{space}/tasks", "read"),
    ("GET", "/v1/spaces/{space}/tasks/{name}", "read"),
    ("POST", "/v1/spaces/{space}/tasks/{name}", "write"),
    ("GET", "/v1/spaces/{space}/tasks/{name}/history", "read"),
    ("GET", "/v1/spaces/{space}/tasks/{name}/prompt", "read"),
    ("GET", "/v1/spaces/{space}/cases/{name}", "read"),
    ("POST", "/v1/spaces/{space}/cases/{name}", "write"),
    ("POST", "/v1/spaces/{space}/cases/{name}/outcome", "write"),
    ("POST", "/v1/spaces/{space}/cases/{name}/find", "read"),
    ("POST", "/v1/spaces/{space}/cases/{name}/prompt", "read"),
    ("GET", "/v1/spaces/{space}/labels/{name}", "read"),
    ("POST", "/v1/spaces/{space}/labels/{name}", "write"),
    ("POST", "/v1/spaces/{space}/labels/{name}/predict", "read"),
    ("GET", "/v1/spaces/{space}/working/{name}", "read"),
    ("POST", "/v1/spaces/{space}/working/{name}", "write"),
    ("POST", "/v1/spaces/{space}/working/{name}/prompt", "write"),
    ("GET", "/v1/spaces/{space}/beliefs/{name}", "read"),
    ("POST", "/v1/spaces/{space}/beliefs/{name}", "write"),
    ("POST", "/v1/spaces/{space}/beliefs/{name}/prompt", "read"),
    ("POST", "/v1/spaces/{space}/answers", "write"),
    ("POST", "/v1/spaces/{space}/answers/find", "read"),
    ("DELETE", "/v1/spaces/{space}/answers", "erase"),
    ("GET", "/v1/spaces/{space}/answers/categories", "read"),
    ("PUT", "/v1/spaces/{space}/answers/categories", "write"),
]
BODIES = {
    "cubes": {"content": "new"}, "search": {"query": "key"}, "context": {"question": "key"},
    "rollback": {"version": 1}, "forget": {"query": "stone", "preview": False}, "consolidate": {},
    "search_sessions": {"query": "key"}, "pin": {"on": True}, "archive": {"ids": ["x"]}, "apply-policy": {"preview": False},
    "quarantined": {"question": "key"}, "used": {"question": "key", "ids": ["x"]},
    "verify": {
        "space": "ana", "at": "2024-03-01", "chosen_by": "ids", "ids": [], "derived": 0, "versions": 0, "searched_for": 0,
        "searched_bytes": 0, "remains": [],
    },
    "policy": {"cubes": 0}, "timezone": {"timezone": "UTC"},
    "tasks/{name}": {"do": "add", "step": "one"}, "cases/{name}": {"situation": "a", "plan": "b"},
    "outcome": {"situation": "a", "cases": ["x"], "reward": 1}, "find": {"situation": "a"},
    "cases/{name}/prompt": {"situation": "a"},
    "labels/{name}": {"examples": [{"text": "a", "label": "b"}]}, "predict": {"texts": ["a"]},
    "working/{name}": {"do": "add", "text": "a"}, "working/{name}/prompt": {}, "beliefs/{name}/prompt": {},
    "beliefs/{name}": {"decisions": [{"source": "a", "cue": "b", "action": "c", "reward": 1}]},
    "answers": {"question": "key", "answer": "a", "used": ["x"]}, "answers/find": {"question": "key"},
    "categories": {"categories": {}}, "keys": {"name": "n", "spaces": ["ana"], "rights": ["read"]},
}  # fmt: skip


REFUSED = {  # right though they are: there is no earlier version, no such step, and no embedder for questions and labels
    "cubes/{id}/rollback", "tasks/{name}/history", "answers", "labels/{name}", "labels/{name}/predict",
}  # fmt: skip
CUBES = {"archive": ["ids"], "used": ["ids"], "outcome": ["cases"], "answers": ["used"]}  # fields that take ids


def ask(client, method, path, cube="x", space="ana", headers=None):
    """Send what a route takes."""
    url, last = path.format(space=space, id=cube, name="porto"), path.rsplit("/", 1)[-1]
    given = max((key for key in BODIES if path.endswith(f"/{key}")), key=len, default=last)
    if method == "PATCH":
        return client.patch(url, json={"content": "changed"}, headers=headers)
    if method == "POST" and last == "import":
        return client.post(url, content=b"", headers=headers)
    if last == "file":
        return client.post(url, params={"name": "note.txt"}, content=b"A note.", headers=headers)
    if last == "history" and "tasks" in path:
        url += "?step=one"
    body = {"json": BODIES[given] | {k: [cube] for k in CUBES.get(last, ())}} if method in ("POST", "PUT") else {}
    return client.request(method, url, headers=headers, **body)


def guarded_routes(app):
    return [
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route) and not is_open(route.path)
        for method in sorted(route.methods)
    ]


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
    assert allowed.status_code < 300 or path.removeprefix("/v1/spaces/{space}/") in REFUSED


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
