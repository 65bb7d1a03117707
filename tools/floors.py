"""The floors of the house as a table, and what src/mnemos does with them: `python tools/floors.py [--write]`.

An import may point to the same floor or to a lower one. tests/test_layers.py fails on every other import, and
docs/architecture.md shows the floors and the arrows among them; `--write` writes that page's generated part again.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "src" / "mnemos"
PAGE = ROOT / "docs" / "architecture.md"


@dataclass(frozen=True)
class Floor:
    """Packages and modules of `mnemos` of one height."""

    name: str
    parts: tuple[str, ...]  # of mnemos; "" is mnemos/__init__.py
    purpose: str


FORMS = ("text", "activation", "parametric", "neural", "footprint")  # none imports another: only `migrate` knows two
FLOORS = (
    Floor(
        "interfaces",
        ("cli", "serve", "agents", "adapters", "bench", "__main__"),
        "for people, programs, frameworks, measurements",
    ),
    Floor(
        "api",
        ("", "agent_tools", "agent_verbs", "bulk", "system", "space", "forms"),
        "what a user imports: `Mnemos` opens spaces, `Space` has the verbs, `bulk` does one for many",
    ),
    Floor(
        "services",
        ("inspect", "migrate", "transfer"),
        "views of a whole space, one form into another, import and export",
    ),
    Floor("forms", FORMS, "the methods, by form and operation"),
    Floor("storage", ("guard", "store"), "rows and files, and who may read, change and erase them"),
    Floor("analysis", ("reason", "embed", "index"), "what a text says, what it means, which words it has"),
    Floor(
        "ground",
        (
            "cube",
            "facts",
            "errors",
            "arguments",
            "built_models",
            "checkpoints",
            "config",
            "credentials",
            "distribution",
            "location",
            "registry",
            "smollm2",
            "tasks",
            "zones",
        ),
        "data without behaviour, and names",
    ),
)
TEXT_VERBS = (
    "add",
    "agent",
    "context",
    "feedback",
    "tune",
    "search",
    "erase",
    "read",
    "revise",
    "records",
    "upkeep",
    "system",
    "systems",
)  # they compose the rooms
STORES = ("sqlite", "postgres")  # in store/: nobody outside store/ names them


@dataclass(frozen=True)
class Arrow:
    """One module imports another."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


def part(module: str) -> str:
    """Return the package or module of `mnemos` that a module belongs to: "text" of `mnemos.text.add`."""
    return module.split(".")[1] if "." in module else ""


def floor(module: str) -> int:
    """Return the height of a module, 0 for the ground. Raises KeyError where the table does not name its package."""
    for height, level in enumerate(reversed(FLOORS)):
        if part(module) in level.parts:
            return height
    raise KeyError(f"mnemos.{part(module)} is on no floor: add it to FLOORS in tools/floors.py")


@cache
def modules() -> dict[str, Path]:
    """Return the file of every module of mnemos."""
    found = {}
    for path in sorted(HOME.rglob("*.py")):
        parts = path.relative_to(HOME.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


@cache
def arrows() -> tuple[Arrow, ...]:
    """Return every import of one module of mnemos by another, those of functions and of type hints included."""
    return tuple(arrow for module in modules() for arrow in _arrows(module))


def _arrows(module: str) -> Iterator[Arrow]:
    package = module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            inner = [f"{base}.{alias.name}" for alias in node.names]  # `from mnemos.text import add` is a module
            targets = [name if name in modules() else base for name in inner]
        else:
            continue
        for target in dict.fromkeys(targets):
            if target.split(".")[0] == "mnemos" and target != module:
                yield Arrow(module, target, node.lineno)


def upward() -> list[Arrow]:
    """Return the arrows that run back up."""
    return [a for a in arrows() if floor(a.target) > floor(a.source)]


def between_forms() -> list[Arrow]:
    """Return the arrows from one form to another."""
    return [
        a for a in arrows() if part(a.source) in FORMS and part(a.target) in FORMS and part(a.source) != part(a.target)
    ]


def rooms_to_verbs() -> list[Arrow]:
    """Return the arrows from a room of text/ to a verb that composes the rooms."""
    verbs = {f"mnemos.text.{name}" for name in TEXT_VERBS}

    def is_verb(module: str) -> bool:
        return ".".join(module.split(".")[:3]) in verbs

    return [a for a in arrows() if part(a.source) == "text" and is_verb(a.target) and not is_verb(a.source)]


def circles(edges: Iterable[Arrow] | None = None) -> list[list[str]]:
    """Return the sets of modules that import each other in a circle (Tarjan's strongly connected components)."""
    graph: dict[str, set[str]] = {}
    for arrow in arrows() if edges is None else edges:
        graph.setdefault(arrow.source, set()).add(arrow.target)
        graph.setdefault(arrow.target, set())
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def diagram() -> str:
    """Return the floors from top to bottom as a Mermaid flowchart, with the arrows that the code has between packages."""
    pairs = sorted({(part(a.source), part(a.target)) for a in arrows() if part(a.source) != part(a.target)})
    present = {part(module) for module in modules()}
    lines = ["```mermaid", "flowchart TD"]
    for level in FLOORS:
        lines.append(f"  subgraph {level.name}")
        lines += [f"    {_node(name)}" for name in level.parts if name in present]
        lines.append("  end")
    lines += [f"  {upper.name} --> {lower.name}" for upper, lower in pairwise(FLOORS)]
    table = ["| floor | packages | what is there |", "| --- | --- | --- |"]
    for level in FLOORS:
        names = ", ".join(f"`{name or 'mnemos'}`" for name in level.parts if name in present)
        table.append(f"| {level.name} | {names} | {level.purpose} |")
    uses = ["| package | imports |", "| --- | --- |"]
    for level in FLOORS:
        for name in level.parts:
            if targets := [f"`{target or 'mnemos'}`" for source, target in pairs if source == name]:
                uses.append(f"| `{name or 'mnemos'}` | {', '.join(targets)} |")
    return "\n".join([*lines, "```", "", *table, "", *uses])


def _node(name: str) -> str:
    return f'{name}["{name}"]' if name else 'mnemos["mnemos"]'


START, END = "<!-- made by `python tools/floors.py --write`, from the imports -->", "<!-- end of the made part -->"


def page(text: str) -> str:
    """Return docs/architecture.md with its generated part made again."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{diagram()}\n\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(diagram())
