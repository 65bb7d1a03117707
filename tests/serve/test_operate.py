"""Statements of docs/operate.md about a running server, and the files in packaging/, which no other test uses."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")

import typer

from mnemos.cli import app
from mnemos.config import GENERAL
from mnemos.credentials import SECRETS
from mnemos.serve.config import PREFIX, ServeSettings
from mnemos.serve.run import OVERTIME

HERE = Path(__file__).parents[2]
UNIT = (HERE / "packaging" / "mnemos.service").read_text(encoding="utf-8")
DOCKERFILE = (HERE / "packaging" / "Dockerfile").read_text(encoding="utf-8")
GUIDE = (HERE / "docs" / "operate.md").read_text(encoding="utf-8")
CONFIGURATION = (HERE / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
VARIABLES = {f"MNEMOS_{name.upper()}" for name in GENERAL} | {
    PREFIX + name.upper() for name in ServeSettings.model_fields
}
VARIABLES |= (
    {"MNEMOS_MAX_OPEN", "MNEMOS_BLOBS"} | set(SECRETS) | {f"{name}_FILE" for name in SECRETS} | {"MNEMOS_CONFIG"}
)


def ask(server, path, body):
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def command_line(*arguments, **env):
    code = "from mnemos.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "MNEMOS_EMBEDDER": "none", **env},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings_of(lines, start):
    """Return the values of a unit's key, or of a Dockerfile's instruction, one for each line."""
    return [line.removeprefix(start).strip() for line in lines.splitlines() if line.startswith(start)]


def options_of(path):
    command = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    return {option for param in command.params for option in (*param.opts, *param.secondary_opts)}


# -- beside a server that runs


def test_a_backup_of_a_running_server_is_restored_beside_it(start, tmp_path):
    server, root = start(), tmp_path / "root"
    ask(server, "/v1/spaces/ana/cubes", {"content": "Rita has a dog."})
    (tmp_path / "copies").mkdir()
    command_line("backup", "--all", tmp_path / "copies", "--root", root)
    ask(server, "/v1/spaces/ana/cubes", {"content": "Rita plays chess."})
    [copy] = (tmp_path / "copies").rglob("ana.mnemos")
    command_line("restore", copy, "--as", "ana-then", "--root", root)

    def texts(space):
        return {hit["cube"]["text"] for hit in ask(server, f"/v1/spaces/{space}/search", {"query": "Rita"})["hits"]}

    assert texts("ana-then") == {"Rita has a dog."}
    assert texts("ana") == {"Rita has a dog.", "Rita plays chess."}


def test_the_file_and_the_environment_reach_the_server(start, tmp_path):
    path = tmp_path / "mnemos.toml"
    path.write_text('[serve]\nlog_format = "json"\nlog_level = "error"\nnames = ["memory.example.org"]\n')
    server = start("--config", path, MNEMOS_SERVE_LOG_LEVEL="info")
    assert json.loads(server.line("serving"))["message"] == "serving"
    request = urllib.request.Request(server.url + "/health", headers={"Host": "memory.example.org"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


# -- packaging/mnemos.service


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = tmp_path / "mnemos.service"
    unit.write_text(UNIT.replace("/opt/mnemos/bin/mnemos", "/bin/true"), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_runs_a_command_that_there_is_with_settings_that_there_are():
    [started] = settings_of(UNIT, "ExecStart=")
    program, command, *options = shlex.split(started)
    assert program == "/opt/mnemos/bin/mnemos"
    assert {option for option in options if option.startswith("-")} <= options_of([command])
    given = dict(pair.split("=", 1) for pair in settings_of(UNIT, "Environment="))
    assert {name for name in given if name.startswith("MNEMOS_")} <= VARIABLES
    assert given["MNEMOS_ROOT"] == "/var/lib/" + settings_of(UNIT, "StateDirectory=")[0]
    code = "from mnemos.config import default_path; print(default_path())"
    path = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **given}
    ).stdout.strip()
    assert path == "/etc/mnemos/mnemos.toml" or not sys.platform.startswith("linux")


def test_the_unit_waits_longer_than_the_server_takes_to_end():
    [seconds] = settings_of(UNIT, "TimeoutStopSec=")
    fields = ServeSettings.model_fields
    assert float(seconds) > fields["drain"].default + fields["grace"].default + OVERTIME


# -- packaging/Dockerfile


def test_the_image_is_made_of_files_that_there_are_and_that_reach_it():
    kept = {
        line[1:] for line in (HERE / "packaging" / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"
    }
    copied = [name for line in settings_of(DOCKERFILE, "COPY ") if "--from" not in line for name in line.split()[:-1]]
    assert set(copied) == kept
    assert all((HERE / name).exists() for name in copied)
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {project["readme"], *project["license-files"]} <= kept  # without them the package cannot be built
    assert "serve" in project["optional-dependencies"]
    for image in settings_of(DOCKERFILE, "FROM "):
        assert image.startswith("python:" + project["requires-python"].removeprefix(">="))


def test_the_image_runs_as_nobody_with_settings_that_there_are():
    given = dict(pair.split("=", 1) for line in settings_of(DOCKERFILE, "ENV ") for pair in line.split())
    assert {name for name in given if name.startswith("MNEMOS_")} <= VARIABLES
    assert settings_of(DOCKERFILE, "VOLUME ") == [given["MNEMOS_ROOT"]]
    assert int(settings_of(DOCKERFILE, "USER ")[0]) > 0
    assert settings_of(DOCKERFILE, "EXPOSE ") == [str(ServeSettings.model_fields["port"].default)]
    words = [*json.loads(settings_of(DOCKERFILE, "ENTRYPOINT ")[0]), *json.loads(settings_of(DOCKERFILE, "CMD ")[0])]
    assert words[0] == "mnemos"
    assert options_of(words[1:])


def test_the_health_check_of_the_image_tells_a_server_that_runs_from_one_that_does_not(start):
    [line] = [line for line in DOCKERFILE.splitlines() if line.startswith("HEALTHCHECK ")]
    program, flag, code = json.loads(line[line.index("CMD ") + 4 :])
    assert (program, flag) == ("python", "-c")
    server = start()
    there = code.replace("http://127.0.0.1:8765", server.url)
    assert there != code
    assert subprocess.run([sys.executable, "-c", there], timeout=60).returncode == 0
    server.end()
    assert subprocess.run([sys.executable, "-c", there], stderr=subprocess.DEVNULL, timeout=60).returncode != 0


# -- docs/operate.md


def test_the_guide_names_only_what_there_is():
    assert set(re.findall(r"\bMNEMOS_[A-Z_]*[A-Z]\b", GUIDE + CONFIGURATION)) - {"MNEMOS_SERVE"} <= VARIABLES
    for line in re.findall(r"^mnemos .*$|/bin/mnemos .*$", GUIDE, re.MULTILINE):
        words = shlex.split(line.partition("#")[0].partition("/bin/")[2] or line.partition("#")[0])[1:]
        path = words[: 2 if words[0] == "keys" else 1]
        assert {word for word in words if word.startswith("--")} <= options_of(path) | {"--root"}, line
    for link in re.findall(r"\]\((\.\./[^)]*|[a-z]+\.md)", GUIDE):
        assert (HERE / "docs" / link).exists()
    [block] = re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL)
    data = tomllib.loads(block)
    assert data.pop("serve").keys() <= ServeSettings.model_fields.keys()
    assert data.keys() <= GENERAL.keys()
    [line] = re.findall(r"```json\n(.*?)\n```", GUIDE, re.DOTALL)
    assert list(json.loads(line)) == [
        "time",
        "level",
        "logger",
        "message",
        "request",
        "method",
        "route",
        "status",
        "ms",
        "key",
    ]
