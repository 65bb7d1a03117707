"""docs/methods/*.md, made from the registry: `mnemos methods --markdown --out docs/methods`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from mnemos.cli.measurements import Measurements
from mnemos.cli.methods_coverage import coverage
from mnemos.cli.parameters import parameters
from mnemos.distribution import install_command
from mnemos.errors import NotFound
from mnemos.registry import COMPONENT, FORMS, Entry, Paper, all_entries, installed, kinds

MADE = "<!-- made by `mnemos methods --markdown --out docs/methods` from the sources and the result files -->"
INTRO = f"""\
# Methods

{MADE}

Every method of Mnemos, by form and operation: what it does, the paper, its parameters, and what a benchmark measured.
`mnemos methods NAME` shows one in the terminal, `mnemos.registry.get(NAME)` gives it to a program.
"""


def pages(results: Path) -> dict[str, str]:
    """Return the text of every page by file name. `results` is a folder with the results of benchmarks.

    Raises NotFound when a form's packages are not installed, as its methods would be missing.
    """
    entries = all_entries()
    if absent := [form for form in FORMS if (Path(__file__).parents[1] / form).is_dir() and not installed(form)]:
        raise NotFound(f"the pages need the methods of {', '.join(absent)}: {install_command(FORMS[absent[0]])}")
    measured = Measurements(results)
    grouped = {name: list(group) for name, group in groupby(sorted(entries, key=page_of), key=page_of)}
    made = {name: _page(group, measured) for name, group in grouped.items()}
    return {"index.md": _index(grouped)} | made


def write(results: Path, folder: Path) -> list[Path]:
    """Write the pages into a folder and remove pages of operations that have no method any longer; return the files."""
    made = pages(results)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.name not in made and MADE in old.read_text(encoding="utf-8"):
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in made]


def page_of(entry: Entry) -> str:
    """Return the file name of the page that a method is on: form and operation, or form and module."""
    return f"{entry.form}-{entry.operation or entry.target.__module__.split('.')[2]}.md"


def _index(grouped: dict[str, list[Entry]]) -> str:
    lines = [INTRO, "| form | operation | methods |", "| --- | --- | --- |"]
    for name, entries in grouped.items():
        links = ", ".join(f"[{e.name}]({name}#{e.name})" for e in entries)
        lines.append(f"| {entries[0].form} | [{_title(name)}]({name}) | {links} |")
    lines += coverage([entry for group in grouped.values() for entry in group])
    lines += ["", "## Contracts", "", "A method's kind is the contract that it satisfies; nobody declares it.", ""]
    return "\n".join([*lines, *_contracts([e for group in grouped.values() for e in group])]) + "\n"


def _contracts(entries: list[Entry]) -> list[str]:
    """Return a table of the contracts: what each says in a sentence, and which methods satisfy it."""
    lines = ["| contract | of | what it is | methods |", "| --- | --- | --- | ---: |"]
    rooms = dict.fromkeys((e.form, room) for e in entries for room in ("", e.operation))
    found = {contract: (kind, form) for form, room in rooms for kind, contract in kinds(form, room).items()}
    for contract, (kind, form) in sorted(found.items(), key=lambda item: (item[1][1], item[1][0])):
        summary = _cell(_text(inspect.cleandoc(contract.__doc__ or "").partition("\n")[0]))
        count = sum(e.kind == kind and e.form == form for e in entries)
        lines.append(f"| {kind} | `{contract.__module__}.{contract.__name__}` | {summary} | {count} |")
    return lines


def _page(entries: Iterable[Entry], measured: Measurements) -> str:
    entries = list(entries)
    title = f"# Methods: {entries[0].form} / {_title(page_of(entries[0]))}"
    return "\n".join([title, "", MADE, *(line for entry in entries for line in _section(entry, measured))]) + "\n"


def _title(page: str) -> str:
    return page.removesuffix(".md").partition("-")[2]


def _contract_module(entry: Entry) -> str:
    """Return the module that holds the contract of a method's kind: the `base` of its room, or of its form."""
    module = kinds(entry.form, entry.operation)[entry.kind].__module__
    return module if module.startswith("mnemos.") else f"mnemos.{entry.form}.base"


def _section(entry: Entry, measured: Measurements) -> list[str]:
    doc = inspect.cleandoc(entry.target.__doc__).splitlines()
    module, name = entry.target.__module__, entry.target.__name__
    if entry.kind == COMPONENT:
        contract = "none on its own"
    else:
        contract = f"[{entry.kind}](index.md#contracts), of `{_contract_module(entry)}`"
    lines = [
        "", f"## {entry.name}", "", _text(entry.summary), "",
        f"- Paper: {'; '.join(map(_paper, entry.papers)) or 'none'}",
        f"- Import: `from {module} import {name}`",
        f"- Contract: {contract}",
        f"- {measured.sentence(entry)}",
    ]  # fmt: skip
    if rows := parameters(entry.target):
        lines += ["", "| parameter | type | default | meaning |", "| --- | --- | --- | --- |"]
        lines += [f"| `{p.name}` | {_code(p.type)} | {_code(p.default)} | {_cell(p.comment)} |" for p in rows]
    return lines + [_text(line) for line in doc[1:]]


def _paper(paper: Paper) -> str:
    text = paper.title
    if paper.arxiv:
        text += f" ([arXiv {paper.arxiv}](https://arxiv.org/abs/{paper.arxiv}))"
    return text + (f", code: [{paper.code}](https://github.com/{paper.code})" if paper.code else "")


def _text(line: str) -> str:
    """Escape what Markdown would read as HTML, outside of code."""
    return "`".join(part if code % 2 else part.replace("<", "\\<") for code, part in enumerate(line.split("`")))


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
