"""The name under which Mnemos is installed: one constant, which the package and every message agree with."""

import re
import tomllib
from pathlib import Path

import pytest

from mnemos.distribution import DISTRIBUTION, install_command, upgrade_command

ROOT = Path(__file__).parent.parent
INSTALL = r"(?:pip3?|pipx|uv(?: pip| tool)?) (?:install|add|run) (?:-\S+ )*|uvx "
OTHERS = re.compile(rf"(?:{INSTALL}|[\"'`])mnemos(?:\[[a-z]|==|>=|~=)|(?:{INSTALL})mnemos(?![\w-])")


def texts() -> list[Path]:
    """Return every file that may tell a reader what to install."""
    kinds = ("*.py", "*.md", "*.toml", "*.txt", "*.js", "*.html", "*.service", "Dockerfile*", "run")
    folders = [ROOT / name for name in ("src", "tests", "benchmarks", "tools", "docs", "packaging", ".ci")]
    found = [p for folder in folders for kind in kinds for p in folder.rglob(kind)]
    return [p for p in (*found, *ROOT.glob("*.*")) if p.is_file() and p.suffix != ".json"]


def test_the_package_has_the_name_of_the_constant():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    assert set(project["optional-dependencies"]) >= {"serve", "torch", "mcp", "llm"}


def test_nobody_is_told_to_install_the_package_of_somebody_else():
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip():.100}"
        for path in texts()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if OTHERS.search(line)
    ]
    assert not wrong


@pytest.mark.parametrize(
    "line",
    [
        "pip install 'mnemos[torch]'",
        "pip install -U mnemos",
        "pip install mnemos",
        'x = "mnemos[serve]"',
        "uvx mnemos==0.1",
    ],
)
def test_the_old_form_is_recognised(line):
    assert OTHERS.search(line)


def test_the_commands_name_the_distribution():
    assert install_command("torch") == f"pip install '{DISTRIBUTION}[torch]'"
    for line in (install_command(), install_command("torch"), upgrade_command()):
        assert DISTRIBUTION in line
        assert not OTHERS.search(line)
