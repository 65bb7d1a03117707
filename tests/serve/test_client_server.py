"""The client where a server differs from an embedded memory: repeated writes, statuses, limits and streams."""

import http.client
import json
from datetime import UTC, datetime

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")

from mnemos.errors import Conflict, InvalidInput, NotFound, StoreError
from mnemos.serve.client import Client, ServerError, Unreachable

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def client(served):
    with Client(served.url, served.key()) as client:
        yield client


def test_a_repeated_add_with_its_key_adds_once(client):
    space = client.space("once")
    cubes = [space.add("The same again.", session="s", idempotency_key="k") for _ in range(3)]
    assert cubes[0] == cubes[1] == cubes[2]
    assert len(space.cubes().items) == 1
    space.add("The same again.", session="s")
    assert len(space.cubes().items) == 2
    with pytest.raises(Conflict):
        space.add("Something else.", idempotency_key="k")


def test_what_only_a_server_refuses_is_told_with_its_status(served):
    with Client(served.url, "mnk_wrong") as client, pytest.raises(ServerError) as error:
        client.space("x").search("a")
    assert error.value.status == 401
    token = served.keys.add("r", spaces=["same*", "x"], rights=["read"])[0]
    with Client(served.url, token) as client:
        with pytest.raises(ServerError, match="lacks the right") as error:
            client.space("x").add("a")
        assert error.value.status == 403
        with pytest.raises(NotFound):
            client.space("once").cubes()
    with Client(served.url, served.key()) as client:
        with pytest.raises(ServerError) as error:
            client.space("x").add("a" * 300_000)
        assert error.value.status == 413
    with Client("http://127.0.0.1:9", "k") as client, pytest.raises(Unreachable) as gone:
        client.space("x").cubes()
    assert isinstance(gone.value, StoreError)


def test_dots_are_names_that_the_server_refuses_not_steps_in_a_path(client):
    for name in (".", "..", "../x"):
        with pytest.raises(InvalidInput, match="name of a space"):
            client.space(name).stats()
    with pytest.raises(InvalidInput):
        client.space("")
    with pytest.raises(NotFound):
        client.space("same/as ever").get("..")


@pytest.mark.parametrize("path", ["cubes", "search"])
def test_a_chunked_body_without_end_is_cut_off(served, path):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.putrequest("POST", f"/v1/spaces/big/{path}")
    for name, value in (
        ("Authorization", f"Bearer {served.key()}"),
        ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked"),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    sent = 0
    try:
        while sent < 100_000_000:
            connection.send(b"1000\r\n" + b" " * 4096 + b"\r\n")
            sent += 4096
    except OSError:
        pass
    assert sent < 50_000_000
    try:
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["status"]) == (413, 413)
    except (OSError, http.client.HTTPException):
        pass  # cut off before the answer was read


def test_a_large_import_and_export_stream(served):
    lines = []
    for i in range(3_000):
        cube = {
            "id": f"c{i}",
            "text": f"text {i} " + "x" * 200,
            "space": "s",
            "at": T0.isoformat(),
            "learned": T0.isoformat(),
        }
        lines.append(json.dumps({"cube": cube, "versions": []}))
    body = "\n".join(lines).encode()
    assert len(body) > 600_000  # above the limit of other bodies
    head = {"Authorization": f"Bearer {served.key()}"}
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    pieces = (body[i : i + 7_777] for i in range(0, len(body), 7_777))
    connection.request("POST", "/v1/spaces/stream/import", pieces, head, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"added": 3_000, "skipped": 0})
    connection.request("GET", "/v1/spaces/stream/export", headers=head)
    answer = connection.getresponse()
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert [json.loads(x)["cube"]["id"] for x in answer] == [f"c{i}" for i in range(3_000)]
