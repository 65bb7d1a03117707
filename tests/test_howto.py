"""docs/how-to: the one new file of each page is picked up by the registry, the contract tests, the pages and the benchmarks.

Every page that adds a method has its file in a block ```python title="src/mnemos/..."```. All of them are written into one
copy of the repository, in which nothing else is touched.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE = re.compile(r'^```python title="(src/[^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PAGES = sorted((ROOT / "docs" / "how-to").glob("add-a-*.md"))
COMMANDS = """
import contextlib, io, json, sys
from mnemos.cli import main
said = []
for sys.argv[1:] in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
    said.append(out.getvalue())
from mnemos.activation.presets import all_presets
print(json.dumps([*said, list(all_presets())]))
"""
TYPOS = "benchmarks/results/text/typos.json"
NAMES = {  # page: the form and name under which its method is registered
    "add-a-cache-method": ("activation", "vatp"),
    "add-a-law": ("text", "savings"),
    "add-a-retriever": ("text", "query-likelihood"),
    "add-a-strategy": ("parametric", "asymmetric-replay"),
    "add-a-system": ("text", "verbatim"),
}


def new_file(page):
    ((path, code),) = FILE.findall(page.read_text(encoding="utf-8"))
    return path, code


def mirror(source, target):
    """Make folders of links to files: a copy to which files can be added, and which is read as where it stands."""
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with the new file of every page, and without docs/methods, which are written again."""
    pytest.importorskip("torch")
    home = tmp_path_factory.mktemp("repository")
    for folder in ("src", "benchmarks", "docs"):
        mirror(ROOT / folder, home / folder)
    shutil.copytree(ROOT / "tests", home / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tools", home / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", home)
    for page in PAGES:
        path, code = new_file(page)
        assert not (home / path).exists(), f"{page.name} would overwrite {path}"
        (home / path).write_text(code, encoding="utf-8")
    for old in (home / "docs" / "methods").iterdir():
        old.unlink()
    return home


@pytest.fixture(scope="module")
def said(repository):
    """What the commands of the tests below print, all run by one process: each would import everything again."""
    retention = "--memories 200 --days 60 --seeds 1 --kinds stationary --out result.json"
    commands = {
        "pages": "methods --markdown --out docs/methods",
        "list": "methods --json",
        "benchmarks": "bench --help",
        "retention": f"bench retention {retention}",
        "typos": f"bench typos --cubes 20 --embedder hashing --out {TYPOS}",
        "pages after": "methods --markdown --out after",
    }
    printed = run(repository, "-c", COMMANDS, json.dumps([command.split() for command in commands.values()]))
    return dict(zip([*commands, "presets"], json.loads(printed), strict=True))


def run(home, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(home / "src")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_page_that_adds_something_is_tested_here():
    assert {page.stem for page in PAGES} == NAMES.keys() | {"add-a-benchmark"}
    assert [page.name for page in PAGES if not new_file(page)[0].startswith("src/mnemos/")] == []


def test_the_code_of_the_pages_is_as_the_linter_wants_it(repository):
    paths = [new_file(page)[0] for page in PAGES]
    for tool in (["ruff", "check"], ["ruff", "format", "--check"]):
        if shutil.which(tool[0]):
            done = subprocess.run([*tool, *paths], cwd=repository, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_the_registry_and_the_pages_have_the_new_methods(repository, said):
    assert set(NAMES.values()) <= {(m["form"], m["name"]) for m in json.loads(said["list"])}
    pages = "".join(p.read_text(encoding="utf-8") for p in (repository / "docs" / "methods").iterdir())
    for _, name in NAMES.values():
        assert f"\n## {name}\n" in pages
        assert "Not measured: the example of docs/how-to/add-a-" in pages


@pytest.mark.usefixtures("said")  # the pages are compared too
def test_the_contract_tests_have_the_new_methods(repository):
    names = [name for _, name in NAMES.values()]
    told = run(repository, "-m", "pytest", "tests/contracts", "-rA", "-p", "no:cacheprovider", "-k", " or ".join(names))
    passed = [line for line in told.splitlines() if line.startswith(("PASSED", "XPASS"))]
    for name in names:
        assert sum(bool(re.search(rf"\b{name}\b", line)) for line in passed) >= 7, (name, passed)


def test_the_benchmarks_have_the_new_methods(repository, said):
    assert "vatp" in said["presets"]
    result = json.loads((repository / "result.json").read_text(encoding="utf-8"))
    assert "savings" in result["kinds"]["stationary"]["accuracy"]


def test_the_new_benchmark_is_a_command_and_its_result_is_shown_beside_the_methods(repository, said):
    assert "typos" in said["benchmarks"]
    assert (repository / TYPOS).is_file()
    page = (repository / "after" / "text-recall.md").read_text(encoding="utf-8")
    assert page.count("of the memories by four words, two of them misspelt") == 3
