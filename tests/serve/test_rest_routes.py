"""The routes of the REST server: what they return, store and erase."""

import json
import threading

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from tests.serve.apps import is_problem

SECRET = "Rita hid the spare key under the blue stone"


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
    client.post("/v1/spaces/ana/cubes", json={"messages": [{"content": "The blue stones are many."}]})
    answer = client.post("/v1/spaces/ana/forget", json={"query": "blue stone"}).json()
    shown = answer["cubes"]
    assert [c["text"] for c in shown] == [SECRET]
    near = {offer["cube"]["text"]: offer["reason"] for offer in answer["offers"]}
    assert near["The blue stones are many."] == "has it inside a longer word, number or address"
    receipt = client.post("/v1/spaces/ana/forget", json={"query": "blue stone", "preview": False}).json()
    assert receipt["verified"]
    assert receipt["ids"] == [shown[0]["id"]]
    again = client.post("/v1/spaces/ana/forget", json={"query": "blue stone", "preview": False})
    assert is_problem(again, 404)
    assert "forget_preview() shows them" in again.text


@pytest.mark.parametrize(
    "body",
    [
        {}, {"sesion": "s"}, {"where": {}}, {"include_superseded": True}, {"include_derived": True}, {"state": "any"},
        {"state": "active"}, {"as_of": "2100-01-01T00:00:00Z"}, {"ids": []}, {"query": ""}, {"query": "?"}, {"session": ""},
        {"where": {"a": {"$ne": 1}}}, {"everything": False}, {"everything": "yes"}, {"ids": [], "where": {}, "state": "any"},
    ],
)  # fmt: skip
def test_a_body_that_chooses_nothing_erases_nothing(client, body):
    client.post("/v1/spaces/ana/cubes", json={"messages": [{"content": "kept"}]})
    assert is_problem(client.post("/v1/spaces/ana/forget", json={**body, "preview": False}), 422)
    assert client.get("/v1/spaces/ana/stats").json()["cubes"] == 1


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
