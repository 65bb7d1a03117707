"""`mnemos bench report`: renders the tables of README.md and docs/ from the result files.

A table is between `<!-- table NAME -->` and `<!-- end NAME -->`, with the command that measured it below; the prose
around it is left alone. A page with tables says once, between `<!-- measured -->` and `<!-- end measured -->`, on what
machine and when; a table that was measured on another one or on another day says so itself.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mnemos.bench.registry import RESULTS, Benchmark, Result, Rows, all_benchmarks, near
from mnemos.errors import InvalidInput, MnemosError

FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"(<!-- table (?P<name>\S+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)
MEASURED = re.compile(r"(<!-- measured -->\n).*?(<!-- end measured -->)", re.DOTALL)


class StaleDocs(MnemosError):
    """The tables in the docs are not those that the result files give."""


def render(root: Path = Path(), results: Path = RESULTS, check: bool = False) -> list[Path]:
    """Write the tables into README.md and the pages of docs/ under `root`; return the pages that changed.

    With `check` nothing is written and StaleDocs is raised if a page would change. A table without a result file says
    so. Raises InvalidInput for a table that no benchmark has, and where there is no page with a table.
    """
    with importable(root):
        tables = {name: each for each in all_benchmarks() for name in each.tables}
    stale: dict[Path, str] = {}
    found = 0
    for path in (root / "README.md", *sorted((root / "docs").rglob("*.md"))):
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if MARK.search(FENCE.sub("", old)):
            found += 1
            if (new := page(old, tables, root / results)) != old:
                stale[path] = new
    if not found:
        raise InvalidInput(f"no page under {root.resolve()} has a table: run this in the folder of the repository.")
    if check and stale:
        listed = ", ".join(path.relative_to(root).as_posix() for path in stale)
        raise StaleDocs(f"the tables of {listed} are not those of {results}: run `mnemos bench report`.")
    for path, new in stale.items():
        path.write_text(new, encoding="utf-8")
    return list(stale)


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """Let the benchmarks of the repository under `root` be imported while the block runs."""
    sys.path.insert(0, str(root.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(root.resolve()))


def page(text: str, tables: Mapping[str, Benchmark], results: Path) -> str:
    """Return a page with its tables rendered; marks in a fenced block are an example."""
    shown = {m["name"]: load(m["name"], tables, results) for m in MARK.finditer(FENCE.sub("", text))}
    measured = [result for result in shown.values() if result is not None]
    said: set[str] = set()
    if measured and MEASURED.search(text):
        place, day = (Counter(map(of, measured)).most_common(1)[0][0] for of in (machine, date))
        said = {place, day}
        line = f"<sub>Measured on {place}, {day}, unless a table says otherwise.</sub>"
        text = MEASURED.sub(lambda m: f"{m[1]}{line}\n{m[2]}", text)

    def rendered(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in shown:  # in a fenced block
            return match[0]
        result = shown[name]
        if result is None:
            table = f"Not measured yet: there is no `{tables[name].path(results).relative_to(results)}` in the results."
        elif len(rows := tables[name].tables[name](result)) < 2:
            table = "Not measured yet."
        else:
            table = f"{markdown(rows)}\n\n{source(result, said)}"
        return f"{match[1]}{table}\n{match[3]}"

    return MARK.sub(rendered, text)


def load(name: str, tables: Mapping[str, Benchmark], results: Path) -> dict[str, Any] | None:
    """Return the result that a table is made from; None where it was not measured yet."""
    if name not in tables:
        raise InvalidInput(f"there is no table {name!r}: {near(name, tables)}")
    path = tables[name].path(results)
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found


def machine(result: Result) -> str:
    """Return the machine and the versions of a result."""
    m = result["machine"]
    return (
        f"{m['cores']} cores of {m['cpu']} with {m['memory_gib']} GiB, Python {m['python']}, "
        f"onnxruntime {m['onnxruntime']}, Mnemos {result['mnemos']}"
    )


def date(result: Result) -> str:
    """Return the day of a result."""
    return str(result["date"][:10])


def source(result: Result, said: Collection[str]) -> str:
    """Return the line below a table: its command, its data, and of machine and day what the page has not `said`."""
    parts = [f"`{result['command']}`"]
    if data := result.get("data"):
        parts.append(f"data {data['file']} (SHA-256 {data['sha256'][:12]}…)")
    parts += [part for part in (machine(result), date(result)) if part not in said]
    return f"<sub>{' · '.join(parts)}</sub>"


def markdown(rows: Rows) -> str:
    """Return rows, the first of which is the header, as a Markdown table; numbers are aligned to the right."""
    header, *body = [[str(cell) for cell in row] for row in rows]
    right = [all(re.match(r"[\d.,/ –%-]*$", row[i]) for row in body) for i in range(len(header))]
    rule = ["---:" if numeric else "---" for numeric in right]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *body])
