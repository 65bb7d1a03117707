"""A database that cannot be used is told in one sentence that says what to do, and never shows a password."""

import socket

import pytest

psycopg = pytest.importorskip("psycopg")

from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError, StoreError
from mnemos.location import DatabaseUrl
from mnemos.store import open as opening
from mnemos.store.open import open_keys
from mnemos.store.postgres.database import parse

SECRET = "s3cr3t%40"


def refusal(url):
    """Return what a root at a URL is refused with."""
    with pytest.raises((StoreError, InvalidInput)) as refused:
        open_keys(DatabaseUrl(url))
    shown = f"{refused.value}{refused.value.__cause__}{refused.value!r}"
    assert "s3cr3t" not in shown
    return str(refused.value)


def test_a_wrong_password_and_a_wrong_user(postgres_server):
    assert "password" in refusal(postgres_server.url(tcp=True, password="s3cr3t"))
    assert "password" in refusal(postgres_server.url(tcp=True, user="nobody", password="s3cr3t"))
    assert "no such user" in refusal(postgres_server.url(user="nobody"))


def test_a_database_that_does_not_exist(postgres_server):
    assert "createdb" in refusal(postgres_server.url("nowhere", tcp=True))


def test_a_host_without_a_server():
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        assert "no server listens" in refusal(f"postgresql://u:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/db")
    assert "no server listens" in refusal(f"postgresql://u:{SECRET}@/db?host=/nowhere")
    assert "not known" in refusal(f"postgresql://u:{SECRET}@no-such-host.invalid/db")


def test_a_url_that_the_client_cannot_read():
    assert "what follows the ?" in refusal(f"postgresql://u:{SECRET}@localhost/db?sslmod=require")
    assert "sslmode" in refusal(f"postgresql://u:{SECRET}@localhost/db?sslmode=hard")
    assert "percent-encoded" in refusal("postgresql://u:s3cr3t%zz@localhost/db")
    assert "pool=" in refusal(f"postgresql://u:{SECRET}@localhost/db?pool=many")


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("postgresql:///db?host=/tmp&pool=3", "postgresql:///db?host=/tmp"),
        ("postgresql://u:a%23b@h/db?pool=3&options=-c%20a%3Db+c", "postgresql://u:a%23b@h/db?options=-c%20a%3Db+c"),
        ("postgresql://u@h/db?blobs=/a%20b&role=r", "postgresql://u@h/db"),
        ("postgresql://u:p?x@h/db", "postgresql://u:p?x@h/db"),
    ],
)
def test_what_only_mnemos_reads_is_taken_out_of_a_url_and_all_else_left_as_it_is(url, plain):
    assert parse(url).conninfo == plain


def test_missing_packages_are_named_with_the_command(monkeypatch):
    monkeypatch.setattr(opening, "find_spec", lambda name: None if name == "psycopg_pool" else object())
    with pytest.raises(MnemosError, match="psycopg_pool") as refused:
        open_keys(DatabaseUrl("postgresql://host/db"))
    assert install_command("postgres") in str(refused.value)


def test_a_connection_that_breaks_is_replaced(postgres_server, postgres_url):
    keys = open_keys(DatabaseUrl(postgres_url))
    before = keys.change_token()
    with psycopg.connect(postgres_server.url(), autocommit=True) as db:
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mnemos'")
    assert keys.change_token() == before
    keys.close()
    with pytest.raises(StoreError, match="closed"):
        keys.change_token()
