"""Keys: created, stored as hashes, checked, expired, revoked; and the commands serve and keys."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

import typer
from typer.testing import CliRunner

from mnemos import Mnemos
from mnemos.cli import keys as key_commands
from mnemos.cli import serve as commands
from mnemos.errors import InvalidInput, NotFound, StoreBusy
from mnemos.serve import access as module
from mnemos.serve.access import Access, SpacePool
from mnemos.serve.keys import RIGHTS, KeyStore
from mnemos.serve.limits import MAX_BUCKETS, RateLimiter
from tests.serve.apps import App

app = typer.Typer()
app.command("serve")(commands.serve)
app.add_typer(key_commands.app, name="keys")
RUN = (
    "from mnemos.cli import keys; from mnemos.cli.serve import serve; import typer; a = typer.Typer(); "
    "a.command('serve')(serve); a.add_typer(keys.app, name='keys'); a()"
)

T0 = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path, clock):
    store = KeyStore.under(tmp_path, clock)
    yield store
    store.close()


def test_the_first_key_is_made_once_and_may_do_everything(store, tmp_path):
    token = store.first()
    assert store.first() is None
    key = store.find(token)
    assert (key.name, set(key.rights)) == ("admin", set(RIGHTS))
    assert all(key.may(right, "any space") for right in RIGHTS)
    store.revoke(key.id)
    assert store.first() is None  # a root whose keys were all revoked gets none by a restart
    other = KeyStore.under(tmp_path)
    assert [k.name for k in other.all()] == ["admin"]
    other.close()


def test_only_hashes_are_kept_and_only_the_user_reads_them(store, tmp_path):
    token, key = store.add("ana", spaces=["ana"], rights=["read"])
    secret = token.split("_", 2)[2]
    for path in (tmp_path / "serve").iterdir():
        assert secret.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "serve").stat().st_mode & 0o077 == 0
    assert secret not in repr(store.find(token))
    assert key.seal == b""
    with Mnemos(tmp_path, embedder="none") as memory:
        assert memory.spaces() == []


def test_wrong_tokens_are_no_keys(store):
    token, key = store.add("ana", spaces=["*"], rights=["read"])
    other, _ = store.add("bob", spaces=["*"], rights=["read"])
    assert store.find(token).id == key.id
    mixed = f"mnk_{key.id}_{other.split('_', 2)[2]}"
    for wrong in (
        "",
        "x",
        token[:-1],
        token + "A",
        token.upper(),
        mixed,
        " " + token,
        token + "\n",
        "mnk_aaaaaaaa_" + "A" * 43,
        "é",
    ):
        assert store.find(wrong) is None


def test_keys_expire_and_are_revoked_at_once(store, clock, tmp_path):
    token, key = store.add("ana", spaces=["*"], rights=["read"], days=1)
    kept, _ = store.add("bob", spaces=["*"], rights=["read"])
    clock.now += timedelta(hours=23)
    assert store.find(token)
    clock.now += timedelta(hours=1)
    assert store.find(token) is None
    other = KeyStore.under(tmp_path, clock)  # another process
    with App(tmp_path, key_clock=clock) as server:
        client = server.client(token=kept)
        assert client.get("/v1/spaces").status_code == 200
        revoked = other.revoke(store.find(kept).id)
        assert client.get("/v1/spaces").status_code == 401
        assert client.get("/v1/spaces", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    clock.now += timedelta(days=1)
    assert other.revoke(revoked.id).revoked == revoked.revoked  # the first time stays
    with pytest.raises(NotFound):
        store.revoke("nobody")
    other.close()


@pytest.mark.parametrize(
    "wrong",
    [{"rights": []}, {"rights": ["all"]}, {"spaces": []}, {"spaces": [""]}, {"days": 0}, {"days": -1}, {"days": float("nan")},
     {"days": 1e9}, {"name": " "}],
)  # fmt: skip
def test_keys_that_make_no_sense_are_refused(store, wrong):
    given = {"name": "a", "spaces": ["*"], "rights": ["read"], **wrong}
    with pytest.raises(InvalidInput):
        store.add(given.pop("name"), **given)
    assert store.all() == []


def test_patterns_of_spaces(store):
    key = store.add("t", spaces=["team-*", "ana"], rights=["read"])[1]
    assert [s for s in ("ana", "Ana", "team-1", "team", "anab", "x/ana") if key.may("read", s)] == ["ana", "team-1"]
    assert not key.may("write", "ana")


def test_a_desk_opens_nothing_without_a_right(store, tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        memory.space("ana")
        access = Access(SpacePool(memory), store.add("t", spaces=["*"], rights=RIGHTS)[1], "ana")
        with pytest.raises(TypeError), access.open():
            pass
        with access.open("read") as here:
            assert here.name == "ana"


def test_a_space_in_use_is_not_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WAIT", 0.05)
    with Mnemos(tmp_path, embedder="none") as memory:
        memory.space("ana").add("a")
        pool = SpacePool(memory)
        with pool.use("ana") as here, pytest.raises(StoreBusy):
            pool.remove("ana")
        assert here.count() == 1
        pool.remove("ana")
        assert "ana" not in memory


def test_buckets_fill_again_and_do_not_pile_up():
    now = [0.0]
    limiter = RateLimiter(10, 2, lambda: now[0])
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 1]
    now[0] = 0.1
    assert [limiter.take("a") for _ in range(2)] == [0, 1]
    now[0] = 100.0
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 1]
    for i in range(MAX_BUCKETS + 10):
        limiter.take(str(i))
    assert len(limiter._buckets) == MAX_BUCKETS


# -- commands


def run(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


def test_keys_are_made_listed_and_revoked_on_the_command_line(tmp_path):
    root = ("--root", tmp_path)
    made = json.loads(
        run("keys", "add", "bob", "-s", "team-*", "-r", "read", "-r", "write", "--days", 3, *root, "--json").stdout
    )
    assert (made["spaces"], made["rights"]) == (["team-*"], ["read", "write"])
    plain = run("keys", "add", "ana", "-s", "ana", "-r", "read", *root).stdout.strip()
    store = KeyStore.under(tmp_path)
    assert store.find(made["key"]).name == "bob"
    assert store.find(plain).name == "ana"
    listed = run("keys", "list", *root, "--json")
    assert [k["name"] for k in json.loads(listed.stdout)] == ["bob", "ana"]
    assert "seal" not in listed.stdout
    assert made["key"] not in listed.stdout
    assert run("keys", "revoke", made["id"], *root).exit_code == 0
    assert store.find(made["key"]) is None
    shown = run("keys", "list", *root).stdout
    assert "revoked" in shown
    assert "valid" in shown
    assert run("keys", "revoke", "nobody", *root).exit_code == 1
    assert run("keys", "add", "x", "-s", "a", "-r", "all", *root).exit_code == 1
    store.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_addresses_need_allow_remote(tmp_path, host):
    refused = run("serve", "--host", host, "--root", tmp_path)
    assert refused.exit_code == 1
    assert "--allow-remote" in refused.stderr


def test_all_addresses_are_no_name():
    assert commands._called("0.0.0.0") == commands._called("::") == ()
    assert commands._called("fd00::1") == ("[fd00::1]",)


def test_serve_prints_a_key_once_serves_and_ends_at_a_signal(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", RUN, "serve", "--root", str(tmp_path), "--port", str(port), "--embedder", "none"]
    for start in range(2):
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}
        )
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        if start == 0:
            token = KeyStore.under(tmp_path).all()[0].id
        server.terminate()
        out, err = server.communicate(timeout=30)
        assert server.returncode == 0
        assert out.startswith(f"mnk_{token}_") == (start == 0)
        assert "mnk_" not in err
        assert "Traceback" not in err


def test_importing_mnemos_does_not_import_the_server():
    code = "import sys, mnemos, mnemos.cli.serve; "
    code += "print([m for m in ('fastapi', 'uvicorn', 'httpx', 'pydantic') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
