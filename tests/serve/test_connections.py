"""Connections that send nothing, little or slowly take no room from others, and the checks of the server always answer."""

import json
import socket
import threading
import time
from contextlib import ExitStack

import httpx
import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from mnemos import Mnemos
from mnemos.errors import StoreBusy
from mnemos.serve.access import SpacePool
from tests.serve.conftest import Process, received

BODY = json.dumps({"content": "I moved to Faro."}).encode()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server with little room: 8 requests, 40 connections, heads and bodies within a second."""
    limits = ("--max-requests", 8, "--max-connections", 40, "--head-seconds", 1, "--body-seconds", 1.5)
    server = Process(tmp_path_factory.mktemp("small") / "root", *limits, "--rate", 20)
    yield server
    server.close()


def connect(server, stack, sent=b""):
    there = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
    there.sendall(sent)
    return there


def head(server, *lines, path="/v1/spaces/slow/cubes", key=None):
    rows = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key or server.key}", *lines]
    return "\r\n".join([*rows, "Content-Type: application/json", "", ""]).encode()


def works(server):
    """Tell whether checks and a request of a fresh client are answered."""
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, timeout=20) as client:
        answers = [client.get("/health"), client.get("/ready"), client.get("/v1/spaces")]
    return [answer.status_code for answer in answers] == [200, 200, 200]


SILENT = {
    "nothing": b"",
    "line ends": b"\r\n" * 3,
    "half a line": b"GET /hea",
    "half a head": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    "idle after a request": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", SILENT.values(), ids=SILENT)
def test_connections_without_a_request_take_no_room_and_are_closed(small, sent):
    with ExitStack() as stack:
        held = [connect(small, stack, sent) for _ in range(60)]  # more than connections, and more than requests
        assert works(small)
        began = time.monotonic()
        last = received(held[-1])
        assert time.monotonic() - began < 6
        assert (b" 408 " in last) == (sent in (SILENT["half a line"], SILENT["half a head"]))


def test_a_head_that_drips_is_not_waited_for(small):
    with ExitStack() as stack:
        there = connect(small, stack)
        began = time.monotonic()
        for byte in b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 60:
            try:
                there.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
        assert received(there)[:12] in (b"HTTP/1.1 408", b"")  # "" where the connection was reset by what came later
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("lines", [["Content-Length: 500"], ["Transfer-Encoding: chunked"]])
def test_bodies_that_drip_take_no_room(small, lines):
    with ExitStack() as stack:
        held = [connect(small, stack, head(small, *lines)) for _ in range(30)]  # more than requests
        assert works(small)
        assert received(held[0]).startswith(b"HTTP/1.1 408")


def test_the_rest_of_a_refused_body_is_not_read_for_ever(small):
    with ExitStack() as stack:
        there = connect(small, stack, head(small, "Content-Length: 5000", key="wrong"))
        began = time.monotonic()
        answer = b""
        there.settimeout(0.05)
        while time.monotonic() - began < 10:
            try:
                there.sendall(b"x")
                part = there.recv(65_536)
                answer += part
                if not part:
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert answer.startswith(b"HTTP/1.1 401")
        assert time.monotonic() - began < 6


def test_checks_are_answered_under_a_flood_of_refused_keys(small):
    with httpx.Client(base_url=small.url, timeout=20) as client:
        refused = [client.get("/v1/spaces", headers={"Authorization": f"Bearer no{i}"}).status_code for i in range(120)]
        assert {401, 429} == set(refused)
        assert client.get("/health").status_code == client.get("/ready").status_code == 200
    assert works(small)


def test_a_slow_space_delays_only_its_own_requests(server, monkeypatch):
    """A fake slow file: opening it waits until the test allows it."""
    go, client = threading.Event(), server.client()
    for name in ("slow", "quick"):
        client.post(f"/v1/spaces/{name}/cubes", json={"content": "a"})
    server.stop()
    server.start()
    opened = server.memory.space

    def slowly(name, *rest):
        if name == "slow":
            go.wait(20)
        return opened(name, *rest)

    monkeypatch.setattr(server.memory, "space", slowly)
    server.app.state.pool.wait = 0.5
    client = server.client()
    codes = []

    def ask():
        codes.append(client.get("/v1/spaces/slow/stats").status_code)

    waiting = [threading.Thread(target=ask) for _ in range(20)]
    for thread in waiting:
        thread.start()
    began = time.monotonic()
    for path in ("quick/stats", "quick/cubes", "quick/facts"):
        assert client.get(f"/v1/spaces/{path}").status_code == 200
    assert client.post("/v1/spaces/new/cubes", json={"content": "b"}).status_code == 201
    assert client.get("/health").status_code == 200
    assert time.monotonic() - began < 3
    for thread in waiting:
        thread.join(20)
    assert set(codes) == {503}
    metrics = client.get("/metrics").text
    assert "mnemos_spaces_unreadable 1\n" in metrics
    assert 'space="quick"' in metrics
    assert 'space="slow"' not in metrics
    go.set()
    server.app.state.pool.wait = 20
    assert client.get("/v1/spaces/slow/stats").json()["cubes"] == 1


def test_a_space_is_opened_once_however_many_ask_and_an_error_reaches_all(server, monkeypatch):
    pool, calls, go = server.app.state.pool, [], threading.Event()
    opened, failing = server.memory.space, [True]

    def counted(name, *rest):
        calls.append(name)
        go.wait(20)
        if failing[0]:
            raise StoreBusy("locked")
        return opened(name, *rest)

    monkeypatch.setattr(server.memory, "space", counted)
    found = []

    def ask():
        try:
            with pool.use("ana", create=True) as space:
                found.append(space.name)
        except StoreBusy as error:
            found.append(str(error))

    for expected in ("locked", "ana"):
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        go.set()
        for thread in threads:
            thread.join(20)
        assert set(found) == {expected}
        assert calls == ["ana"]
        failing[0] = False
        found.clear(), calls.clear(), go.clear()


def test_a_space_whose_file_the_pool_closed_is_opened_again_and_a_scan_leaves_it_closed(tmp_path):
    with Mnemos(tmp_path, embedder="none", max_open=4) as memory:
        pool = SpacePool(memory)
        with pool.use("a", create=True) as used:
            for name in "bcdefghij":
                with pool.use(name, create=True) as space:
                    space.add(name)
            used.add("still open")
        assert len(memory.pool) <= 5
        for name in "bcdefghij":
            with pool.use(name) as space:
                assert space.count() == 1
        with pool.use("a", scanning=True) as space:
            assert space.count() == 1
        assert space.store.ended
        with pool.use("a") as space, pool.use("a", scanning=True):
            assert space.count() == 1
        assert space.count() == 1  # it was in use while the scan ended


def test_room_is_given_back(server):
    client = server.client()
    for _ in range(300):  # more than requests may be at work
        assert client.get("/v1/spaces/none/stats").status_code == 404


def test_a_full_server_refuses_politely_and_answers_checks(tmp_path, monkeypatch):
    from mnemos.serve.limits import ServerLimits
    from tests.serve.apps import App, is_problem

    with App(tmp_path, limits=ServerLimits(requests=4)) as server:
        client, go = server.client(), threading.Event()
        client.post("/v1/spaces/ana/cubes", json={"content": "a"})
        client.post("/v1/spaces/bob/cubes", json={"content": "a"})
        monkeypatch.setattr("mnemos.space.Space.facts", lambda *a, **k: go.wait(20) and [])
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(client.get("/v1/spaces/ana/facts"))) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        while len(results) < 2:  # those that are refused; the others wait
            time.sleep(0.01)
        assert client.get("/health").status_code == 200
        assert client.get("/v1/spaces/bob/stats").status_code == 200  # one space does not take all the room
        go.set()
        for thread in threads:
            thread.join(20)
        refused = [answer for answer in results if answer.status_code != 200]
        assert len(refused) == 2
        assert all(is_problem(answer, 503) and answer.headers["retry-after"] for answer in refused)
        assert client.get("/v1/spaces/ana/stats").status_code == 200
