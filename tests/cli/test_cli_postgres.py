"""Commands on a root in a database: the same output, and no password in any of it."""

import json

import pytest
from typer.testing import CliRunner

from mnemos.cli import app


@pytest.fixture
def root(postgres_server, postgres_url):
    """The URL of a database, with a password."""
    return postgres_server.url(postgres_url.partition("@/")[2].partition("?")[0], tcp=True)


@pytest.fixture
def call(root, postgres_server, tmp_path, monkeypatch):
    monkeypatch.setenv("MNEMOS_EMBEDDER", "none")
    monkeypatch.delenv("MNEMOS_ROOT", raising=False)

    def run(*arguments, code=0):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == code, result.output
        assert postgres_server.password not in result.output
        return result

    return run


def test_a_url_is_a_root_everywhere_and_its_password_is_shown_nowhere(call, root, tmp_path, monkeypatch):
    call("--root", root, "add", "Rita lives in Lisbon.", "--speaker", "Ana")
    monkeypatch.setenv("MNEMOS_ROOT", root)
    assert "Rita" in call("search", "Where does Rita live?").output
    monkeypatch.delenv("MNEMOS_ROOT")
    settings = tmp_path / "mnemos.toml"
    settings.write_text(f'root = "{root}"\n')
    monkeypatch.setenv("MNEMOS_CONFIG", str(settings))
    (listed,) = json.loads(call("spaces", "--json").stdout)
    assert (listed["space"], listed["bytes"] > 0) == ("default", True)
    shown = json.loads(call("config", "--json").stdout)["settings"]["root"]["value"]
    assert shown == root.replace(root.split(":")[2].partition("@")[0], "…")
    assert json.loads(call("stats", "--json").stdout)["cubes"] == 1
    assert json.loads(call("doctor", "--all", "--json").stdout)[0]["healthy"]
    file = json.loads(call("backup", tmp_path / "b.mnemos", "--json").stdout)["default"]
    assert json.loads(call("restore", file, "--as", "copy", "--json").stdout) == {"space": "copy", "cubes": 1}
    assert call("keys", "add", "n", "--space", "*", "--right", "read").stdout.startswith("mnk_")
    assert "there is no space 'nobody'" in call("stats", "-s", "nobody", code=1).output
    assert "no such database" in call("--root", root + "x", "spaces", code=1).output
    assert "both the source and the target" in call("move", root, root, code=1).output


def test_the_demo_starts_a_server_of_its_own(call):
    said = json.loads(call("demo", "--postgres", "--json").stdout)
    assert said["engine"].startswith("Postgres ")
    assert said["root"] is None
    assert len(said["answers"]) == 6
    assert "Leave one of them out" in call("demo", "--postgres", "--keep", "x", code=1).output
