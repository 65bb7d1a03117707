"""Runs the examples of README.md and docs/: every block does what it says and prints what the page says.

- A `python` block runs in the namespace of its page. If a `text` block follows, it is what the block prints.
- A `bash` block is a script; in a `console` block the lines after `$ ` are commands and the others what they print.
- `json` and `toml` blocks are read.
- `...` in an expected output stands for anything. `<!-- not run: REASON -->` before a block skips it.
- `<!--- invisible-code-block: python ... --->` runs and is not shown.

Each page has a folder of its own, which is also its home folder; processes that it starts end with it.
"""

import ast
import contextlib
import doctest
import io
import json
import os
import re
import signal
import subprocess
import tempfile
import textwrap
import tomllib
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parent
SKIPPED = re.compile(r"<!-- (not run: .+|ci:\w+) -->\n[ \t]*$")
OUTPUT = re.compile(r"\s*^[ \t]*```text\n(.*?)^[ \t]*```$", re.MULTILINE | re.DOTALL)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers of pytest-xdist share the cores
VARIABLES = {"NO_COLOR": "1", "COLUMNS": "120", "TERM": "dumb"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Return the workers of `-n auto`: more than cores, since many tests wait for a server, a browser or a process."""
    return 3 * (os.cpu_count() or 2) // 2


def setup(namespace):
    """Give a page a folder of its own."""
    folder = tempfile.TemporaryDirectory(prefix="mnemos-docs-")
    namespace["_page"] = {"folder": folder, "before": Path.cwd(), "environ": dict(os.environ), "processes": []}
    namespace["ROOT"] = ROOT
    os.chdir(folder.name)
    home = Path(folder.name)
    os.environ.update(
        VARIABLES, HOME=folder.name, XDG_CONFIG_HOME=str(home / ".config"), MNEMOS_ROOT=str(home / ".mnemos")
    )
    os.environ.pop("MNEMOS_CONFIG", None)


def teardown(namespace):
    """End the processes of a page and remove its folder."""
    page = namespace["_page"]
    for process in page["processes"]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    os.chdir(page["before"])
    os.environ.clear()
    os.environ.update(page["environ"])
    page["folder"].cleanup()


def python(example):
    """Run a block and compare what it prints with the text block behind it."""
    if skipped(example):
        return None
    source = "\n" * (example.line + example.parsed.line_offset) + textwrap.dedent(example.parsed)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.parse(source), example.path, "exec", dont_inherit=True), example.namespace)
    expected = OUTPUT.match(example.document.text, example.region.end)
    return expected and difference(textwrap.dedent(expected.group(1)), printed.getvalue())


def bash(example):
    """Run a script; it must succeed."""
    if not skipped(example):
        run(example, textwrap.dedent(example.parsed))


def console(example):
    """Run the commands of a session and compare what they print."""
    if skipped(example):
        return None
    lines = textwrap.dedent(example.parsed).splitlines(keepends=True)
    script, expected = "", ""
    for number, line in enumerate(lines):
        if line.startswith("$ ") or (number and lines[number - 1].endswith("\\\n") and line.startswith("> ")):
            script += line[2:]
        else:
            expected += line
    return difference(expected, run(example, script))


def run(example, script):
    """Return what a script prints on both streams; what it leaves running is ended with the page."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script], stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        example.namespace["_page"]["processes"].append(process)
        code = process.wait(timeout=120)
        out.seek(0)
        printed = out.read().decode()
    assert code == 0, f"{script}exits with {code}:\n{printed}"
    return printed


def difference(expected, printed):
    """Return how an output differs from the expected one; None if it does not."""
    expected, printed = (
        re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip() + "\n" for text in (expected, printed)
    )
    if doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS):
        return None
    return f"expected:\n{expected}\nprinted:\n{printed}"


def skipped(example):
    """Tell whether a block says that it is not run."""
    return SKIPPED.search(example.document.text, 0, example.region.start) is not None


def read_with(read):
    """Return an evaluator that reads a block and fails if it cannot."""

    def evaluate(example):
        if not skipped(example):
            read(textwrap.dedent(example.parsed))

    return evaluate


EVALUATORS = {
    "python": python, "bash": bash, "console": console, "json": read_with(json.loads), "toml": read_with(tomllib.loads),
}  # fmt: skip
pytest_collect_file = Sybil(
    parsers=[CodeBlockParser(language, evaluator) for language, evaluator in EVALUATORS.items()],
    path=str(ROOT),
    patterns=["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/*/*.md"],
    setup=setup,
    teardown=teardown,
).pytest()
