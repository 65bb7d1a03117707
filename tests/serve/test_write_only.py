"""A key that may not read learns nothing of what is there, however often it repeats a text or an id."""

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from tests.serve.apps import is_problem

URL = "/v1/spaces/ana/cubes"
TOLD = {"content": "I live in Porto.", "speaker": "Ana", "session": "s", "at": "2024-03-01T10:00:00+00:00"}
ODD = ("id", "learned", "at")  # what differs from one write to the next


def shown(response):
    """Return what a response tells, without what is new in each."""
    [cube] = response.json()["cubes"]
    headers = {
        name: value for name, value in response.headers.items() if name not in ("x-request-id", "content-length")
    }
    return response.status_code, {name: value for name, value in cube.items() if name not in ODD}, headers


@pytest.mark.parametrize(
    "message",
    [
        TOLD,
        {**TOLD, "at": "2010-01-01T00:00:00+00:00"},  # superseded at once by what is known
        {**TOLD, "id": "known"},
        {**TOLD, "id": "known", "content": "Something else."},
        {**TOLD, "id": 7},
        {"content": "I live in Porto."},
        {"content": "I moved to Faro.", "speaker": "Ana"},
    ],
)
def test_a_text_that_is_there_looks_like_one_that_is_not(server, client, message):
    client.post(URL, json=TOLD)
    client.post(URL, json={**TOLD, "id": "known", "content": "I moved to Lisbon.", "at": "2024-04-01"})
    client.post(URL, json={**TOLD, "id": "7", "content": "Other."})
    writer = server.client(["write"])
    found = [writer.post(URL, json=message) for _ in range(2)]
    fresh = writer.post("/v1/spaces/empty/cubes", json=message)
    answers = [shown(response) for response in (*found, fresh)]
    for _, cube, _ in answers:
        cube.pop("space")
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 201
    assert answers[0][1]["text"] == message["content"]
    assert client.get(f"{URL}/known").json()["text"] == "I moved to Lisbon."  # nothing was changed


def test_what_it_writes_is_stored_and_its_own_ids_are_idempotent(server, client):
    writer, other = server.client(["write"]), server.client(["write"])
    one = writer.post(URL, json={"content": "I like figs.", "id": "x"}).json()["cubes"][0]["id"]
    again = writer.post(URL, json={"content": "I like figs.", "id": "x"}).json()["cubes"][0]["id"]
    theirs = other.post(URL, json={"content": "I like dates.", "id": "x"}).json()["cubes"][0]["id"]
    assert one == again != theirs
    assert is_problem(writer.post(URL, json={"content": "I like nuts.", "id": "x"}), 409)  # its own id
    texts = [cube["text"] for cube in client.get(URL).json()["items"]]
    assert sorted(texts) == ["I like dates.", "I like figs."]
    client.patch(f"{URL}/{one}", json={"content": "I like figs and a secret."})
    assert "secret" not in writer.post(URL, json={"content": "I like figs.", "id": "x"}).text


def test_an_idempotency_key_works_and_tells_no_more(server, client):
    writer = server.client(["write"])
    head = {"Idempotency-Key": "k"}
    first, second = (writer.post(URL, json=TOLD, headers=head) for _ in range(2))
    assert (first.status_code, second.status_code, second.headers["idempotent-replayed"]) == (201, 201, "true")
    assert len(client.get(URL).json()["items"]) == 1


@pytest.mark.parametrize("route", ["import", "consolidate"])
def test_what_reports_on_the_space_needs_the_right_to_read(server, client, route):
    client.post(URL, json=TOLD)
    archive = client.get("/v1/spaces/ana/export").content
    body = {"content": archive} if route == "import" else {"json": {}}
    assert is_problem(server.client(["write"]).post(f"/v1/spaces/ana/{route}", **body), 404)
    assert server.client(["read", "write"]).post(f"/v1/spaces/ana/{route}", **body).status_code == 200


def test_unknown_fields_are_kept_as_metadata_and_ids_of_wrong_types_are_refused(server):
    writer = server.client(["write"])
    assert writer.post(URL, json={**TOLD, "mood": "calm"}).json()["cubes"][0]["metadata"] == {"mood": "calm"}
    for odd in (True, [], {}, "", 1.5):
        assert is_problem(writer.post(URL, json={**TOLD, "id": odd}), 422)
