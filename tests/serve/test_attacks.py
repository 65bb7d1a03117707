"""A real server lets no attack through, and loses nothing when it is killed during writes.

The attacks and the long runs are those of benchmarks/serve/attack.py and benchmarks/serve/faults.py.
"""

import json
import signal

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")


from benchmarks.serve import attack, faults, soak


def test_no_attack_on_any_route_is_let_through(tmp_path):
    report = attack.measure(tmp_path, thorough=False)
    assert report.attacks >= 500
    assert set(report.by_kind) == {"credentials", "spaces", "ids", "bodies", "sources", "methods", "smuggling", "proxy"}
    assert (report.let_through, report.server_errors, report.changed, report.shown) == (0, 0, [], [])
    assert report.routes_answered_with_a_right_key >= 0.9 * report.routes, "the attacks are not what the routes take"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_server_killed_while_clients_write_stores_every_acknowledged_write_once(tmp_path):
    tally = faults.measure(tmp_path, seconds=3, kills=2, clients=8, spaces=20, seed=1)
    assert tally.restarts == 2
    assert tally.acknowledged >= 8  # each client sees its last write through
    assert (tally.lost, tally.doubled, tally.torn, tally.unknown, tally.problems) == (0, 0, 0, 0, [])
    assert tally.unexpected == {}


def test_every_request_of_the_soak_gets_the_status_that_it_calls_for(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "EVERY", 20)
    monkeypatch.setattr(soak, "WORDS", 500)
    result = soak.measure(tmp_path, 400, clients=2, embedder="none")
    assert result["requests"] == 400
    assert (result["errors"], result["unexpected"]) == (0, {})
    assert {verb.__name__ for verb in soak.VERBS} == set(result["statuses"])


def test_metadata_that_is_no_utf_8_comes_back_as_it_was_sent(client):
    body = json.dumps({"content": "a", "metadata": {"b": "\ud800", "c": "é"}})
    made = client.post("/v1/spaces/ana/cubes", content=body, headers={"Content-Type": "application/json"})
    assert made.status_code == 201
    assert made.json()["cubes"][0]["metadata"] == {"b": "\ud800", "c": "é"}
