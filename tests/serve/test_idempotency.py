"""Idempotency-Key: a repeated request gets the first response and adds nothing."""

import time

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from tests.serve.apps import is_problem

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
