"""Settings: which of option, environment, file and default counts, what is refused, and that no key is ever shown."""

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mnemos import config
from mnemos.cli import app
from mnemos.config import GENERAL, ConfigFile
from mnemos.credentials import SECRETS, secret
from mnemos.errors import InvalidInput

DOCS = Path(__file__).parents[2] / "docs"
KEY = "sk-CANARY-0123456789"
VALUES = {  # of each setting of the server: in a file, in the environment, as an option; and what is then in force
    "host": ("127.0.0.2", "127.0.0.3", "127.0.0.4", ("127.0.0.2", "127.0.0.3", "127.0.0.4")),
    "port": (1, "2", "3", (1, 2, 3)),
    "names": (["a"], "b, c", "d", (("a",), ("b", "c"), ("d",))),
    "allow_remote": (True, "false", None, (True, False, True)),
    "rate": (2, "3.5", "4", (2.0, 3.5, 4.0)),
    "max_body": (2000, "3000", "4000", (2000, 3000, 4000)),
    "max_chat_body": (2000, "3000", "4000", (2000, 3000, 4000)),
    "max_requests": (20, "30", "40", (20, 30, 40)),
    "max_connections": (20, "30", "40", (20, 30, 40)),
    "head_seconds": (1, "2", "3.5", (1.0, 2.0, 3.5)),
    "body_seconds": (1, "2", "3.5", (1.0, 2.0, 3.5)),
    "upstream": ("http://a/v1", "http://b/v1", "http://c/v1", ("http://a/v1", "http://b/v1", "http://c/v1")),
    "in_place": (True, "false", None, (True, False, True)),
    "answers": (True, "false", None, (True, False, True)),
    "model": ("a", "b", "c", ("a", "b", "c")),
    "model_cache": (1, "2", "3", (1, 2, 3)),
    "model_keep": (64, "65", "66", (64, 65, 66)),
    "tls_cert": ("/a", "/b", "/c", (Path("/a"), Path("/b"), Path("/c"))),
    "tls_key": ("/a", "/b", "/c", (Path("/a"), Path("/b"), Path("/c"))),
    "log_format": ("json", "text", "json", ("json", "text", "json")),
    "log_level": ("error", "debug", "warning", ("error", "debug", "warning")),
    "drain": (1, "2", "3.5", (1.0, 2.0, 3.5)),
    "grace": (1, "2", "3", (1, 2, 3)),
}


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    """No settings but those of the test."""
    for name in [name for name in os.environ if name.startswith(("MNEMOS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(config, "default_path", lambda: tmp_path / "usual" / "mnemos.toml")
    monkeypatch.setenv("MNEMOS_ROOT", str(tmp_path / "root"))


@pytest.fixture
def file(tmp_path):
    def write(text, path=tmp_path / "given.toml"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def serve():
    """The module of the server's settings."""
    pytest.importorskip("pydantic_settings", reason="needs mnemos-os[serve]")
    from mnemos.serve import config as found

    return found


def run(*arguments, code=0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


def shown(*arguments):
    return json.loads(run("config", "--json", *arguments).stdout)


# -- which of them counts


@pytest.mark.parametrize("name", ["root", "space", "embedder", "reasoner"])
def test_an_option_counts_more_than_the_environment_and_that_more_than_the_file(file, monkeypatch, name, tmp_path):
    monkeypatch.delenv("MNEMOS_ROOT")
    default = shown()["settings"][name]
    assert default["source"] == "default"
    assert default["value"] == (GENERAL[name][0] or default["value"])
    path = file(f'{name} = "/file"')
    assert shown("--config", path)["settings"][name] == {"value": "/file", "source": f"file {path}"}
    monkeypatch.setenv(f"MNEMOS_{name.upper()}", "/env")
    assert shown("--config", path)["settings"][name] == {
        "value": "/env", "source": f"environment MNEMOS_{name.upper()}",
    }  # fmt: skip
    found = shown("--config", path, f"--{name}", "/option")["settings"][name]
    assert found == {"value": "/option", "source": "option"}


def test_every_setting_of_the_server_is_tested_here(serve):
    assert list(VALUES) == list(serve.ServeSettings.model_fields)


@pytest.mark.parametrize("name", VALUES)
def test_the_settings_of_the_server_have_the_same_order(serve, name, monkeypatch):
    in_file, in_env, option, expected = VALUES[name]
    pair = {"tls_cert": "tls_key", "tls_key": "tls_cert"}.get(name)  # which are given together or not at all
    file = ConfigFile(Path("/x/mnemos.toml"), {}, {name: in_file} | ({pair: "/p"} if pair else {}))

    def look(options=None):
        settings, found = serve.read(options or {}, file)
        [one] = [setting for setting in found if setting.name == f"serve.{name}"]
        assert getattr(settings, name) == one.value
        return one.value, one.source

    assert serve.read({}, ConfigFile())[1][list(VALUES).index(name)].source == "default"
    assert look() == (expected[0], "file /x/mnemos.toml")
    monkeypatch.setenv(f"MNEMOS_SERVE_{name.upper()}", in_env)
    assert look() == (expected[1], f"environment MNEMOS_SERVE_{name.upper()}")
    given = [option] if name == "names" else option
    assert look({name: True if option is None else given}) == (expected[2], "option")


def test_serve_takes_every_setting_as_an_option_and_says_the_same_of_it(serve):
    command = typer.main.get_command(app).commands["serve"]
    options = {param.opts[0]: param for param in command.params}
    for name, field in serve.ServeSettings.model_fields.items():
        option = options["--name" if name == "names" else "--" + name.replace("_", "-")]
        default = "" if field.default in (None, (), False) and name != "drain" else f" (default: {field.default})"
        assert option.help == field.description + default
        assert option.default is None  # else it would count more than the file


def test_the_commands_use_the_file(file, tmp_path, monkeypatch):
    monkeypatch.delenv("MNEMOS_ROOT")
    path = file('root = "memories"\nspace = "ana"\nembedder = "none"')
    run("--config", path, "add", "I moved to Faro.")
    assert [p.name for p in (tmp_path / "memories").glob("*.mnemos")]  # beside the file, not in the current folder
    monkeypatch.setenv("MNEMOS_CONFIG", str(path))
    assert json.loads(run("stats", "--json").stdout)["cubes"] == 1
    assert "Faro" in run("search", "Faro").stdout
    assert run("search", "Faro", "--space", "bob", code=1).stderr.startswith("there is no space 'bob'")


def test_the_usual_file_is_read_and_one_in_the_current_folder_is_not(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file('space = "planted"', tmp_path / "mnemos.toml")
    assert shown()["file"] is None
    assert shown()["settings"]["space"]["value"] == "default"
    usual = file('space = "mine"', tmp_path / "usual" / "mnemos.toml")
    assert shown()["file"] == str(usual)
    assert shown()["settings"]["space"] == {"value": "mine", "source": f"file {usual}"}
    given = file("")
    assert shown("--config", given)["settings"]["space"]["value"] == "default"  # one file, not two
    monkeypatch.setenv("MNEMOS_CONFIG", str(given))
    assert shown()["file"] == str(given)


def test_empty_means_not_set(file, monkeypatch):
    path = file('space = ""\n[serve]\ntls_cert = ""\nupstream = ""')
    monkeypatch.setenv("MNEMOS_SPACE", "")
    monkeypatch.setenv("MNEMOS_SERVE_PORT", "")
    settings = shown("--config", path)["settings"]
    assert {settings[name]["source"] for name in ("space", "serve.tls_cert", "serve.port")} == {"default"}


# -- what is refused


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('rot = "/x"', "unknown setting 'rot' in FILE. Did you mean root?"),
        ("port = 5", "unknown setting 'port' in FILE. Use root, space, embedder, reasoner, timezone. Settings of the "
                     "server belong in [serve]."),
        ("[serve]\nprot = 5", "unknown setting 'prot' in [serve] of FILE. Did you mean port?"),
        ("[serve]\nlog_levle = 'info'", "Did you mean log_level"),
        ("[serve]\nport = 70000", "serve.port (file FILE): Input should be less than or equal to 65535, not 70000."),
        ("[serve]\nlog_level = 'loud'", "not 'loud'"),
        ("[serve]\nupstream = 'http://ana:CANARY@host/v1'", "serve.upstream (file FILE): it contains a user name or password"),
        ("[serve]\ntls_cert = 'x.pem'", "TLS needs both a"),
        ("[serve]\nupstream_key = 'CANARY'", "Set keys in the environment: MNEMOS_UPSTREAM_KEY"),
        ("OPENAI_API_KEY = 'CANARY'", "Set keys in the environment"),
        ("root = 5", 'FILE: root must be a string, for example root = "...", not 5.'),
        ("serve = 5", "serve must be a table"),
        ("root = ", "FILE is not valid TOML: Invalid value (at "),
        ("a" * 5 + " = \udcff", "FILE is not valid TOML: it is not UTF-8."),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_told_with_its_name(tmp_path, text, told):
    path = tmp_path / "wrong.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    stderr = run("config", "--config", path, code=1).stderr.strip()
    assert told.replace("FILE", str(path)) in stderr
    assert "CANARY" not in stderr


def test_a_name_in_the_environment_that_no_setting_has_is_told(monkeypatch):
    pytest.importorskip("pydantic_settings")
    monkeypatch.setenv("MNEMOS_SERVE_TLSCERT", "/x")
    assert "unknown setting 'MNEMOS_SERVE_TLSCERT' in the environment. Did you mean MNEMOS_SERVE_TLS_CERT" in (
        run("config", code=1).stderr
    )


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path, monkeypatch):
    assert "--config names" in run("--config", tmp_path / "none.toml", "stats", code=1).stderr
    monkeypatch.setenv("MNEMOS_CONFIG", str(tmp_path / "none.toml"))
    assert "MNEMOS_CONFIG names" in run("stats", code=1).stderr
    assert json.loads(run("stats", "--json", code=1).stderr)["type"] == "InvalidInput"
    assert "cannot read" in run("--config", tmp_path, "stats", code=1).stderr


def test_commands_that_need_no_settings_work_with_a_broken_file(file):
    assert "BM25" in run("--config", file("root = "), "methods").stdout


def test_serve_refuses_what_config_refuses(file):
    pytest.importorskip("pydantic_settings")
    assert "Did you mean port?" in run("serve", "--config", file("[serve]\nprot = 5"), code=1).stderr


# -- keys


@pytest.mark.parametrize("name", SECRETS)
def test_a_key_comes_from_the_environment_or_a_file_and_is_never_shown(file, tmp_path, monkeypatch, name):
    def told():
        out = run("config", "--json")
        text = run("config")
        assert KEY not in out.output + text.output
        return json.loads(out.stdout)["secrets"][name]

    assert secret(name) is None
    assert told() == {"set": False, "source": None}
    monkeypatch.setenv(f"{name}_FILE", str(file(f"{KEY}\n", tmp_path / "key")))
    assert secret(name) == KEY
    assert told() == {"set": True, "source": f"environment {name}_FILE"}
    monkeypatch.setenv(name, KEY)
    with pytest.raises(InvalidInput, match="both set"):
        secret(name)
    monkeypatch.delenv(f"{name}_FILE")
    assert secret("MNEMOS_NONE", name) == KEY
    assert told() == {"set": True, "source": f"environment {name}"}


def test_the_embedder_and_the_reasoner_take_their_keys_from_files(file, tmp_path, monkeypatch):
    pytest.importorskip("openai")
    from mnemos.embed.endpoint import EndpointEmbedder
    from mnemos.reason import load_reasoner

    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(file(KEY, tmp_path / "key")))
    embedder = EndpointEmbedder("m", "http://127.0.0.1:9/v1")
    assert embedder._client.headers["Authorization"] == f"Bearer {KEY}"
    chat = load_reasoner("openai:m@http://127.0.0.1:9/v1")._chat
    assert chat.connected().api_key == KEY


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), (b" \n", "empty"), (b"\xffCANARY", "not UTF-8")])
def test_a_key_file_that_cannot_be_used_is_told_without_its_content(tmp_path, monkeypatch, content, why):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("MNEMOS_UPSTREAM_KEY_FILE", str(path))
    with pytest.raises(InvalidInput, match=why) as raised:
        secret("MNEMOS_UPSTREAM_KEY")
    assert str(path) in str(raised.value)
    assert "CANARY" not in str(raised.value)


def test_passwords_in_addresses_are_not_shown():
    out = run("config", "--embedder", "openai:m@https://ana:CANARY@host/v1", "--json").stdout
    assert "CANARY" not in out
    assert json.loads(out)["settings"]["embedder"]["value"] == "openai:m@https://…@host/v1"


# -- a file to begin with


def test_init_writes_every_setting_commented_out_and_never_over_a_file(tmp_path):
    pytest.importorskip("pydantic_settings")
    path = tmp_path / "new" / "mnemos.toml"
    assert json.loads(run("config", "--init", "--config", path, "--json").stdout) == {"written": str(path)}
    text = path.read_text(encoding="utf-8")
    assert tomllib.loads(text) == {"serve": {}}
    lines = text.splitlines()
    given = "\n".join(line.removeprefix("# ") for line in lines if " = " in line or line.startswith("["))
    data = tomllib.loads(given)
    assert list(data) == [*GENERAL, "serve"]
    assert list(data["serve"]) == list(VALUES)
    other = tmp_path / "all.toml"
    other.write_text(given, encoding="utf-8")
    with_file, without = shown("--config", other)["settings"], shown()["settings"]
    assert {n: s["value"] for n, s in with_file.items()} == {n: s["value"] for n, s in without.items()}
    assert "exists already" in run("config", "--init", "--config", path, code=1).stderr
    assert path.read_text(encoding="utf-8") == text


def test_without_the_extra_the_rest_works(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pydantic_settings", None)
    monkeypatch.delitem(sys.modules, "mnemos.serve.config", raising=False)
    result = run("config", "--json")
    assert list(json.loads(result.stdout)["settings"]) == list(GENERAL)
    assert "pip install 'mnemos-os[serve]'" in result.stderr
    run("add", "I moved to Faro.", "--embedder", "none")
    assert "pip install 'mnemos-os[serve]'" in run("serve", code=1).stderr


def test_the_guide_names_every_setting_and_its_variable(serve):
    guide = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    for name in GENERAL:
        assert f"| `{name}` | `MNEMOS_{name.upper()}` |" in guide
    for name, field in serve.ServeSettings.model_fields.items():
        [row] = [line for line in guide.splitlines() if line.startswith(f"| `serve.{name}` |")]
        default = "" if field.default in (None, ()) else f"`{json.dumps(field.default)}`"
        assert row.split("|")[2:4] == [f" `{serve.PREFIX}{name.upper()}` ", f" {default} ".replace("  ", " ")]
    for name in SECRETS:
        assert f"`{name}`" in guide
