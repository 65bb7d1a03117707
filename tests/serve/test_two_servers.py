"""Two server processes on one database are one server: keys, memories, repeated requests, rates and conversations."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
httpx = pytest.importorskip("httpx", reason="needs mnemos-os[serve]")

from mnemos.location import DatabaseUrl
from mnemos.serve.keys import KeyStore
from tests.serve.conftest import Process

RATE, BURST = 50, 100


@pytest.fixture(scope="module")
def where(postgres_server):
    """A database that the tests share."""
    import psycopg

    with psycopg.connect(postgres_server.url(), autocommit=True) as db:
        db.execute("CREATE DATABASE two_servers")
    yield postgres_server.url("two_servers")
    with psycopg.connect(postgres_server.url(), autocommit=True) as db:
        db.execute("DROP DATABASE two_servers WITH (FORCE)")


@pytest.fixture(scope="module")
def servers(where):
    with closing(Process(where, "--rate", RATE)) as one, closing(Process(where, "--rate", RATE, key=one.key)) as two:
        yield one, two


def client(server, token=None):
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token or server.key}"}, timeout=60)


def test_two_servers_on_one_database_are_one(servers, where):
    one, two = servers
    cubes = "/v1/spaces/ana/cubes"
    with client(one) as a, client(two) as b:
        made = a.post(cubes, json={"content": "Rita likes tea."}).json()["cubes"][0]["id"]
        assert b.post("/v1/spaces/ana/search", json={"query": "Rita"}).json()["hits"][0]["cube"]["id"] == made
        assert b.post(cubes, json={"content": "Rita plays chess."}).status_code == 201
        assert len(a.post("/v1/spaces/ana/search", json={"query": "Rita"}).json()["hits"]) == 2, "the view was stale"
        assert b.delete(f"{cubes}/{made}").status_code == 200
        found = a.post("/v1/spaces/ana/search", json={"query": "Rita"}).json()["hits"]
        assert [hit["cube"]["text"] for hit in found] == ["Rita plays chess."]

        token = a.post("/v1/keys", json={"name": "n", "spaces": ["ana"], "rights": ["read"]}).json()
        with client(two, token["key"]) as c:
            assert c.get("/v1/key").status_code == 200
            assert a.delete(f"/v1/keys/{token['id']}").status_code == 200
            assert c.get("/v1/key").status_code == 401, "revoked on one server, refused by the other at once"

        head, body = {"Idempotency-Key": "once"}, {"content": "Told once."}
        with ThreadPoolExecutor(8) as threads:
            sent = [threads.submit((a, b)[i % 2].post, cubes, json=body, headers=head) for i in range(8)]
            answers = [one.result() for one in sent]
        assert {answer.status_code for answer in answers} <= {201, 409}
        final = [x.post(cubes, json=body, headers=head).json()["cubes"][0]["id"] for x in (a, b)]
        assert final[0] == final[1]
        texts = [cube["text"] for cube in a.get(cubes).json()["items"]]
        assert texts.count("Told once.") == 1


def test_a_rate_holds_for_both_together(servers, where):
    with closing(KeyStore.under(DatabaseUrl(where))) as keys:
        token, _ = keys.add("n", spaces=["*"], rights=["read"])
    with client(servers[0], token) as a, client(servers[1], token) as b, ThreadPoolExecutor(8) as threads:
        start = time.monotonic()
        sent = [threads.submit((a, b)[i % 2].get, "/v1/key") for i in range(4 * BURST)]
        codes = [one.result().status_code for one in sent]
        seconds = time.monotonic() - start
    assert set(codes) == {200, 429}
    assert codes.count(200) <= BURST + RATE * seconds
    assert codes.count(200) >= BURST - 2 * 2, "a process may hold back a batch of two"


def test_a_server_whose_database_is_gone_says_so_and_recovers(postgres_server, servers):
    server = servers[0]
    time.sleep(1.0)  # the rate of the key that the tests share
    with client(server) as http:
        assert http.get("/ready").status_code == 200
        postgres_server.stop("immediate")
        try:
            assert http.get("/health").status_code == 200
            refused = http.get("/v1/key")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert http.get("/ready").status_code == 503
        finally:
            postgres_server.start()
        assert http.get("/v1/key").status_code == 200
        assert http.post("/v1/spaces/ana/cubes", json={"content": "After the crash."}).status_code == 201
        assert http.get("/ready").status_code == 200
        assert json.dumps(server.lines).count("Traceback") == 0
