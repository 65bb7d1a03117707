"""Routes for the page: the shapes of their responses, what they refuse, and which rights they need."""

from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from starlette.testclient import TestClient

from mnemos.errors import StoreError
from mnemos.serve.page_models import CurveShape, FadingShape, GraphShape, PolicyShape, TimelineShape
from mnemos.text.forget.policy import Policy
from tests.serve.apps import URL, App

ANA = "/v1/spaces/ana"
T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def server(tmp_path, clock):
    """An app whose memory has a clock, three days after the last of eight memories."""
    with App(tmp_path / "root", clock=clock) as server:
        messages = [
            {
                "content": f"note {i} " + "x" * 250, "id": f"c{i}", "speaker": "AB"[i % 2], "session": "s",
                "at": T0 - timedelta(days=i),
            }
            for i in range(8)
        ]  # fmt: skip
        server.memory.space("ana").add_many(messages, reconcile=False)
        clock.now += timedelta(days=3)
        yield server


def get(client, path, **params):
    answer = client.get(ANA + path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_answers_have_the_shapes_that_openapi_tells(client):
    for path, shape in (
        ("/timeline", TimelineShape), ("/graph", GraphShape), ("/cubes/c1/curve", CurveShape), ("/fading", FadingShape),
        ("/policy", PolicyShape),
    ):  # fmt: skip
        data = get(client, path)
        assert shape.model_validate(data).model_dump().keys() == data.keys()
        paths = client.get("/openapi.json").json()["paths"]
        told = paths["/v1/spaces/{space}" + path.replace("c1", "{id}")]["get"]["responses"]["200"]
        assert told["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{shape.__name__}"}


def test_a_timeline_over_http(client):
    data = get(client, "/timeline", by="day", speaker="A", since="2024-02-25")
    assert data == {
        "by": "day", "first": "2024-02-26T12:00:00+00:00", "last": "2024-03-01T12:00:00+00:00",
        "buckets": [{"start": f"2024-{day}T00:00:00+00:00", "n": n}
                    for day, n in (("02-26", 1), ("02-27", 0), ("02-28", 1), ("02-29", 0), ("03-01", 1))],
    }  # fmt: skip
    assert get(client, "/timeline", kind="nothing") == {"by": "day", "first": None, "last": None, "buckets": []}


def test_a_graph_over_http(client):
    data = get(client, "/graph", around="c1", kind="follows")
    assert [n["id"] for n in data["nodes"]] == ["c1", "c2", "c0"]
    assert data["edges"] == [
        {"source": "c1", "target": "c2", "kind": "follows", "weight": 1.0},
        {"source": "c0", "target": "c1", "kind": "follows", "weight": 1.0},
    ]
    assert all(
        len(n["text"]) == 140 and n.keys() == {"id", "text", "kind", "state", "at", "strength"} for n in data["nodes"]
    )


def test_a_curve_and_what_fades_over_http(server, client):
    client.put(ANA + "/policy", json={"law": "lru", "cubes": 5, "archived_cubes": 1})
    client.post(ANA + "/cubes/c0/pin", json={"on": True})
    curve = get(client, "/cubes/c1/curve", days=10)
    assert (curve["law"], curve["now"], curve["floor"], curve["recalls"]) == ("lru", -3.0, None, [])
    assert (len(curve["points"]), curve["points"][-1]) == (120, {"at": "2024-03-14T12:00:00+00:00", "strength": -13.0})
    fading = get(client, "/fading", limit=2)
    assert (fading["law"], fading["policy"]["cubes"], fading["counts"]) == ("lru", 5, {"archive": 3, "erase": 2})
    assert [[c["id"] for c in fading[part]] for part in ("archive", "erase", "next")] == [
        ["c1", "c2"],
        ["c1", "c2"],
        ["c4", "c5"],
    ]
    assert fading["next"][0] == {
        "id": "c4", "text": "note 4 " + "x" * 193, "kind": "turn", "state": "active", "at": "2024-02-26T12:00:00+00:00",
        "speaker": "A", "session": "s", "strength": -3.0, "pinned": False,
    }  # fmt: skip


def test_forms_and_runs_over_http(server, client):
    data = get(client, "/forms")
    assert data["forms"] == [{"form": "text", "kind": "turn", "n": 8, "bytes": 8 * 257}]
    assert [p["part"] for p in data["parts"]] == ["words index", "vectors", "versions", "links", "file"]
    assert data["parts"][-1]["bytes"] > 50_000
    assert get(client, "/runs") == {"runs": []}
    client.put(ANA + "/policy", json={"law": "fifo", "cubes": 6})
    client.post(ANA + "/consolidate")
    [run] = get(client, "/runs")["runs"]
    assert (run["at"], run["archived"], run["erased"]) == (server.clock().isoformat(), 2, 0)


def test_a_list_of_the_newest_comes_in_pages(client):
    found, cursor = [], None
    while True:
        page = get(client, "/cubes", newest=True, limit=3, **({} if cursor is None else {"cursor": cursor}))
        found += [c["id"] for c in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == [f"c{i}" for i in reversed(range(8))]
    assert [c["id"] for c in get(client, "/cubes", newest="true", speaker="B", limit=2)["items"]] == ["c7", "c5"]
    assert [c["id"] for c in get(client, "/cubes", newest="false", limit=2)["items"]] == ["c0", "c1"]


def test_cubes_are_pinned_archived_and_brought_back(client):
    assert client.post(ANA + "/cubes/c1/pin", json={"on": True}).json()["pinned"] is True
    assert client.post(ANA + "/cubes/c1/pin", json={"on": False}).json()["pinned"] is False
    assert client.post(ANA + "/cubes/nobody/pin", json={"on": True}).status_code == 404
    assert client.post(ANA + "/archive", json={"ids": ["c1", "nobody", "c2"]}).json() == {"changed": ["c1", "c2"]}
    assert len(get(client, "/cubes")["items"]) == 6
    assert client.post(ANA + "/archive", json={"ids": ["c1", "c3"], "back": True}).json() == {"changed": ["c1"]}
    assert client.get(ANA + "/cubes/c2").json()["state"] == "archived"
    entries = client.get(ANA + "/audit").json()["entries"]
    assert [e["action"] for e in entries] == ["add", "pin", "unpin", "archive", "restore"]
    assert all(e["actor"].startswith("key ") for e in entries[1:])


def test_fading_is_shown_first_and_then_done(server, client):
    client.put(ANA + "/policy", json={"law": "fifo", "cubes": 6})
    assert client.post(ANA + "/apply-policy").json() == {"archived": ["c0", "c1"], "erased": []}
    assert client.post(ANA + "/apply-policy", json={"preview": True}).json() == {"archived": ["c0", "c1"], "erased": []}
    assert len(get(client, "/cubes")["items"]) == 8
    assert client.post(ANA + "/apply-policy", json={"preview": False}).json() == {
        "archived": ["c0", "c1"],
        "erased": [],
    }
    assert len(get(client, "/cubes")["items"]) == 6
    reader = server.client(["read"])
    assert reader.post(ANA + "/apply-policy").status_code == 200
    for rights in (["read"], ["read", "write"], ["read", "erase"]):
        assert server.client(rights).post(ANA + "/apply-policy", json={"preview": False}).status_code == 403


def test_the_policy_is_read_and_changed(server, client):
    assert get(client, "/policy")["law"] == "ebbinghaus"
    wanted = {
        "law": "layered", "constants": {"days": [1.0, 2.0, 3.0]}, "min_retention": 0.5, "cubes": 7, "bytes": 10_000, "days": 2.5,
        "archived_cubes": None, "archived_bytes": None, "archived_days": 30.0,
    }  # fmt: skip
    assert client.put(ANA + "/policy", json=wanted).json() == wanted == get(client, "/policy")
    assert server.memory.space("ana").policy == Policy(**wanted)
    assert get(client, "/cubes/c1/curve")["now"] == pytest.approx(2.718281828**-3)


@pytest.mark.parametrize(
    "body",
    [{"law": "magic"}, {"constants": {"nope": 1}}, {"min_retention": -1}, {"cubes": 1.5}, {"cubes": True}, {"nope": 1},
     {"days": "many"}, {"constants": {"days": "many"}}, {"law": "layered", "constants": {"days": [1.0]}}, {"cubes": 2**60},
     [], None],
)  # fmt: skip
def test_a_policy_that_cannot_be_is_refused(client, body):
    refused = client.put(ANA + "/policy", json=body)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert get(client, "/policy") == PolicyShape().model_dump()


def test_no_number_that_is_not_finite_gets_into_a_policy(client):
    for text in (
        '{"min_retention": NaN}',
        '{"days": Infinity}',
        '{"constants": {"days": NaN}}',
        '{"min_retention": 1e999}',
    ):
        head = {"Content-Type": "application/json"}
        assert client.put(ANA + "/policy", content=text, headers=head).status_code == 422


def test_a_policy_that_erases_needs_the_right_to_erase(server, client):
    writer = server.client(["read", "write"])
    assert writer.put(ANA + "/policy", json={"cubes": 0}).status_code == 200
    for limit in ({"archived_cubes": 0}, {"archived_bytes": 1}, {"archived_days": 0}):
        assert writer.put(ANA + "/policy", json={"cubes": 0, **limit}).status_code == 403
    assert get(client, "/policy")["archived_cubes"] is None
    client.put(ANA + "/policy", json={"archived_days": 90})
    assert writer.put(ANA + "/policy", json={"archived_days": 90, "min_retention": 0.1}).status_code == 200  # as it was
    assert writer.put(ANA + "/policy", json={"archived_days": 1}).status_code == 403
    assert writer.put(ANA + "/policy", json={}).status_code == 200  # erases less


@pytest.mark.parametrize(
    "path",
    ["/timeline?by=hour", "/timeline?by=day&since=nodate", "/timeline?nope=1", "/graph?depth=0", "/graph?depth=4",
     "/graph?limit=0", "/graph?limit=201", "/graph?nope=1", "/graph?around=%ED%A0%80", "/cubes/c1/curve?days=0",
     "/cubes/c1/curve?days=nan", "/cubes/c1/curve?days=1e9", "/fading?limit=0", "/fading?limit=1001", "/runs?limit=0",
     "/runs?limit=101", "/cubes?newest=maybe"],
)  # fmt: skip
def test_what_is_out_of_range_is_a_problem(client, path):
    refused = client.get(ANA + path)
    assert refused.status_code in (404, 422)
    assert refused.headers["content-type"] == "application/problem+json"


def test_a_cube_that_is_not_there_has_no_curve_and_no_graph(client):
    for path in ("/cubes/nobody/curve", "/graph?around=nobody"):
        assert client.get(ANA + path).status_code == 404


def test_sessions_are_found(server, client):
    server.memory.space("ana").add("Rita has a dog.", session="dogs", id="dog")
    [hit] = client.post(ANA + "/search_sessions", json={"query": "Rita's dog", "k": 1}).json()["sessions"]
    assert (hit["session"], hit["best"]) == ("dogs", "dog")
    assert sum(hit["why"].values()) == pytest.approx(hit["score"])


def test_ready_tells_whether_the_server_can_work(server, monkeypatch):
    def lost(key_id):
        raise StoreError("the keys are lost")

    bare = TestClient(server.app, URL)
    before = sorted(server.root.rglob("*"))
    assert (bare.get("/ready").status_code, bare.get("/ready").json()) == (200, {"status": "ready"})
    assert sorted(server.root.rglob("*")) == before
    moved = server.root.rename(server.root.with_name("moved"))
    refused = bare.get("/ready")
    moved.rename(server.root)
    with monkeypatch.context() as patched:
        patched.setattr(server.keys._keys, "find", lost)
        broken = bare.get("/ready")
    for answer in (refused, broken):
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert str(server.root) not in answer.text
    assert bare.get("/ready").status_code == 200
