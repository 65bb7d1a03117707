"""Keys over HTTP: a key sees, creates and revokes only keys within its own reach."""

from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos.serve.keys import RIGHTS
from mnemos.serve.limits import ServerLimits
from tests.serve.apps import App

SPACES = ("team-a", "team-b", "team", "other", "TEAM-a", "te", "team-a/b")


class Server(App):
    """An app whose keys have a clock of their own, `now`."""

    def __init__(self, root):
        self.now = datetime.now(UTC)
        super().__init__(root, limits=ServerLimits(rate=1e6, burst=10**6), key_clock=lambda: self.now)

    def with_key(self, spaces=("*",), rights=RIGHTS, days=None):
        token, key = self.keys.add("test", spaces=spaces, rights=rights, days=days)
        return self.client(token=token), key


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("keys")) as server:
        yield server


def ask(client, spaces, rights=("read",), **more):
    return client.post("/v1/keys", json={"name": "new", "spaces": list(spaces), "rights": list(rights), **more})


def test_a_key_learns_what_it_may(server):
    client, key = server.with_key(["team-*"], ["read"], days=3)
    assert client.get("/v1/key").json() == {
        "id": key.id, "name": "test", "spaces": ["team-*"], "rights": ["read"], "made": key.made.isoformat(),
        "expires": key.expires.isoformat(),
    }  # fmt: skip
    assert server.with_key()[0].get("/v1/key").json()["expires"] is None


def test_a_key_is_made_shown_once_listed_and_revoked(server):
    admin, _ = server.with_key()
    made = ask(admin, ["ana", "team-*"], ["write", "read"], days=2)
    assert made.status_code == 201
    token = made.json().pop("key")
    shown = {k: v for k, v in made.json().items() if k != "key"}
    assert shown | {"id": 0, "made": 0, "expires": 0} == {
        "id": 0, "name": "new", "spaces": ["ana", "team-*"], "rights": ["read", "write"], "made": 0, "expires": 0,
        "revoked": None, "state": "valid",
    }  # fmt: skip
    assert datetime.fromisoformat(shown["expires"]) - datetime.fromisoformat(shown["made"]) == timedelta(days=2)
    assert server.client(token=token).post("/v1/spaces/team-1/cubes", json={"content": "x"}).status_code == 201
    listed = admin.get("/v1/keys")
    assert shown in listed.json()["keys"]
    assert token not in listed.text
    assert "seal" not in listed.text
    gone = admin.delete(f"/v1/keys/{shown['id']}").json()
    assert (gone["state"], gone["revoked"] is not None) == ("revoked", True)
    assert server.client(token=token).get("/v1/key").status_code == 401
    assert gone in admin.get("/v1/keys").json()["keys"]
    assert admin.delete("/v1/keys/nobody").status_code == 404


@pytest.mark.parametrize(
    "spaces",
    [["*"], ["**"], ["team*"], ["team-**"], ["?eam-*"], ["[t]eam-*"], ["team-?*"], ["team-[ab]"], ["team-a*"], ["other"],
     ["team"], ["TEAM-*"], ["team-*", "*"], ["team-a", "other"], [" team-*"], ["team-*\n"], ["\u2003"], ["team-?"], ["te[a]m-a"]],
)  # fmt: skip
def test_a_key_gives_no_spaces_that_are_not_its_own(server, spaces):
    client, _ = server.with_key(["team-*", "one"])
    before = len(server.keys.all())
    refused = ask(client, spaces)
    assert (refused.status_code, refused.json()["title"]) == (403, "Forbidden")
    assert len(server.keys.all()) == before


@pytest.mark.parametrize("spaces", [["team-*"], ["one"], ["team-a", "one"], ["team-"], ["team-a/b"], ["team-]"]])
def test_a_key_gives_its_own_spaces(server, spaces):
    client, _ = server.with_key(["team-*", "one"])
    assert ask(client, spaces).json()["spaces"] == spaces


def test_a_key_gives_no_right_that_it_lacks(server):
    client, _ = server.with_key(["*"], ["read", "admin"])
    for rights in (["write"], ["read", "erase"], ["read", "write", "erase", "admin"]):
        assert ask(client, ["ana"], rights).status_code == 403
    assert ask(client, ["ana"], ["read", "admin"]).status_code == 201
    for rights in ([], ["root"], ["READ"], "read", ["read", "root"]):
        assert client.post("/v1/keys", json={"name": "n", "spaces": ["a"], "rights": rights}).status_code == 422


def test_a_key_gives_no_longer_life_than_its_own(server):
    client, key = server.with_key(days=5)
    assert ask(client, ["a"], days=6).status_code == 403
    assert datetime.fromisoformat(ask(client, ["a"]).json()["expires"]) <= key.expires
    assert datetime.fromisoformat(ask(client, ["a"], days=5).json()["expires"]) <= key.expires
    assert datetime.fromisoformat(ask(client, ["a"], days=1).json()["expires"]) == server.now + timedelta(days=1)


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "n"}, {"name": " ", "spaces": ["a"], "rights": ["read"]}, {"name": "n", "spaces": [], "rights": ["read"]},
     {"name": "n", "spaces": [""], "rights": ["read"]}, {"name": "n", "spaces": "a", "rights": ["read"]},
     {"name": "n", "spaces": ["a"], "rights": ["read"], "days": 0},
     {"name": "n", "spaces": ["a"], "rights": ["read"], "days": -1},
     {"name": "n", "spaces": ["a"], "rights": ["read"], "id": "x"}, {"name": "x" * 201, "spaces": ["a"], "rights": ["read"]},
     {"name": "n", "spaces": ["a"] * 101, "rights": ["read"]}],
)  # fmt: skip
def test_a_malformed_key_is_not_made(server, body):
    client, _ = server.with_key()
    before = len(server.keys.all())
    refused = client.post("/v1/keys", json=body)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert len(server.keys.all()) == before


def test_keys_that_reach_further_are_neither_seen_nor_revoked(server):
    client, own = server.with_key(["team-*"], ["read", "admin"])
    inside = [
        server.with_key(s, r)[1]
        for s, r in ((["team-*"], ["read"]), (["team-a"], ["admin"]), (["team-*"], ["read", "admin"]))
    ]
    outside = [
        server.with_key(s, r)[1]
        for s, r in (
            (["*"], ["read"]),
            (["team-a", "other"], ["read"]),
            (["team-*"], ["write"]),
            (["team-?"], ["read"]),
        )
    ]
    seen = {k["id"] for k in client.get("/v1/keys").json()["keys"]}
    assert {own.id, *(k.id for k in inside)} <= seen
    assert not seen & {k.id for k in outside}
    for key in outside:
        refused = client.delete(f"/v1/keys/{key.id}")
        assert refused.json()["detail"] == f"there is no key '{key.id}'."
        assert refused.status_code == 404
    assert all(k.revoked is None for k in server.keys.all() if k.id in {o.id for o in outside})
    for key in inside:
        assert client.delete(f"/v1/keys/{key.id}").status_code == 200


PATTERN = st.one_of(
    st.sampled_from(["*", "team-*", "team-?", "[t]eam-a", "te*"]),
    st.sampled_from(SPACES),
    st.text("team-*?[]", max_size=4),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(PATTERN.filter(bool), min_size=1, max_size=3), st.sets(st.sampled_from(RIGHTS)),
    st.lists(PATTERN, max_size=3), st.lists(st.sampled_from(RIGHTS), max_size=4),
)  # fmt: skip
def test_whatever_is_asked_for_a_key_from_a_key_may_no_more_than_that_one(server, own, rights, asked, wanted):
    client, maker = server.with_key(own, sorted(rights | {"admin"}))
    made = ask(client, asked, wanted)
    assert made.status_code in (201, 403, 422)
    if made.status_code == 201:
        key = server.keys.find(made.json()["key"])
        for right in RIGHTS:
            for space in (*SPACES, *asked, *own, "zzz"):
                assert maker.may(right, space) or not key.may(right, space)
