"""Every command whose output cannot be written ends with a short message and a code, and never with a traceback."""

import io
import os
import subprocess
import sys

import pytest
import typer

from mnemos import Mnemos
from mnemos.cli import app, main

# What each command needs to print something; {id} is a cube, {folder} an empty folder, {backup} a backup.
ARGUMENTS = {
    "add": ["I moved to Faro."], "search": ["Porto"], "context": ["Porto"], "list": [], "show": ["{id}"], "history": ["{id}"],
    "update": ["{id}", "I live in Faro."], "delete": ["{id}", "--yes"], "forget": ["{id}", "--yes"], "facts": [],
    "rollback": ["{id}", "1"], "consolidate": [], "policy": [], "pin": ["{id}"], "unpin": ["{id}"], "archive": ["{id}"],
    "unarchive": ["{id}"], "audit log": [], "audit verify": [], "spaces": [], "stats": [], "import": ["{notes}"],
    "export": ["{folder}/out.jsonl"], "backup": ["{folder}/b"], "restore": ["{backup}", "--as", "copy"],
    "reindex": ["--embedder", "hashing:8"], "used": ["Where do I live?", "{id}"],
    "timezone": [], "models list": [],
    "weights list": ["--json"], "task list": [], "task show": ["trip"], "task prompt": ["trip", "hotel"],
    "doctor": [], "config": [], "keys list": ["--json"], "keys add": ["name", "--space", "*", "--right", "read"], "methods": [],
}  # fmt: skip
# They need more than a line, or run on.
HELP_ONLY = {"verify-erasure", "tune", "move", "serve", "mcp", "demo", "keys revoke", "models build", "weights ask",
             "weights learn", "weights measure", "weights plan", "weights remove", "weights show"}  # fmt: skip


def leaves(command=None, name=""):
    """Yield the names of all commands."""
    command = command or typer.main.get_command(app)
    if hasattr(command, "commands"):
        for key, child in command.commands.items():
            yield from leaves(child, f"{name} {key}".strip())
    else:
        yield name


COMMANDS = sorted(leaves())


def full():
    return os.open("/dev/full", os.O_WRONLY)


def broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def run(arguments, out, folder):
    """Run `mnemos` in a child of this process, which is faster than another interpreter; return its code and stderr."""
    errors = folder / "stderr"
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), write_through=True)
            if out is None:
                os.close(1)
                sys.stdout = None
            else:
                os.dup2(out(), 1)
                sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False))
            sys.argv = ["mnemos", *arguments]
            try:
                main()
            except SystemExit as end:
                code = end.code
            sys.stdout.flush()
        except BaseException:
            import traceback

            traceback.print_exc(file=sys.stderr)
            code = 98
        finally:
            os._exit(code if isinstance(code, int) else 97)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, errors.read_text()


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MNEMOS_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("MNEMOS_EMBEDDER", "none")
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        space = memory.space("default")
        cube = space.add("I live in Porto.")
        space.update(cube.id, content="I live in Porto now.")
        space.task("trip").add("hotel", "Book a hotel", nights=3)
        backup = memory.backup("default", tmp_path / "backup")
    (tmp_path / "notes.md").write_text("A note about Porto.")
    (tmp_path / "folder").mkdir()
    return {
        "id": cube.id,
        "backup": str(backup),
        "folder": str(tmp_path / "folder"),
        "notes": str(tmp_path / "notes.md"),
    }


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_an_output_says_so_and_fails(name, root, tmp_path):
    arguments = ARGUMENTS.get(name)
    if arguments is None:
        assert name in HELP_ONLY or name.startswith("bench "), f"{name}: give arguments with which it prints something"
        arguments = ["--help"]
    line = [*name.split(), *(a.format(**root) for a in arguments)]
    for out, cause in ((full, "disk is full"), (broken_pipe, "gone away"), (None, "closed")):
        code, said = run(line, out, tmp_path)
        assert (code, "Traceback" in said) == (1, False), said
        if out is full:  # the other runs of a command that changes something may fail for a reason of their own
            assert cause in said, said
        assert len(said) < 500, said


def test_with_json_the_message_is_json(root, tmp_path):
    code, said = run(["list", "--json"], full, tmp_path)
    assert code == 1
    assert said.startswith('{"error": "the output was not written: the disk is full')


@pytest.mark.parametrize(
    "redirection", [">/dev/full", ">&-", "| true", ">/dev/full 2>/dev/full", "</dev/null >&- 2>&-"]
)
def test_the_program_itself_has_a_code_too(redirection, root):
    command = f"set -o pipefail; {sys.executable} -c 'from mnemos.cli import main; main()' list {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_what_a_command_did_is_kept(root, tmp_path):
    assert run(["add", "I moved to Faro."], full, tmp_path)[0] == 1
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        assert "I moved to Faro." in {c.text for c in memory.space("default").cubes()}
