"""Idempotency-Key: a repeated request gets the first response and adds nothing."""

import time

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from tests.serve.apps import App, is_problem

SECRET = "Rita hid the spare key under the blue stone"


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


WRITES = {  # by route: a body, and what it is after two requests with one key where it would be after two without
    "cases/print": ({"situation": "The printer is offline", "plan": "Restart the spooler"}, "cases/print", "cases", 1),
    "working/w": ({"do": "add", "text": "Valve 3 shows 80.", "tokens": 500}, "working/w", "items", 1),
}


@pytest.mark.parametrize("route", WRITES)
def test_every_route_that_adds_something_adds_it_once(client, route):
    body, read, name, count = WRITES[route]
    url, head = f"/v1/spaces/ana/{route}", {"Idempotency-Key": "k1"}
    first, again = (client.post(url, json=body, headers=head) for _ in range(2))
    assert (again.status_code, again.json()) == (200, first.json()), again.text
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    found = client.get(f"/v1/spaces/ana/{read}").json()[name]
    assert len(found) == count, found
    assert is_problem(client.post(f"{url}2", json=body, headers=head), 409)  # the key was used at another address


def test_an_outcome_and_an_episode_count_once(server, client):
    head, base = {"Idempotency-Key": "k1"}, "/v1/spaces/ana"
    case = client.post(f"{base}/cases/print", json={"situation": "offline", "plan": "x"}).json()["case"]["id"]
    noted = {"situation": "offline again", "cases": [case], "reward": 1}
    for _ in range(2):
        assert client.post(f"{base}/cases/print/outcome", json=noted, headers=head).json() == {"noted": [case]}
    calm = {"source": "news", "cue": "calm", "action": "wait", "reward": 0}
    sold, bought = ({"source": "news", "cue": "up", "action": a, "reward": r} for a, r in (("sell", -1), ("buy", 1)))
    client.post(f"{base}/beliefs/desk", json={"decisions": [calm, sold]})
    for _ in range(2):
        sent = client.post(
            f"{base}/beliefs/desk", json={"decisions": [calm, bought]}, headers={"Idempotency-Key": "k2"}
        )
        assert [b["keep"] for b in sent.json()["beliefs"]] == ["buy"]
    kinds = [cube.kind for cube in server.memory.space("ana").cubes(include_derived=True)]
    assert (kinds.count("agent-outcome"), kinds.count("agent-episode")) == (1, 2)


def test_a_change_of_a_step_or_a_cube_is_made_once(server, client):
    base, space = "/v1/spaces/ana", server.memory.space
    client.post(f"{base}/tasks/trip", json={"do": "add", "step": "hotel", "slots": {"price": 80}})
    cube = client.post(f"{base}/cubes", json={"content": "I live in Porto."}).json()["cubes"][0]["id"]
    writes = [
        ("POST", "tasks/trip", {"do": "set", "step": "hotel", "slots": {"price": 90}}, "step"),
        ("PATCH", f"cubes/{cube}", {"content": "I live in Faro."}, None),
        ("POST", f"cubes/{cube}/rollback", {"version": 1}, None),
        ("POST", "used", {"question": "Where?", "ids": [cube]}, None),
    ]
    for number, (method, route, body, part) in enumerate(writes):
        head = {"Idempotency-Key": f"k{number}"}
        first, again = (client.request(method, f"{base}/{route}", json=body, headers=head) for _ in range(2))
        assert (again.status_code, again.json()) == (200, first.json()), (route, again.text)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert part is None or again.json()[part]
    assert [v.version for v in space("ana").history(cube)] == [1, 2, 3]
    assert len(space("ana").task("trip").history("hotel")) == 2


def test_labels_and_answers_are_kept_once(tmp_path):
    with App(tmp_path / "root", embedder="hashing") as app:
        client, base = app.client(), "/v1/spaces/ana"
        cube = client.post(f"{base}/cubes", json={"content": "I live in Porto."}).json()["cubes"][0]["id"]
        for route, body in (
            ("labels/mail", {"examples": [{"text": "Buy now!", "label": "spam"}]}),
            ("answers", {"question": "Where do I live?", "answer": "In Porto.", "used": [cube]}),
        ):
            head = {"Idempotency-Key": route}
            first, again = (client.post(f"{base}/{route}", json=body, headers=head) for _ in range(2))
            assert (again.status_code, again.json()) == (200, first.json()), again.text
        assert client.get(f"{base}/labels/mail").json() == {"labels": {"spam": 1}}
