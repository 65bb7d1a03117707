"""Importing files over REST: what other products wrote, as `mnemos import` takes it."""

import io
import json
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from mnemos.serve.limits import ServerLimits
from tests.serve.apps import App, is_problem

URL = "/v1/spaces/ana/import/file"
CHAT = [
    {"role": "user", "content": "I moved to Lisbon last May.", "timestamp": "2024-03-02T10:15:00Z"},
    {"role": "assistant", "content": "Noted.", "timestamp": "2024-03-02T10:15:05Z"},
]


def texts(client):
    return [cube["text"] for cube in client.get("/v1/spaces/ana/cubes").json()["items"]]


def test_chats_are_imported_once(client):
    body = json.dumps(CHAT).encode()
    report = client.post(URL, params={"name": "chats.json"}, content=iter([body[:50], body[50:]])).json()
    assert (report["format"], report["read"], report["added"]) == ("chats", 2, 2)
    assert report["files"][0]["name"] == "chats.json"
    assert client.post(URL, params={"name": "chats.json"}, content=body).json()["skipped"] == 2
    assert sorted(texts(client)) == ["I moved to Lisbon last May.", "Noted."]


def test_notes_and_zips_are_told_by_their_name_and_content(client):
    assert (
        client.post(URL, params={"name": "trip.md"}, content=b"# Trip\n\nRita lives in Porto.").json()["format"]
        == "markdown"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("notes/a.txt", "Oak desks are heavy.")
    assert client.post(URL, params={"name": "notes.zip"}, content=packed.getvalue()).json()["added"] == 1
    assert any("Rita" in text for text in texts(client))


def test_times_without_an_offset_are_on_the_clock_that_is_named(client):
    body = json.dumps([{"role": "user", "content": "Lunch.", "timestamp": "2024-03-02T12:00:00"}])
    client.post(URL, params={"name": "a.json", "timezone": "Asia/Tokyo"}, content=body)
    (cube,) = client.get("/v1/spaces/ana/cubes").json()["items"]
    assert datetime.fromisoformat(cube["at"]) == datetime(2024, 3, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("../up.json", b"[]", "without its folder"), ("a/b.json", b"[]", "without its folder"), ("", b"[]", "without its folder"),
        (".hidden", b"[]", "without its folder"), ("x" * 300, b"[]", "without its folder"),
        ("a\0.json", b"[]", "without its folder"),
        ("a.json", b"{", "a.json"), ("a.json", b'{"x": 1}', "a.json is not any of"), ("a.zip", b"PK\3\4 no zip", "a.zip"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_stores_nothing_and_shows_no_path_of_the_server(client, name, body, said):
    refused = client.post(URL, params={"name": name}, content=body)
    assert is_problem(refused, 422)
    assert said in refused.json()["detail"]
    assert "/tmp" not in refused.text
    assert client.get("/v1/spaces/ana/cubes").json()["items"] == []


def test_a_file_is_no_larger_than_the_server_holds_packed_or_not(tmp_path):
    server = App(tmp_path, limits=ServerLimits(import_file=10_000))
    with closing(server), server.client() as client:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt", "word " * 4_000)
        for name, body in (("a.txt", b"word " * 4_000), ("a.zip", packed.getvalue())):
            refused = client.post(URL, params={"name": name}, content=body)
            assert is_problem(refused, 422)
            assert "10,000 bytes" in refused.json()["detail"]


def test_the_file_is_gone_afterwards(client, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    client.post(URL, params={"name": "a.txt"}, content=b"One.")
    client.post(URL, params={"name": "a.json"}, content=b"{")
    assert list(Path(tmp_path / "here").iterdir()) == []


def test_a_key_that_may_only_read_imports_nothing(server):
    reader = server.client(rights=("read",))
    assert is_problem(reader.post(URL, params={"name": "a.txt"}, content=b"One."), 403)
