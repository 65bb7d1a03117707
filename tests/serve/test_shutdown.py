"""Shutdown of a server process: orderly at the first signal, immediate at the second."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")


from mnemos import Mnemos

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def connected(server):
    host, _, port = server.url.removeprefix("http://").partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=30)


def ask(server, method, path, body=None):
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def half_sent(server, body):
    """Send an add up to the middle of its body, so that the request is running until the rest is sent."""
    data = json.dumps(body).encode()
    connection = connected(server)
    connection.putrequest("POST", "/v1/spaces/ana/cubes")
    connection.putheader("Authorization", f"Bearer {server.key}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(data)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    told = b""
    while not told.endswith(b"\r\n\r\n"):  # "100 Continue": the route waits for the body
        told += connection.sock.recv(1)
    connection.send(data[:5])
    return connection, data[5:]


def accepts(server):
    try:
        connected(server).connect()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered_and_the_process_ends_with_0(start, tmp_path, number):
    server = start("--grace", 30)
    connection, rest = half_sent(server, {"content": "I moved to Faro."})
    server.process.send_signal(number)
    server.line("stopping")
    while accepts(server):
        time.sleep(0.05)
    connection.send(rest)
    answer = connection.getresponse()
    assert answer.status == 201
    assert json.load(answer)["cubes"][0]["text"] == "I moved to Faro."
    connection.close()
    assert server.wait() == 0
    assert server.log.count("stopping") == 1
    assert "stopped" in server.log
    assert "Traceback" not in server.log
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        assert [cube.text for cube in memory.space("ana").cubes().items] == ["I moved to Faro."]


def test_what_was_recalled_is_written_at_the_end(start, tmp_path):
    server = start()
    ask(server, "POST", "/v1/spaces/ana/cubes", {"content": "I moved to Faro."})
    assert ask(server, "POST", "/v1/spaces/ana/search", {"query": "Faro"})["hits"]
    assert server.end() == 0
    assert not list((tmp_path / "root").rglob("*-wal"))  # closed, not left behind
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        assert [cube.recalls for cube in memory.space("ana").cubes().items] == [1]


def test_a_request_that_never_ends_is_given_up_after_the_grace(start):
    server = start("--grace", 1)
    connection, _ = half_sent(server, {"content": "never"})
    assert server.end() == 0
    assert "timeout graceful shutdown exceeded" in server.log
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(start, number):
    server = start("--grace", 600)
    connection, _ = half_sent(server, {"content": "never"})
    server.process.send_signal(signal.SIGTERM)
    server.line("stopping")
    assert server.end(number) == 128 + number
    assert "stopped" not in server.log
    connection.close()


def test_while_it_drains_it_answers_but_is_not_ready(start):
    server = start("--drain", 600)
    with urllib.request.urlopen(server.url + "/ready", timeout=30) as answer:
        assert answer.status == 200
    server.process.send_signal(signal.SIGTERM)
    server.line("stopping")
    connection = connected(server)
    connection.request("GET", "/ready")
    assert connection.getresponse().status == 503
    connection.close()
    assert ask(server, "GET", "/v1/spaces") == {"spaces": []}
    assert server.end() == 128 + signal.SIGTERM


def test_the_flag_makes_it_unready(server, client):
    assert client.get("/ready").status_code == 200
    server.app.state.stopping = True
    assert client.get("/ready").status_code == 503
    assert client.get("/health").status_code == 200  # alive, so that nobody restarts it during the shutdown


RUN = "from mnemos.cli import main; main()"
STUCK = """
import sys, threading
from mnemos.serve import run, routes
run.OVERTIME = 0.5
hang = threading.Event()
from mnemos.system import Mnemos
def spaces(self):
    print("hanging", file=sys.stderr, flush=True)
    hang.wait()
Mnemos.spaces = spaces
from mnemos.cli import main
main()
"""


def test_a_thread_that_hangs_does_not_hold_the_process(start):
    server = start("--grace", 1, code=STUCK)
    connection = connected(server)
    connection.request("GET", "/v1/spaces", headers={"Authorization": f"Bearer {server.key}"})
    server.line("hanging")
    assert server.end() == 1
    connection.close()
    assert "did not finish in time" in server.log


def test_a_taken_port_is_an_error_that_says_so(start, tmp_path):
    server = start()
    port = server.url.rpartition(":")[2]
    command = ["serve", "--port", port, "--embedder", "none", "--root", str(tmp_path)]
    second = subprocess.run([sys.executable, "-c", RUN, *command], capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "address already in use" in second.stderr
    assert "Traceback" not in second.stderr


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(start, tmp_path):
    path = f"/tmp/mnemos-notify-{os.getpid()}.sock"  # short: the path of a socket has at most 107 bytes
    there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    there.bind(path)
    try:
        there.settimeout(60)
        server = start(NOTIFY_SOCKET=path)
        assert there.recv(100) == b"READY=1"
        assert server.end() == 0
        assert there.recv(100) == b"STOPPING=1"
    finally:
        there.close()
        Path(path).unlink()


def test_the_end_of_an_upstream_is_no_error(start):
    """The proxy's connections are closed in the lifespan, which runs in the same process."""
    server = start("--upstream", "http://127.0.0.1:9/v1")
    threads = [threading.Thread(target=ask, args=(server, "GET", "/v1/spaces")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.end() == 0
    assert "Traceback" not in server.log
